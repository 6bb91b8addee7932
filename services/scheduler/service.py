"""The scheduler: announces what is due, and what has been kept for long enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from services.scheduler import dependencies
from services.scheduler.actions import beginning, keeping, proving, running, schedules
from shared.bus import Relay, Ticker, on, rpc
from shared.contracts import backups
from shared.contracts.api import ClusterRequested, OperationReminded, ScheduleRemoveRequested, ScheduleRequested
from shared.contracts.base import dump
from shared.contracts.datastore_agentless import ClusterActive, ClusterDeleted
from shared.db.outbox import repeat

TICK_SECONDS, TIDY_SECONDS = 1.0, 600.0


def announce_due() -> None:
    """Announce the backups whose time has come, and once more what nobody has answered."""
    while running.announce_due(dependencies.database()) == running.BATCH:
        continue
    running.say_again(dependencies.database())


def tidy() -> None:
    """Expire what no newer backup expires, and drop what is over and was handled long ago."""
    keeping.sweep(dependencies.database())
    keeping.forget_old(dependencies.database())
    dependencies.database().forget_old()


class SchedulerService:
    """Entrypoints; the work is in actions."""

    name = "scheduler"

    relay = Relay(dependencies.relay)
    due_ticker = Ticker(announce_due, TICK_SECONDS)
    tidying = Ticker(tidy, TIDY_SECONDS)

    @on(OperationReminded)
    def say_again(self, event: OperationReminded) -> None:
        """Announce once more what was announced of an operation."""
        repeat(dependencies.database(), event.operation_id)

    @on(ScheduleRequested)
    def want_schedule(self, event: ScheduleRequested) -> None:
        """Make or change a schedule."""
        schedules.want(dependencies.database(), event)

    @on(ScheduleRemoveRequested)
    def unwant_schedule(self, event: ScheduleRemoveRequested) -> None:
        """Remove a schedule."""
        schedules.unwant(dependencies.database(), event)

    @on(backups.BackupStarted)
    def backup_started(self, event: backups.BackupStarted) -> None:
        """Keep what it builds upon."""
        keeping.started(dependencies.database(), event)

    @on(backups.BackupCompleted)
    def backup_completed(self, event: backups.BackupCompleted) -> None:
        """Take note that it was answered, and let older ones go."""
        keeping.completed(dependencies.database(), event)

    @on(backups.BackupVerified)
    def backup_verified(self, event: backups.BackupVerified) -> None:
        """Count the days until the next proof from this one."""
        proving.verified(dependencies.database(), event)

    @on(backups.BackupFailed)
    def backup_failed(self, event: backups.BackupFailed) -> None:
        """A failure is an answer as well."""
        keeping.failed(dependencies.database(), event)

    @on(backups.BackupDeleted)
    def backup_deleted(self, event: backups.BackupDeleted) -> None:
        """Let go what it was built upon."""
        keeping.deleted(dependencies.database(), event)

    @on(backups.BackupDeleteFailed)
    def backup_not_deleted(self, event: backups.BackupDeleteFailed) -> None:
        """Try again later."""
        keeping.not_deleted(dependencies.database(), event)

    @on(ClusterRequested)
    def expect_cluster(self, event: ClusterRequested) -> None:
        """Take note whose it is."""
        beginning.requested(dependencies.database(), event, dependencies.settings())

    @on(ClusterActive)
    def begin_backups(self, event: ClusterActive) -> None:
        """Give a new cluster its schedule."""
        beginning.active(dependencies.database(), event, dependencies.settings())

    @on(ClusterDeleted)
    def forget_cluster(self, event: ClusterDeleted) -> None:
        """Remove the schedules of a cluster that is gone."""
        beginning.deleted(dependencies.database(), event)

    @rpc
    def add_schedule(
        self,
        cluster_id: str,
        project_id: str,
        cron: str,
        timezone: str = "UTC",
        kind: str = "full",
        schedule_id: str = "",
    ) -> dict[str, Any]:
        """Store a schedule; asked twice with one `schedule_id` it is stored once."""
        database = dependencies.database()
        return _plain(schedules.add(database, cluster_id, project_id, cron, timezone, kind, schedule_id))

    @rpc
    def state(self, operations: Sequence[str] = ()) -> dict[str, Any]:
        """How this service is: a ServiceState."""
        return dump(dependencies.state().state(operations))

    @rpc
    def schedules(self, cluster_id: str) -> list[dict[str, Any]]:
        """A cluster's schedules."""
        return [_plain(entry) for entry in schedules.of_cluster(dependencies.database(), cluster_id)]

    @rpc
    def remove_schedule(self, schedule_id: str) -> None:
        """Remove a schedule."""
        schedules.remove(dependencies.database(), schedule_id)


def _plain(entry: Any) -> dict[str, Any]:
    facts = asdict(entry).items()
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in facts}
