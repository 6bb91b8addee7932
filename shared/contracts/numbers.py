"""The numbers of an engine that are known everywhere: what each counts, by the name that it has on the bus and, behind
`dtrove_engine_`, at `/metrics`. Units are bytes and seconds.

What ends in `_total` only grows while the engine runs; all else is as it was at that moment.
"""

from __future__ import annotations

from typing import NamedTuple


class Number(NamedTuple):
    """A number: its name, what it counts, and whose it is."""

    name: str
    words: str
    engines: str

    @property
    def counts(self) -> bool:
        """Whether it only grows."""
        return self.name.endswith("_total")


_ALL = "mysql, pgsql, redis"

NUMBERS = (
    Number("uptime_seconds", "how long the engine has been running", _ALL),
    Number("connections", "clients that are connected", _ALL),
    Number("connections_limit", "how many it lets in", _ALL),
    Number("commits_total", "transactions that were committed; of MariaDB those that wrote", "mysql, pgsql"),
    Number("rollbacks_total", "transactions that were rolled back", "mysql, pgsql"),
    Number("queries_total", "statements that were run", "mysql"),
    Number("commands_total", "commands that were run", "redis"),
    Number("slow_queries_total", "statements or commands that took longer than the engine's own limit (long_query_time, "
           "slowlog-log-slower-than)", "mysql, redis"),
    Number("longest_transaction_seconds", "for how long the oldest open transaction of a client has been open", "pgsql"),
    Number("deadlocks_total", "deadlocks that the engine has broken up", "mysql, pgsql"),
    Number("evictions_total", "keys that had to go for want of memory", "redis"),
    Number("expirations_total", "keys whose time had come", "redis"),
    Number("cache_hits_total", "reads that memory could answer: pages of shared_buffers or of the buffer pool; in Redis "
           "keys that were there", _ALL),
    Number("cache_misses_total", "reads that it could not", _ALL),
    Number("data_bytes", "size of the data: of all databases' files (MariaDB: of InnoDB's); in Redis in memory", _ALL),
    Number("memory_used_bytes", "memory that it has allocated", "redis"),
    Number("memory_limit_bytes", "memory that it may allocate; 0: no limit", "redis"),
    Number("temporary_bytes_total", "written to temporary files by queries that memory was too small for", "pgsql"),
    Number("log_written_bytes_total", "written to the log that replicas follow (WAL, binary log, replication stream), of which a "
           "replica of MariaDB writes one of its own", _ALL),
    Number("replication_received_bytes_total", "how far a replica has received that log", "pgsql, redis"),
    Number("replication_received_transactions_total", "how many transactions a replica has received", "mysql"),
)  # fmt: skip
