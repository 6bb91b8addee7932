"""MariaDB's numbers, and MySQL's. Source: MariaDB's documentation, "Server Status Variables"."""

from __future__ import annotations

from dataclasses import replace

from services.datastore_agentless.datastores.base.counting import MARK, Counting, chosen
from services.datastore_agentless.hosts.base import Run, quote

# Of MySQL's own server some are missing.
_NAMES = {
    "Threads_connected": "connections", "max_connections": "connections_limit", "Binlog_commits": "commits_total",
    "Com_rollback": "rollbacks_total", "Queries": "queries_total", "Slow_queries": "slow_queries_total",
    "Innodb_deadlocks": "deadlocks_total", "Innodb_buffer_pool_reads": "cache_misses_total",
    "Innodb_buffer_pool_read_requests": "reads", "Uptime": "uptime_seconds", "data_bytes": "data_bytes",
    "Binlog_bytes_written": "log_written_bytes_total",
}  # fmt: skip
_LIST = ", ".join(f"'{name}'" for name in _NAMES)
# Each answers in rows of a name and a value. The size comes last, for it is what may fail.
_STATEMENTS = (
    f"SELECT '{MARK}' AS '{MARK}';\nSHOW GLOBAL STATUS WHERE Variable_name IN ({_LIST});\n"
    "SHOW GLOBAL VARIABLES WHERE Variable_name = 'max_connections';\n"
)
_SIZE = "SELECT 'data_bytes', SUM(FILE_SIZE) FROM information_schema.{table};\n"


class MariaDbCounting(Counting):
    """Rows of a name and a value."""

    received = "replication_received_transactions_total"
    sample = (
        f"{MARK}\nVariable_name\tValue\nBinlog_bytes_written\t4096\nBinlog_commits\t7\nCom_rollback\t1\n"
        "Innodb_buffer_pool_read_requests\t914\nInnodb_buffer_pool_reads\t165\nInnodb_deadlocks\t0\nQueries\t10\n"
        "Slow_queries\t0\nThreads_connected\t1\nUptime\t86400\nVariable_name\tValue\nmax_connections\t151\n"
        "data_bytes\tSUM(FILE_SIZE)\ndata_bytes\t25477120\n"
    )

    def __init__(self, *, is_mariadb: bool) -> None:
        table = "INNODB_SYS_TABLESPACES" if is_mariadb else "INNODB_TABLESPACES"
        self._statements = _STATEMENTS + _SIZE.format(table=table)

    def beside(self, asking: Run) -> Run:
        """A line of shell ends with the client's statement, and takes more behind it; else it reads its standard input."""
        if isinstance(asking.command, str):
            return replace(asking, command=f"{asking.command} -e {quote(';' + self._statements)}")
        return replace(asking, stdin=f"{asking.stdin}{self._statements}")

    def read(self, told: str) -> dict[str, float]:
        """The last value of each name, so that a head is none. What came from memory is what was not read from a disk."""
        found = chosen(dict(line.split("\t", 1) for line in told.splitlines() if "\t" in line), _NAMES)
        reads = found.pop("reads", None)
        if reads is not None and "cache_misses_total" in found:
            found["cache_hits_total"] = reads - found["cache_misses_total"]
        return found
