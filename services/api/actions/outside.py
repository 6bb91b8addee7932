"""What other systems ask over the bus: the same wishes as over HTTP, with the same checks."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from sqlalchemy import Connection, select

from services.api import schemas
from services.api.actions import audit, backups, clusters
from services.api.actions.access import Caller, caller_of
from services.api.store import tables
from shared.contracts.external import ExternalBackupDue, ExternalClusterDeleteRequested, ExternalClusterRequested
from shared.db import Database
from shared.errors import Conflict, FieldError, Invalid


def request_cluster(database: Database, event: ExternalClusterRequested, max_size: int) -> None:
    """Make a cluster. Raises DtroveError for a wish that cannot be granted: its message is then parked."""
    who = _member(database, event.token)
    asked = schemas.accept(schemas.ClusterCreate, event.cluster)
    if event.cluster_id is not None:
        asked["id"] = _uuid("cluster_id", event.cluster_id)
    with database.write() as tx:
        if tx.first_seen(_uuid("event_id", event.event_id), "external"):
            _not_taken(tx.connection, asked.get("id"))
            made, _ = clusters.create(tx, who.project_id, asked, max_size)
            audit.note(tx, who, event.topic, made)


def delete_cluster(database: Database, event: ExternalClusterDeleteRequested) -> None:
    """Delete a cluster."""
    who = _member(database, event.token)
    with database.write() as tx:
        if tx.first_seen(_uuid("event_id", event.event_id), "external"):
            clusters.delete(tx, who.project_id, _uuid("cluster_id", event.cluster_id))
            audit.note(tx, who, event.topic, event.cluster_id)


def request_backup(database: Database, event: ExternalBackupDue) -> None:
    """Back a cluster up."""
    who = _member(database, event.token)
    asked = schemas.accept(schemas.BackupCreate, {"kind": event.kind})
    with database.write() as tx:
        if tx.first_seen(_uuid("event_id", event.event_id), "external"):
            backups.request(tx, who.project_id, _uuid("cluster_id", event.cluster_id), asked)
            audit.note(tx, who, event.topic, event.cluster_id)


def _member(database: Database, token: str) -> Caller:
    # From the broker nobody's address is known.
    who = replace(caller_of(database, token), address="bus")
    who.need("member")
    return who


def _uuid(name: str, given: str) -> str:
    """A UUID in its usual form, as all ids are compared. Raises Invalid."""
    try:
        return str(UUID(given))
    except ValueError as error:
        raise Invalid("the request was not accepted", (FieldError(name, "must be a UUID"),)) from error


def _not_taken(connection: Connection, cluster_id: str | None) -> None:
    """Raise Conflict where the id belongs to a cluster, of whatever project, or did once."""
    t = tables.clusters
    if cluster_id and connection.execute(select(t.c.id).where(t.c.id == cluster_id)).first():
        raise Conflict(f"the cluster id {cluster_id} is taken", what_to_do="make a new UUID for each cluster")
