"""Backups that are proved by a restore: asked for, answered, and the server that was made for it gone again."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select

from services.api.actions import backups, clusters, operations
from services.api.domain.backups import BEING_MADE, Status, was_damaged
from services.api.store import tables
from shared.contracts.backups import BackupVerificationFailed, BackupVerified, ProofCheck, ProofWish
from shared.contracts.base import dump, new_id
from shared.contracts.scheduler import VerificationDue
from shared.contracts.values import Problem
from shared.db import Tx
from shared.errors import Conflict, Invalid, Retryable

_c, _s = tables.clusters, tables.operation_steps
GOING = ("deleting", "deleted")
# A step of datastore_agentless's prepare_node.
RESTORE = "restore"
AT_MOST = 50


def request(tx: Tx, project_id: str, backup_id: str, asked: dict[str, Any]) -> str:
    """Ask that a backup is restored to a server of its own, and looked at; returns the operation's id.

    Raises NotFound, Conflict, and Invalid where there is no such flavor or datastore any more.
    """
    of_cluster = backups.get(tx.connection, project_id, backup_id).cluster_id
    # The cluster first, as everybody locks.
    tx.connection.execute(select(_c.c.id).where(_c.c.id == of_cluster).with_for_update())
    row = backups.lock(tx, project_id, backup_id)
    # One that was taken for damaged is looked at once more for whoever asks.
    if row.status != Status.COMPLETED and not was_damaged(row):
        raise Conflict(f"the backup is {row.status}", what_to_do="verify one that is completed")
    if operation := _under_way(tx.connection, row.id):
        raise Conflict("the backup is being verified", what_to_do=f"wait for the operation {operation}")
    wish = {
        "name": f"proof-{new_id()[:8]}", "datastore": row.datastore["id"], "flavor": row.flavor["id"], "size": 1,
        "volume_gb": row.volume_gb, "restore": {"backup": row.id}, "databases": [], "users": [], "parameters": {},
        "parameter_group": None, "topology": None, "deletion_protection": False, "clusters": 0,
    }  # fmt: skip
    proof = ProofWish(cluster_id=of_cluster, checks=tuple(ProofCheck(**one) for one in asked["checks"]))
    return clusters.create(tx, project_id, wish, max_size=1, proof=proof)[1]


def due(tx: Tx, event: VerificationDue) -> None:
    """A schedule wants one. What cannot begin is as loud as what was not passed; one that is under way is as good.

    Raises Retryable where the word that the backup is whole is still on its way.
    """
    b = tables.backups
    query = select(b).where(b.c.id == event.backup_id, b.c.project_id == event.project_id)
    row = tx.connection.execute(query.with_for_update()).first()
    cluster = tx.connection.execute(select(_c.c.deleted_at).where(_c.c.id == event.cluster_id)).first()
    if cluster is None or cluster.deleted_at is not None:
        return
    if row is None or row.status in BEING_MADE:
        raise Retryable(f"nothing was heard yet of the end of backup {event.backup_id}")
    if row.status != Status.COMPLETED or _under_way(tx.connection, row.id):
        return
    try:
        with tx.connection.begin_nested():
            request(tx, row.project_id, row.id, {"checks": []})
    except (Conflict, Invalid) as error:
        problem = Problem(step="begin", message=error.message, what_to_do=error.what_to_do)
        backups.change(tx, row.id, unproven_at=event.occurred_at,
                       proof_failure={"problem": dump(problem), "checks": []})  # fmt: skip


def verified(tx: Tx, event: BackupVerified) -> None:
    """It holds what it should. A word about an older proof changes nothing about a newer one."""
    row = _ended(tx, event, "succeeded")
    if row.unproven_at is None or row.unproven_at < event.occurred_at:
        backups.change(tx, row.id, unproven_at=None, proof_failure=None)
    if row.verified_at is None or row.verified_at < event.occurred_at:
        seconds = _restored_in(tx.connection, event.operation_id)
        shown = dump(event.proof) | {"restore_seconds": seconds}
        backups.change(tx, row.id, verified_at=event.occurred_at, proof=shown)


def failed(tx: Tx, event: BackupVerificationFailed) -> None:
    """It does not, or could not be restored. What is told of it stays until a later proof is passed."""
    row = _ended(tx, event, "failed")
    if all(at is None or at < event.occurred_at for at in (row.verified_at, row.unproven_at)):
        checks = dump(event.proof)["checks"] if event.proof else []
        backups.change(tx, row.id, unproven_at=event.occurred_at,
                       proof_failure={"problem": dump(event.problem), "checks": checks})  # fmt: skip


def unproven(connection: Connection) -> tuple[str, ...]:
    """A line about each backup whose last proof has failed, the newest first; then those that were found damaged and that no newer good
    one of the cluster has followed.
    """
    b, newer = tables.backups, tables.backups.alias("newer")
    query = select(b.c.id, b.c.cluster_name, b.c.proof_failure, b.c.problem).limit(AT_MOST)
    bad = query.where(b.c.unproven_at.is_not(None), b.c.status == Status.COMPLETED).order_by(b.c.unproven_at.desc())
    good = select(newer.c.id).where(newer.c.cluster_id == b.c.cluster_id, newer.c.status == Status.COMPLETED,
                                    newer.c.created_at > b.c.created_at)  # fmt: skip
    damaged = query.where(b.c.status == Status.FAILED, b.c.damaged_at.is_not(None), ~good.exists())
    lines = [(row, row.proof_failure["problem"]["message"]) for row in connection.execute(bad)]
    lines += [
        (row, f"it cannot be restored any more: {row.problem['message']}")
        for row in connection.execute(damaged.order_by(b.c.created_at.desc()))
    ]
    return tuple(f"{row.id} of {row.cluster_name}: {words}" for row, words in lines[:AT_MOST])


def _under_way(connection: Connection, backup_id: str) -> str:
    """The operation of the proof of a backup that has not ended; empty for none."""
    mine = select(_c.c.operation_id).where(_c.c.proves == backup_id, _c.c.status.not_in(GOING))
    return str(connection.execute(mine).scalar() or "")


def _ended(tx: Tx, event: BackupVerified | BackupVerificationFailed, status: str) -> Row[Any]:
    """End the operation, and have the server go, unless a user has it go already; returns the backup, locked."""
    query = select(_c).where(_c.c.id == event.proof_id, _c.c.status.not_in(GOING)).with_for_update()
    cluster = tx.connection.execute(query).first()
    if cluster is not None:
        problem = event.problem if isinstance(event, BackupVerificationFailed) else None
        operations.end(tx, event.operation_id, status, problem, result={"backup": event.backup_id})
        clusters.remove(tx, cluster)
    b = tables.backups
    return tx.connection.execute(select(b).where(b.c.id == event.backup_id).with_for_update()).one()


def _restored_in(connection: Connection, operation_id: str) -> float | None:
    """Seconds that fetching the data and beginning with them has taken, interruptions included; None where not all was heard yet."""
    mine = (_s.c.operation_id == operation_id, _s.c.step == RESTORE)
    step = connection.execute(select(_s.c.started_at, _s.c.finished_at).where(*mine)).first()
    if step is None or step.finished_at is None:
        return None
    return float(round((step.finished_at - step.started_at).total_seconds(), 3))
