"""Clusters' own addresses: wishes filed in one transaction each, and what has become of them put right."""

from __future__ import annotations

from collections.abc import Iterable

from services.provisioner.domain.address import ClusterAddress, State
from services.provisioner.domain.findings import ADDRESS, Found
from services.provisioner.domain.instance import Status
from services.provisioner.store import addresses, instances
from services.provisioner.workflows.lead_address import MOVE, TAKE, draft, subject_of
from shared.contracts.api import ClusterRequested
from shared.contracts.datastore_agentless import AddressMoveRequested
from shared.db import Database, Tx


def file_take(tx: Tx, event: ClusterRequested, account: str) -> None:
    """File the taking of an address for a cluster that is wanted, once."""
    address = ClusterAddress(cluster_id=event.cluster_id, project_id=event.project_id, operation_id=event.operation_id,
                             account=account)  # fmt: skip
    if addresses.add(tx, address):
        tx.file(draft(TAKE, address, event.operation_id, "first"))


def take_again(tx: Tx, operation_id: str, cluster_id: str) -> None:
    """A create goes on whose cluster got no address: its builds wait for one again."""
    address = addresses.lock(tx, cluster_id)
    if address is not None and address.operation_id == operation_id and address.state == State.FAILED:
        address.become(State.WANTED)
        addresses.save(tx, address)


def let_go(tx: Tx, cluster_id: str) -> None:
    """A cluster goes, and its address with it: whoever deletes its instances gives it back."""
    address = addresses.lock(tx, cluster_id)
    if address is not None and not address.goes:
        address.become(State.GOING)
        addresses.save(tx, address)


def move_address(database: Database, event: AddressMoveRequested) -> bool:
    """File the moving of a cluster's address; false where nobody has heard of it, or of the instance.

    Of several wishes the newest counts, in whatever order they come.
    """
    with database.write() as tx:
        address = addresses.lock(tx, event.cluster_id)
        if address is None or not instances.exists(tx.connection, event.instance_id):
            return False
        if not tx.first_seen(event.event_id, "move_address") or address.goes:
            return True
        if address.wanted_at is None or address.wanted_at <= event.occurred_at:
            address.wanted_id, address.wanted_at = event.instance_id, event.occurred_at
            addresses.save(tx, address)
        instance = instances.get(tx.connection, address.wanted_id)
        tx.file(draft(MOVE, address, event.operation_id, event.event_id, instance.name))
        return True


def put_right(database: Database, seen: Iterable[Found]) -> list[str]:
    """File the moving of addresses that do not lead to where they are to, as one that was lost by a reboot; returns them."""
    held = {(one.cluster_id, one.id): one.instance_id for one in seen if one.kind == ADDRESS}
    with database.read() as connection:
        known = addresses.known(connection, ())
        busy = instances.busy(connection, database, (TAKE, MOVE))
    astray = [one for one in known.values()
              if one.state == State.TAKEN and one.wanted_id and subject_of(one.cluster_id) not in busy
              and held.get((one.cluster_id, one.addr), one.wanted_id) != one.wanted_id]  # fmt: skip
    if not astray:
        return []
    with database.write() as tx:
        return [one.addr for one in astray if _file_again(tx, one)]


def _file_again(tx: Tx, address: ClusterAddress) -> bool:
    """File it, under no operation: nobody has asked. Not where its server is not to run, or is unknown."""
    if not instances.exists(tx.connection, address.wanted_id):
        return False
    instance = instances.get(tx.connection, address.wanted_id)
    if instance.status != Status.ACTIVE:
        return False
    moment = f"{int(tx.database.clock.now().timestamp() * 1000):x}"
    return tx.file(draft(MOVE, address, "", moment, instance.name))
