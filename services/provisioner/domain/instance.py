"""An instance: one server of a cluster, as the provisioner knows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from shared.contracts.values import Flavor
from shared.errors import Conflict
from shared.secrets import Secret


class Status(StrEnum):
    """Where a server stands on its way."""

    REQUESTED = "requested"
    BUILDING = "building"
    ACTIVE = "active"
    OFF = "off"
    FAILED = "failed"
    DELETING = "deleting"
    DELETED = "deleted"


# An instance that should have a server at its provider, whether that is to run or was switched off.
HOLDING = (Status.ACTIVE, Status.OFF)

TRANSITIONS = {
    Status.REQUESTED: {Status.BUILDING, Status.FAILED, Status.DELETING, Status.DELETED},
    Status.BUILDING: {Status.ACTIVE, Status.FAILED, Status.DELETING},
    Status.ACTIVE: {Status.OFF, Status.FAILED, Status.DELETING},
    Status.OFF: {Status.ACTIVE, Status.FAILED, Status.DELETING},
    Status.FAILED: {Status.BUILDING, Status.DELETING},
    Status.DELETING: {Status.DELETED, Status.FAILED},
    Status.DELETED: set(),
}


@dataclass
class Volume:
    """A disk of its own for an instance's data. `id` is the provider's; sizes in GB."""

    size_gb: int
    id: str = ""
    mount_point: str = ""
    device: str = ""
    mounted: bool = False


@dataclass
class Instance:
    """One server. A provider fills `server`, `addr`, `user`, `local_id`, `server_status`, `progress`, `message`, `volume`.

    `host_key_private` is the key that the server is born with (OpenSSH text); it goes to the provider only.
    `server_status` is one of BUILD, ACTIVE, SHUTOFF, ERROR, DELETED, UNKNOWN, whatever the provider's own words are.
    `port` is where its database will answer, 0 for unknown: what a provider opens to clients.
    `account` is the project in whose account of the cloud it is (see Delegation), empty for the service's own.
    `epoch` is that of the claim under which a provider is asked, 0 where nobody can take over; it is not stored.
    `reach` maps a port to `host:port` where the server is not routed (see InstanceActive).
    """

    id: str
    cluster_id: str
    project_id: str
    operation_id: str
    name: str
    image: str
    flavor: Flavor
    public_key: str = ""
    host_key: str = ""
    host_key_private: Secret = field(default_factory=lambda: Secret(""))
    status: Status = Status.REQUESTED
    server: str = ""
    addr: str = ""
    user: str = ""
    local_id: str = ""
    ssh_port: int = 22
    port: int = 0
    server_status: str = "UNKNOWN"
    progress: int = 0
    message: str = ""
    volume: Volume | None = None
    reach: dict[str, str] = field(default_factory=dict)
    account: str = ""
    epoch: int = 0

    def become(self, status: Status) -> None:
        """Move to `status`; repeating the current one is allowed. Raises Conflict on any other move."""
        if status != self.status and status not in TRANSITIONS[self.status]:
            raise Conflict(f"instance {self.id} is {self.status} and cannot become {status}")
        self.status = status
