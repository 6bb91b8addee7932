"""What other systems may ask of DTrove over the exchange `external.events`, each with a project's token."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from shared.contracts.base import Event, event


@event("cluster.requested", publisher="external")
@dataclass(frozen=True, kw_only=True)
class ExternalClusterRequested(Event):
    """Another system asks for a cluster; `cluster` is the body that POST /v1/clusters takes.

    `cluster_id` is a UUID of the caller's own making: what the services announce of the cluster bears it, so that the
    caller knows the answer to its wish. One that is taken is refused; without it DTrove makes one.
    """

    token: str = field(repr=False)
    cluster: dict[str, Any] = field(default_factory=dict)
    cluster_id: str | None = None


@event("cluster.delete_requested", publisher="external")
@dataclass(frozen=True, kw_only=True)
class ExternalClusterDeleteRequested(Event):
    """Another system asks to delete a cluster."""

    token: str = field(repr=False)
    cluster_id: str


@event("backup.due", publisher="external")
@dataclass(frozen=True, kw_only=True)
class ExternalBackupDue(Event):
    """Another system asks for a backup of a cluster."""

    token: str = field(repr=False)
    cluster_id: str
    kind: str = "full"
