"""Redis's replication, set live and kept in a file of its own that redis.conf includes.

Source: Redis's documentation, "Redis replication" and the `replication` section of INFO.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.datastore_agentless.datastores.base.topology import STREAMS
from services.datastore_agentless.datastores.redis.takeover import Takeover
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Phase, Script


class RedisReplication(Takeover):
    """A primary, and replicas that only read. A write is acknowledged before a replica has it: Redis knows no other way."""

    def admit(self, primary: Instance, replica: Instance) -> Script:
        """Nothing to do: the login for replication is in every node's access list, and the backlog serves whoever comes."""
        yield from ()

    def join(self, replica: Instance, primary: Instance, source: Instance) -> Script:
        """Follow now, and after a restart. Its own data give way once the primary's have come."""
        yield Phase("following the primary", 20)
        yield from self.follow(replica, primary)

    def following(self, replica: Instance, primary: Instance) -> Script:
        """Ask the replica's link to its primary."""
        answer = yield self.manager.asked(
            replica, "INFO replication", title="see whether it follows", changes=False,
            sample=f"role:slave\nmaster_host:{primary.addr}\nmaster_link_status:up\nmaster_sync_in_progress:0\n",
        )  # fmt: skip
        told = self.manager.told(answer)
        if told.get("role") != "slave" or told.get("master_host") != primary.addr:
            return f"it follows {told.get('master_host') or 'nobody'}"
        if told.get("master_sync_in_progress") == "1":
            return f"it copies the data of {primary.name}"
        return STREAMS if told.get("master_link_status") == "up" else "its line to the primary is down"

    def protect(self, primary: Instance, replicas: Sequence[Instance], mode: str) -> Script:
        """Nothing to do: there is one mode."""
        yield from ()
