"""What other systems may ask of DTrove over the exchange `external.events`, each with a project's token."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from shared.contracts.base import Event, event


@event("cluster.requested", publisher="external")
@dataclass(frozen=True, kw_only=True)
class ExternalClusterRequested(Event):
    """Another system asks for a cluster; `cluster` is the body that POST /v1/clusters takes."""

    token: str = field(repr=False)
    cluster: dict[str, Any] = field(default_factory=dict)


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
