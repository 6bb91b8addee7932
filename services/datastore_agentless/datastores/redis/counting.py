"""Redis's numbers. Source: Redis's documentation, "INFO" and "SLOWLOG GET"."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.counting import MARK, Counting, chosen, number
from services.datastore_agentless.hosts.base import Result, Run
from shared.secrets import Secret

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.redis.manager import RedisManager

_SLOW = "dtrove-slow"
_NAMES = {
    "connected_clients": "connections", "maxclients": "connections_limit", "total_commands_processed": "commands_total",
    "evicted_keys": "evictions_total", "expired_keys": "expirations_total", "keyspace_hits": "cache_hits_total",
    "keyspace_misses": "cache_misses_total", "used_memory_dataset": "data_bytes", "used_memory": "memory_used_bytes",
    "maxmemory": "memory_limit_bytes", "uptime_in_seconds": "uptime_seconds",
}  # fmt: skip
_WRITTEN = {"master_repl_offset": "log_written_bytes_total"}
_SECTIONS = ("server", "clients", "memory", "stats", "replication")
# The newest entry's own number says how many there have been; its words are a client's, and come last.
_COMMANDS = (f"ECHO {MARK}", *(f"INFO {one}" for one in _SECTIONS), f"ECHO {_SLOW}", "SLOWLOG GET 1")


class RedisCounting(Counting):
    """Lines `name:value`, then an entry of the log of slow commands."""

    received = "replication_received_bytes_total"
    sample = (
        "uptime_in_seconds:86400\r\nconnected_clients:1\r\nmaxclients:10000\r\nused_memory:1064488\r\n"
        "used_memory_dataset:187968\r\nmaxmemory:268435456\r\ntotal_commands_processed:8\r\nexpired_keys:0\r\n"
        "evicted_keys:0\r\nkeyspace_hits:1\r\nkeyspace_misses:1\r\nrole:master\r\nmaster_repl_offset:1000\r\n"
        f"{_SLOW}\n10\n1795955674\n0\nECHO\n"
    )

    def __init__(self, manager: RedisManager) -> None:
        self._manager = manager

    def beside(self, asking: Run) -> Run:
        """redis-cli reads its commands, the login among them, from its standard input."""
        assert isinstance(asking.stdin, Secret)
        return replace(asking, stdin=Secret("\n".join((asking.stdin.reveal().rstrip("\n"), *_COMMANDS, ""))))

    def read(self, told: str) -> dict[str, float]:
        """What a replica says of the stream to replicas is what it has received of it."""
        before, mark, slow = told.partition(f"{_SLOW}\n")
        info = self._manager.told(Result(stdout=before))
        found = chosen(info, _NAMES)
        if mark:
            newest = number(slow.partition("\n")[0])
            found["slow_queries_total"] = 0.0 if newest is None else newest + 1
        return found if info.get("role") == "slave" else found | chosen(info, _WRITTEN)
