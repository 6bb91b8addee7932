"""Schedules whose backups are proved from time to time: the newest one, when it is completed and a proof is due."""

from __future__ import annotations

from sqlalchemy import select

from services.scheduler.actions.schedules import store
from services.scheduler.domain.schedule import Schedule
from services.scheduler.store.tables import schedules
from shared.contracts.backups import BackupCompleted, BackupVerified
from shared.contracts.scheduler import VerificationDue
from shared.db import Database, Tx


def completed(tx: Tx, event: BackupCompleted, schedule_id: str) -> None:
    """A backup is whole: say that its proof is due, if one is. What comes of nothing is made good by the next backup."""
    mine = (schedules.c.id == schedule_id, schedules.c.removed_at.is_(None))
    row = tx.connection.execute(select(schedules).where(*mine).with_for_update()).first()
    now = tx.database.clock.now()
    if row is None or not Schedule(**row._mapping).wants_proof(now):
        return
    store(tx, row.id, proof_backup_id=event.backup_id, proof_said_at=now)
    tx.emit(VerificationDue(schedule_id=row.id, backup_id=event.backup_id, cluster_id=row.cluster_id,
                            project_id=row.project_id))  # fmt: skip


def verified(database: Database, event: BackupVerified) -> None:
    """The proof that was due is passed: the days are counted from when it was."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "verified"):
            return
        mine = schedules.c.proof_backup_id == event.backup_id
        row = tx.connection.execute(select(schedules).where(mine).with_for_update()).first()
        if row is not None:
            store(tx, row.id, proven_at=row.proof_said_at)
