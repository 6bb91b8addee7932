"""The scheduler: announces what is due."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from services.scheduler import actions, dependencies
from shared.bus import Relay, Ticker, on, rpc
from shared.contracts.api import OperationReminded
from shared.contracts.backups import BackupCompleted, BackupFailed
from shared.contracts.base import dump
from shared.contracts.datastore_agentless import ClusterDeleted
from shared.db.outbox import repeat

TICK_SECONDS, TIDY_SECONDS = 1.0, 600.0


def announce_due() -> None:
    """Announce the backups whose time has come, and once more those that nobody has answered."""
    while actions.announce_due(dependencies.database()) == actions.BATCH:
        continue
    actions.say_again(dependencies.database())


def forget_old() -> None:
    """Drop events that were handled long ago."""
    dependencies.database().forget_old()


class SchedulerService:
    """Entrypoints; the work is in actions."""

    name = "scheduler"

    relay = Relay(dependencies.relay)
    due_ticker = Ticker(announce_due, TICK_SECONDS)
    tidying = Ticker(forget_old, TIDY_SECONDS)

    @on(OperationReminded)
    def say_again(self, event: OperationReminded) -> None:
        """Announce once more what was announced of an operation."""
        repeat(dependencies.database(), event.operation_id)

    @on(BackupCompleted)
    def backup_completed(self, event: BackupCompleted) -> None:
        """Take note that it was answered."""
        actions.answered(dependencies.database(), event)

    @on(BackupFailed)
    def backup_failed(self, event: BackupFailed) -> None:
        """The same: a failure is an answer."""
        actions.answered(dependencies.database(), event)

    @on(ClusterDeleted)
    def forget_cluster(self, event: ClusterDeleted) -> None:
        """Drop the schedules of a cluster that is gone."""
        actions.forget_cluster(dependencies.database(), event)

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
        return _plain(actions.add(database, cluster_id, project_id, cron, timezone, kind, schedule_id))

    @rpc
    def state(self, operations: Sequence[str] = ()) -> dict[str, Any]:
        """How this service is: a ServiceState."""
        return dump(dependencies.state().state(operations))

    @rpc
    def schedules(self, cluster_id: str) -> list[dict[str, Any]]:
        """A cluster's schedules."""
        return [_plain(entry) for entry in actions.of_cluster(dependencies.database(), cluster_id)]

    @rpc
    def remove_schedule(self, schedule_id: str) -> None:
        """Drop a schedule."""
        actions.remove(dependencies.database(), schedule_id)


def _plain(entry: Any) -> dict[str, Any]:
    times = {"next_at": entry.next_at, "last_at": entry.last_at, "said_at": entry.said_at}
    return {**asdict(entry), **{name: at.isoformat() if at else None for name, at in times.items()}}
