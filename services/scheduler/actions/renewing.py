"""A backup that is damaged is followed by a new full one, at once and by itself, where the cluster has backups made by a schedule."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from sqlalchemy import Row, select, update

from services.scheduler.actions import clusters
from services.scheduler.domain.schedule import Schedule
from services.scheduler.store.tables import COMPLETED, DAMAGED, RUNNING, backups, schedules
from shared.contracts.backups import FULL, BackupFailed
from shared.contracts.scheduler import BackupDue
from shared.db import Tx

# A store in which everything is damaged gets no more than so many: what is made there by its schedule comes on top.
AT_MOST_EVERY = timedelta(hours=6)


def damaged(tx: Tx, event: BackupFailed) -> None:
    """Take note of it, and say that a full one is due, unless a younger one is good or is being made.

    Nothing is made where all schedules are paused, or there is none: whoever makes backups by hand alone is told, and no more.
    """
    cluster, now = clusters.find(tx, event.cluster_id), tx.database.clock.now()
    row = tx.connection.execute(select(backups).where(backups.c.id == event.backup_id).with_for_update()).first()
    if row is not None and row.state == COMPLETED:
        tx.connection.execute(update(backups).where(backups.c.id == row.id).values(state=DAMAGED))
    lately = cluster.renewed_at is not None and now - cluster.renewed_at < AT_MOST_EVERY
    if cluster.deleted_at is not None or lately or _is_followed(tx, event, row):
        return
    schedule = _schedule(tx, event.cluster_id, row.schedule_id if row is not None else "")
    if schedule is None:
        return
    clusters.change(tx, event.cluster_id, renewed_at=now)
    name = f"renewal:{event.backup_id}"
    tx.emit(
        BackupDue(event_id=str(uuid5(NAMESPACE_URL, f"due:{name}")), backup_id=str(uuid5(NAMESPACE_URL, f"backup:{name}")),
                  operation_id=str(uuid5(NAMESPACE_URL, f"operation:{name}")), cluster_id=schedule.cluster_id,
                  project_id=schedule.project_id, schedule_id=schedule.id, kind=FULL, store=schedule.store)
    )  # fmt: skip


def _is_followed(tx: Tx, event: BackupFailed, row: Row[Any] | None) -> bool:
    """Whether a full backup was begun after this one that is whole, or may become so."""
    b = backups.c
    younger = (
        b.cluster_id == event.cluster_id,
        b.kind == FULL,
        b.state.in_((RUNNING, COMPLETED)),
        b.id != event.backup_id,
    )
    query = select(b.id).where(*younger)
    if row is not None:
        query = query.where(b.begun_at > row.begun_at)
    return tx.connection.execute(query.limit(1)).first() is not None


def _schedule(tx: Tx, cluster_id: str, made_by: str) -> Schedule | None:
    """Whose backup the new one is: of the schedule that has made the damaged one, else of any that is not paused."""
    query = select(schedules).where(
        schedules.c.cluster_id == cluster_id, schedules.c.enabled, schedules.c.removed_at.is_(None)
    )
    found = [Schedule(**one._mapping) for one in tx.connection.execute(query.order_by(schedules.c.id))]
    return next((one for one in found if one.id == made_by), found[0] if found else None)
