"""What the other services own and the API only shows: datastores, flavors, transcripts."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, update

from services.api.store import tables
from shared.contracts import datastore_agentless as databases
from shared.contracts import provisioner
from shared.contracts.base import dump
from shared.db import Tx

_COLUMNS = ("id", "manager", "version", "image", "name", "min_ram_mb", "port", "deleted", "default_parameters",
            "dialect", "full_only")  # fmt: skip


def learn_datastore(tx: Tx, event: databases.DatastoreRegistered) -> None:
    """A version of a datastore can be chosen, or no longer."""
    put_datastore(
        tx,
        {name: getattr(event, name) for name in _COLUMNS}
        | {"packages": list(event.packages), "modes": list(event.modes)},
    )


def put_datastore(tx: Tx, values: dict[str, Any]) -> None:
    """Store an entry of the catalogue, new or changed."""
    t = tables.datastores
    if tx.connection.execute(update(t).where(t.c.id == values["id"]).values(**values)).rowcount == 0:
        tx.insert_new(t, **values)


def learn_flavors(tx: Tx, event: provisioner.FlavorsListed) -> None:
    """These are the sizes from now on. Two provisioners that start together say it at the same moment."""
    t = tables.flavors
    tx.connection.execute(delete(t).where(t.c.id.not_in([flavor.id for flavor in event.flavors])))
    able = {"supports_volumes": event.supports_volumes, "supports_resize": event.supports_resize,
            "supports_addresses": event.supports_addresses}  # fmt: skip
    # In one order for all, so that no two wait for each other.
    for flavor in sorted(event.flavors, key=lambda one: one.id):
        values = dump(flavor) | able
        if not tx.insert_new(t, **values):
            tx.connection.execute(update(t).where(t.c.id == flavor.id).values(**values))


def learn_transcript(tx: Tx, event: databases.TranscriptRecorded) -> None:
    """Commands ran; each has a number of its own."""
    for entry in event.entries:
        tx.insert_new(tables.transcript, operation_id=event.operation_id, sequence=entry.sequence, entry=dump(entry))
