"""What is found of backups as they are fetched: that they are damaged, or that they are whole after all. Each is said once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from services.datastore_agentless.backup_stores.base import Damaged
from services.datastore_agentless.domain.age_key import AgeKey
from services.datastore_agentless.domain.backup import Backup, State
from services.datastore_agentless.domain.chain import upon
from services.datastore_agentless.store import backups
from services.datastore_agentless.workflows import building_upon, manifests
from shared.contracts.backups import BackupCompleted, BackupFailed
from shared.contracts.values import Problem
from shared.db import Database, Tx

_ANEW = "restore another backup, and make a new one; `dtrove backup verify` looks once more"


@contextmanager
def noted(database: Database, chain: Sequence[Backup], operation_id: str) -> Iterator[None]:
    """Within this block a chain is fetched: where that shows damage, its backups are marked before anybody hears of it."""
    try:
        yield
    except Damaged as error:
        # A stream that comes alone is not named.
        found = next((one for one in chain if one.key == error.key), chain[-1])
        with database.write() as tx:
            mark(tx, found, operation_id, error.message)
        raise


def see_key(chain: Sequence[Backup], key: AgeKey) -> None:
    """Raises Damaged where a backup was encrypted to another key than the one that its project has."""
    for one in chain:
        if one.manifest.get("recipient", key.public) != key.public:
            raise Damaged(
                f"backup {one.id} is encrypted to another key than its project has by now", key=one.key,
                what_to_do="restore datastore_agentless's database as it was when the backup was made, or restore a newer backup",
            )  # fmt: skip


def mark(tx: Tx, found: Backup, operation_id: str, why: str) -> None:
    """A backup is damaged, and with it all that builds upon it: none of these is offered any more. What is marked stays so."""
    for one in _locked(
        tx, {found.id, *(above.id for above in upon(found, backups.of_cluster(tx.connection, found.cluster_id)))}
    ):
        if one.state != State.COMPLETED:
            continue
        one.become(State.DAMAGED)
        backups.save(tx, one)
        words = why if one.id == found.id else f"it builds upon backup {found.id}, which is damaged: {why}"
        problem = Problem(step="restore", message=words, what_to_do=_ANEW)
        tx.emit(BackupFailed(backup_id=one.id, cluster_id=one.cluster_id, operation_id=operation_id, problem=problem,
                             damaged=True))  # fmt: skip


def heal(tx: Tx, chain: Sequence[Backup]) -> None:
    """All of a chain was fetched: what was taken for damaged is not, as where a volume was not mounted then."""
    for one in _locked(tx, {one.id for one in chain if one.state == State.DAMAGED}):
        if one.state == State.DAMAGED:
            one.become(State.COMPLETED)
            backups.save(tx, one)
            tx.emit(BackupCompleted(**ids(one), facts=manifests.facts(one)))


def see_base(tx: Tx, made: Backup) -> None:
    """A backup that is whole by now builds upon one that was found damaged meanwhile: it is marked as well."""
    base = backups.find(tx.connection, made.base_id) if made.base_id else None
    if base is not None and base.state == State.DAMAGED:
        mark(tx, made, made.operation_id, f"it builds upon backup {base.id}, which is damaged")


def ids(backup: Backup) -> dict[str, Any]:
    """What is said with every word on a backup that was begun."""
    return {"backup_id": backup.id, "cluster_id": backup.cluster_id, "operation_id": backup.operation_id,
            "project_id": backup.project_id, "instance_id": backup.instance_id, "kind": backup.kind, "store": backup.store,
            "base_id": backup.base_id, "schedule_id": backup.schedule_id,
            "message": backup.manifest.get(building_upon.INSTEAD, "")}  # fmt: skip


def _locked(tx: Tx, wanted: Collection[str]) -> list[Backup]:
    """In one order, whoever asks."""
    return [found for one in sorted(wanted) if (found := backups.lock(tx, one)) is not None]
