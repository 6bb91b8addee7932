"""An instance as datastore_agentless knows it: a host over SSH and the database node on it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from zlib import crc32

from services.datastore_agentless.domain.key import Key
from shared.errors import Conflict, Failure
from shared.secrets import Secret


class Status(StrEnum):
    """Where a node stands on its way. A replica that is prepared has a database of its own, and follows nobody yet.

    One that leaves is a part of its cluster no more; its server is still there. One that is apart was the primary, or could
    not be asked when another one took over: its data may have parted from the cluster's, and it has to take them anew.
    """

    EXPECTED = "expected"
    PREPARING = "preparing"
    PREPARED = "prepared"
    READY = "ready"
    APART = "apart"
    LEAVING = "leaving"
    FAILED = "failed"
    DELETED = "deleted"


GOING = (Status.LEAVING, Status.DELETED)

TRANSITIONS = {
    Status.EXPECTED: {Status.PREPARING, Status.FAILED, *GOING},
    Status.PREPARING: {Status.PREPARED, Status.READY, Status.FAILED, *GOING},
    Status.PREPARED: {Status.PREPARING, Status.READY, Status.FAILED, *GOING},
    Status.READY: {Status.PREPARING, Status.APART, Status.FAILED, *GOING},
    Status.APART: {Status.READY, Status.FAILED, *GOING},
    Status.LEAVING: {Status.DELETED},
    Status.FAILED: {Status.PREPARING, Status.APART, *GOING},
    Status.DELETED: set(),
}


@dataclass(frozen=True)
class ConnectionInfo:
    """How to log in to a host: `host_key` is the pinned public key, two lines while it is being replaced."""

    host: str
    port: int
    user: str
    private_key: Secret
    passphrase: Secret
    host_key: str


@dataclass
class Instance:
    """A host that carries (or will carry) a node of a cluster. Sizes in MB and GB.

    `operation_id` is the operation under which it has come, or under which it goes.
    `flavor` is the id of what its server is, empty where nobody has said so of it alone.
    `data_dir` is the root under which the manager keeps its data: the volume's mount point, or empty for the engine's own default.
    `admin_user`/`admin_password` are the database administrator's login that the manager sets up, `replication_password` is what
    replicas log in with at their primary. `parameters` are the cluster's, and so is `cluster_addr`, its own address, empty for none. `reach` maps a port to
    the `host:port` where the controller finds it, for addresses that are not routed. `key` is the cluster's SSH key.
    """

    id: str
    cluster_id: str
    name: str
    operation_id: str = ""
    addr: str = ""
    user: str = ""
    ssh_port: int = 22
    local_id: str = ""
    server: str = ""
    host_key: str = ""
    ram_mb: int = 0
    vcpus: int = 1
    flavor: str = ""
    volume_gb: int = 0
    volume_device: str = ""
    data_dir: str = ""
    admin_user: str = ""
    admin_password: Secret = field(default_factory=lambda: Secret(""))
    replication_password: Secret = field(default_factory=lambda: Secret(""))
    parameters: dict[str, str] = field(default_factory=dict)
    cluster_addr: str = ""
    reach: dict[str, str] = field(default_factory=dict)
    clock_ahead: float | None = None
    status: Status = Status.EXPECTED
    key: Key | None = field(default=None, repr=False)

    @property
    def connection_info(self) -> ConnectionInfo:
        """How to connect, with the key stored for this server. Raises Failure where there is none."""
        if self.key is None:
            raise Failure(f"cluster {self.cluster_id} has no SSH key", what_to_do="delete the cluster and make it anew")
        host, port = self.found_at(self.ssh_port)
        return ConnectionInfo(host, port, self.user, self.key.private, self.key.passphrase, self.host_key)

    @property
    def properties(self) -> dict[str, object]:
        """What DTROVE_PREFIX may name: every property that is no secret."""
        return {name: getattr(self, name) for name in PROPERTIES}

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What is never shown of the commands that run on it."""
        return (self.admin_password, self.replication_password)

    @property
    def number(self) -> int:
        """A number of its own among the nodes of a cluster, from 1 to 2**32 - 1, that is the same for as long as it lives."""
        return crc32(self.id.encode()) or 1

    def found_at(self, port: int) -> tuple[str, int]:
        """Where the controller finds a port of this host."""
        if str(port) not in self.reach:
            return self.addr, port
        host, _, text = self.reach[str(port)].rpartition(":")
        return host, int(text)

    def become(self, status: Status) -> None:
        """Move to `status`; repeating the current one is allowed. Raises Conflict on any other move."""
        if status != self.status and status not in TRANSITIONS[self.status]:
            raise Conflict(f"instance {self.id} is {self.status} and cannot become {status}")
        self.status = status


UNNAMED = ("admin_password", "replication_password", "key", "clock_ahead")
PROPERTIES = tuple(item.name for item in fields(Instance) if item.name not in UNNAMED)
