"""A cluster as datastore_agentless knows it: the nodes to expect and the administrator's login."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from shared.errors import Conflict
from shared.secrets import Secret


class Status(StrEnum):
    """Where a cluster stands on its way."""

    EXPECTED = "expected"
    ACTIVE = "active"
    FAILED = "failed"
    DELETING = "deleting"
    DELETED = "deleted"


TRANSITIONS = {
    Status.EXPECTED: {Status.ACTIVE, Status.FAILED, Status.DELETING, Status.DELETED},
    Status.ACTIVE: {Status.FAILED, Status.DELETING, Status.DELETED},
    Status.FAILED: {Status.EXPECTED, Status.ACTIVE, Status.DELETING, Status.DELETED},
    Status.DELETING: {Status.DELETED},
    Status.DELETED: set(),
}


@dataclass
class Cluster:
    """One cluster; `datastore_id` names its entry in the catalogue."""

    id: str
    project_id: str
    operation_id: str
    name: str
    datastore_id: str
    size: int
    ram_mb: int
    vcpus: int
    volume_gb: int = 0
    admin_user: str = ""
    admin_password: Secret = field(default_factory=lambda: Secret(""))
    status: Status = Status.EXPECTED

    def become(self, status: Status) -> None:
        """Move to `status`; repeating the current one is allowed. Raises Conflict on any other move."""
        if status != self.status and status not in TRANSITIONS[self.status]:
            raise Conflict(f"cluster {self.id} is {self.status} and cannot become {status}")
        self.status = status
