"""An instance as datastore_agentless knows it: a host over SSH and the database node on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from shared.errors import Conflict
from shared.secrets import Secret


class Status(StrEnum):
    """Where a node stands on its way."""

    EXPECTED = "expected"
    PREPARING = "preparing"
    READY = "ready"
    FAILED = "failed"
    DELETED = "deleted"


TRANSITIONS = {
    Status.EXPECTED: {Status.PREPARING, Status.FAILED, Status.DELETED},
    Status.PREPARING: {Status.READY, Status.FAILED, Status.DELETED},
    Status.READY: {Status.PREPARING, Status.FAILED, Status.DELETED},
    Status.FAILED: {Status.PREPARING, Status.DELETED},
    Status.DELETED: set(),
}


@dataclass
class Instance:
    """A host that carries (or will carry) a node of a cluster. Sizes in MB and GB.

    `data_dir` is the root under which the manager keeps its data: the volume's mount point, or empty for the engine's own default.
    `admin_user`/`admin_password` are the database administrator's login that the manager sets up.
    """

    id: str
    cluster_id: str
    name: str
    addr: str = ""
    user: str = ""
    ssh_port: int = 22
    local_id: str = ""
    server: str = ""
    host_key: str = ""
    ram_mb: int = 0
    vcpus: int = 1
    volume_gb: int = 0
    volume_device: str = ""
    data_dir: str = ""
    admin_user: str = ""
    admin_password: Secret = field(default_factory=lambda: Secret(""))
    parameters: dict[str, str] = field(default_factory=dict)
    reach: dict[str, str] = field(default_factory=dict)
    status: Status = Status.EXPECTED

    def become(self, status: Status) -> None:
        """Move to `status`; repeating the current one is allowed. Raises Conflict on any other move."""
        if status != self.status and status not in TRANSITIONS[self.status]:
            raise Conflict(f"instance {self.id} is {self.status} and cannot become {status}")
        self.status = status
