"""Restores in place: what a user may wish of them, and what datastore_agentless announces."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.contracts.base import Event, event
from shared.contracts.values import RestoreRef


@event("cluster.restore_requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class ClusterRestoreRequested(Event):
    """A cluster that serves is to have the data of a backup in place of its own, which are kept until somebody says what becomes of them."""

    cluster_id: str
    operation_id: str
    project_id: str
    restore: RestoreRef


@event("restore.confirm_requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class RestoreConfirmRequested(Event):
    """What a cluster had before its restore in place is not wanted any more."""

    cluster_id: str
    operation_id: str
    project_id: str


@event("restore.undo_requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class RestoreUndoRequested(Event):
    """A cluster is to have again what it had before its restore in place; what was written since is not wanted any more."""

    cluster_id: str
    operation_id: str
    project_id: str


@event("cluster.restored", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class ClusterRestored(Event):
    """A cluster serves the data of a backup in place of its own, which are kept on one of its instances until `purge_at`.

    `time` is the moment up to which they have taken the log of after the backup, null for the backup's own. `restore_id` is what the
    restore is called from now on: the operation that has made it.
    """

    cluster_id: str
    project_id: str
    operation_id: str
    restore_id: str
    backup_id: str
    instance_id: str
    purge_at: datetime
    time: datetime | None = None


@event("cluster.restore_undone", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class ClusterRestoreUndone(Event):
    """A cluster serves the data again that it had before a restore in place; what has served meanwhile is about to go."""

    cluster_id: str
    project_id: str
    operation_id: str
    restore_id: str


@event("cluster.restore_confirmed", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class ClusterRestoreConfirmed(Event):
    """Nothing is left of the data that a cluster had before a restore in place; nobody can undo that any more."""

    cluster_id: str
    project_id: str
    operation_id: str
    restore_id: str
