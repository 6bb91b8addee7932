"""A cluster as datastore_agentless knows it: the nodes to expect and the administrator's login."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.errors import Conflict
from shared.secrets import Secret


class Status(StrEnum):
    """Where a cluster stands on its way. One that is stopped is so by a user's wish, from the first engine that is stopped to the
    last one that serves again: nobody watches it, and nobody mends it.
    """

    EXPECTED = "expected"
    ACTIVE = "active"
    STOPPED = "stopped"
    FAILED = "failed"
    DELETING = "deleting"
    DELETED = "deleted"


TRANSITIONS = {
    Status.EXPECTED: {Status.ACTIVE, Status.FAILED, Status.DELETING, Status.DELETED},
    Status.ACTIVE: {Status.STOPPED, Status.FAILED, Status.DELETING, Status.DELETED},
    Status.STOPPED: {Status.ACTIVE, Status.DELETING, Status.DELETED},
    Status.FAILED: {Status.EXPECTED, Status.ACTIVE, Status.DELETING, Status.DELETED},
    Status.DELETING: {Status.DELETED},
    Status.DELETED: set(),
}


AUTOMATIC = "automatic"
GOING = (Status.DELETING, Status.DELETED)


@dataclass
class Cluster:
    """One cluster; `datastore_id` names its entry in the catalogue.

    `primary_id` is the node that takes writes, the only word on who that is; empty for a cluster of one node that an older
    release has made. `mode` is how its primary acknowledges writes (datastores.base.topology), empty where there are no replicas.
    `failover` is AUTOMATIC where a primary that is proven dead is replaced without being asked; `failover_at` when a user last chose.
    `parameters` are what users have chosen for its engines, beside what DTrove sets itself.
    `addr` is the cluster's own address, empty where it has none; `addr_leads_to` the instance that it is known to lead to, empty
    from when it is to lead to another one until it does.
    `restore_id` is the backup that it begins with, empty for none; `restored_server` the server that has the data of it;
    `restore_time` the moment up to which these take the log of after the backup, None for the backup's own.
    `history` says which data these are: empty for those that it has grown up with, else the restore in place that has brought them.
    `proof` is what that backup is to be proved by, where the cluster is for nothing else; empty for a user's cluster.
    """

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
    replication_password: Secret = field(default_factory=lambda: Secret(""))
    mode: str = ""
    primary_id: str = ""
    failover: str = AUTOMATIC
    failover_at: datetime | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    addr: str = ""
    addr_leads_to: str = ""
    restore_id: str = ""
    restored_server: str = ""
    restore_time: datetime | None = None
    proof: dict[str, Any] = field(default_factory=dict)
    history: str = ""
    status: Status = Status.EXPECTED

    def leads(self, instance_id: str) -> bool:
        """Whether an instance is the primary."""
        return self.primary_id in ("", instance_id)

    @property
    def is_found(self) -> bool:
        """Whether its own address, if it has one, leads to its primary."""
        return not self.addr or self.addr_leads_to == self.primary_id

    def become(self, status: Status) -> None:
        """Move to `status`; repeating the current one is allowed. Raises Conflict on any other move."""
        if status != self.status and status not in TRANSITIONS[self.status]:
            raise Conflict(f"cluster {self.id} is {self.status} and cannot become {status}")
        self.status = status
