"""Clusters that come and go: each gets a schedule with its first moment, once, and loses its schedules with its last."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from sqlalchemy import Row

from services.scheduler.actions import clusters, schedules
from services.scheduler.domain.schedule import every_night
from services.scheduler.settings import Settings
from shared.contracts.api import ClusterRequested
from shared.contracts.datastore_agentless import ClusterActive, ClusterDeleted
from shared.db import Database, Tx

# Managers that are known to make backups. A stranger's may not: its users make schedules of their own where it does.
BACKING_UP = ("mysql", "pgsql", "redis")
# A cluster that is minutes old has nothing to lose yet: its first night is the one after these hours.
CALM = timedelta(hours=2)


def requested(database: Database, event: ClusterRequested, settings: Settings) -> None:
    """Take note whose a cluster is, and of which kind."""
    with database.write() as tx:
        if tx.first_seen(event.event_id, "requested"):
            clusters.find(tx, event.cluster_id, event.project_id)
            _begin(tx, clusters.change(tx, event.cluster_id, manager=event.datastore.manager), settings)


def active(database: Database, event: ClusterActive, settings: Settings) -> None:
    """A cluster serves; when that is for the first time, its backups begin."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "active"):
            return
        row = clusters.find(tx, event.cluster_id)
        if row.active_at is None:
            row = clusters.change(tx, event.cluster_id, active_at=database.clock.now())
        _begin(tx, row, settings)


def deleted(database: Database, event: ClusterDeleted) -> None:
    """A cluster that is gone is backed up no more; what there is of it is kept for as long as its schedules said."""
    with database.write() as tx:
        if tx.first_seen(event.event_id, "forget_cluster"):
            clusters.find(tx, event.cluster_id)
            clusters.change(tx, event.cluster_id, deleted_at=database.clock.now())
            schedules.remove_all(tx, event.cluster_id)


def _begin(tx: Tx, row: Row[Any], settings: Settings) -> None:
    """Whichever word comes last, that it was asked for or that it serves, gives a cluster its schedule; none is given twice."""
    ready = row.active_at is not None and row.manager in BACKING_UP and row.deleted_at is None
    if not ready or row.given_at is not None or not settings.backup_days:
        return
    now = tx.database.clock.now()
    clusters.change(tx, row.id, given_at=now)
    terms = every_night(row.id, settings.backup_timezone, settings.backup_days)
    schedule_id = str(uuid5(NAMESPACE_URL, f"schedule:{row.id}"))
    schedules.put(tx, schedules.made(schedule_id, (row.id, row.project_id), terms, now + CALM))
