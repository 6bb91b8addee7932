"""PostgreSQL's numbers. Source: PostgreSQL's documentation, "The Cumulative Statistics System"."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from services.datastore_agentless.datastores.base.counting import MARK, Counting
from services.datastore_agentless.hosts.base import Run, quote

# The size is asked for by itself: with very many tables it may take too long, and all the rest does not.
_LIMIT = "SET statement_timeout = '1s'"
_STATISTICS = """SELECT json_build_object(
  'connections', (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
  'connections_limit', current_setting('max_connections')::int,
  'commits_total', sum(xact_commit), 'rollbacks_total', sum(xact_rollback),
  'cache_hits_total', sum(blks_hit), 'cache_misses_total', sum(blks_read),
  'deadlocks_total', sum(deadlocks), 'temporary_bytes_total', sum(temp_bytes),
  'uptime_seconds', extract(epoch FROM clock_timestamp() - pg_postmaster_start_time()),
  'longest_transaction_seconds', (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)
    FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()),
  'log_written_bytes_total', CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_lsn() - '0/0' END
) FROM pg_stat_database"""
_SIZE = "SELECT json_build_object('data_bytes', sum(pg_database_size(oid))) FROM pg_database"
_STATEMENTS = (_LIMIT, _STATISTICS, _SIZE)


class PostgresCounting(Counting):
    """Two lines of JSON."""

    received = "replication_received_bytes_total"
    sample = (
        '{"connections" : 2, "connections_limit" : 100, "commits_total" : 900, "rollbacks_total" : 1, '
        '"cache_hits_total" : 85744, "cache_misses_total" : 1165, "deadlocks_total" : 0, "temporary_bytes_total" : 0, '
        '"uptime_seconds" : 86400.1, "longest_transaction_seconds" : 0, "log_written_bytes_total" : 50331800}\n{"data_bytes" : 22577517}\n'
    )

    def beside(self, asking: Run) -> Run:
        """A line of shell ends with psql's own statement, and takes more of them; else psql reads its standard input."""
        if isinstance(asking.command, str):
            more = (f"\\echo {MARK}", *_STATEMENTS)
            return replace(asking, command=asking.command + "".join(f" -c {quote(one)}" for one in more))
        statements = "".join(f"{one};\n" for one in _STATEMENTS)
        return replace(asking, stdin=f"{asking.stdin}\\echo {MARK}\n\\set ON_ERROR_STOP 0\n{statements}")

    def read(self, told: str) -> dict[str, float]:
        """The numbers of each line."""
        found: dict[str, Any] = {}
        for line in told.splitlines():
            try:
                found |= json.loads(line)
            except (ValueError, TypeError):
                continue
        return {name: float(value) for name, value in found.items() if isinstance(value, int | float)}
