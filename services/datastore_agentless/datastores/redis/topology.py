"""Redis's replication, set live and kept in a file of its own that redis.conf includes.

Source: Redis's documentation, "Redis replication" and the `replication` section of INFO.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.topology import REPLICATION_USER, STREAMS, Topology
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Phase, Put, Result, Script
from shared.secrets import Secret

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.redis.manager import RedisManager

ROLE_FILE = "/etc/redis/dtrove-role.conf"


class RedisReplication(Topology):
    """A primary, and replicas that only read. A write is acknowledged before a replica has it: Redis knows no other way."""

    manager: RedisManager

    def admit(self, primary: Instance, replica: Instance) -> Script:
        """Nothing to do: the login for replication is in every node's access list, and the backlog serves whoever comes."""
        yield from ()

    def join(self, replica: Instance, primary: Instance) -> Script:
        """Follow now, and after a restart."""
        yield Phase("following the primary", 20)
        login = {"masteruser": REPLICATION_USER, "masterauth": replica.replication_password.reveal(),
                 "replica-announce-ip": replica.addr}  # fmt: skip
        lines = [f"{name} {value}" for name, value in login.items()]
        yield Put(ROLE_FILE, Secret("\n".join([*lines, f"replicaof {primary.addr} {self.manager.port}", ""])), mode=0o640,
                  owner="redis:redis", title="write whom to follow")  # fmt: skip
        words = [*(f"CONFIG SET {name} {self.manager.argument(value)}" for name, value in login.items()),
                 f"REPLICAOF {self.manager.argument(primary.addr)} {self.manager.port}"]  # fmt: skip
        answer = yield self.manager.asked(replica, *words, title=f"follow {primary.name}", sample="OK\n")
        _see_all_well(answer, f"{replica.name} does not follow {primary.name}")

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


def _see_all_well(answer: Result, what: str) -> None:
    """Raise CommandFailed where one of several answers is an error: redis-cli's exit code does not say."""
    wrong = [line for line in answer.stdout.splitlines() if line.startswith(("ERR", "WRONGPASS", "NOPERM", "NOAUTH"))]
    if wrong:
        raise CommandFailed(f"{what}: {wrong[0]}", code=1, stderr="\n".join(wrong), what_to_do="retry the operation")
