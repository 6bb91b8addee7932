"""How PostgreSQL's rows are counted beside a base backup, and how its log says what was written meanwhile.

The log of the time of the backup is on the node, a standby's as well: `pg_waldump` says which heaps it has changes of. A transaction that
has written before the count began, and is committed later, changes what is seen without a line there: so the count begins once all those
have ended which were open when the log was noted.

Source: PostgreSQL's documentation, "pg_waldump", "System Administration Functions", "System Information Functions" and "psql".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.proving import as_user
from services.datastore_agentless.datastores.base.tallying import MB, Bounds, TableTallying
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import quote

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.pgsql.manager import PostgresManager

# Reading more of the log than that would take longer than it is worth.
MOST_LOG_MB = 512


class PostgresTallying(TableTallying):
    """As the server's superuser, over its socket. The word of a table is its database's number and its file's: a table that was
    rewritten has another one.
    """

    manager: PostgresManager

    def settles(self, node: Instance) -> str:
        """The log is noted first, and what is open after that: what begins in between is in the log."""
        return self._ask() + _SETTLES

    def counts(self, node: Instance, bounds: Bounds) -> str:
        """Of the tables that a backup has rows of; those that are partitioned have theirs in their partitions."""
        return self._ask() + _COUNTS.format(counted=bounds.counted_mb * MB, summed=bounds.summed_mb * MB, each=bounds.each,
                                            most=bounds.most, tables=_TABLES)  # fmt: skip

    def changes(self, node: Instance) -> str:
        """By what the log has of heaps, whatever the transactions came to."""
        waldump = f"{as_user('postgres')} {self.manager.program('pg_waldump')}"
        return self._ask() + _CHANGES.format(waldump=waldump, log=quote(f"{self.manager.data_path(node)}/pg_wal"),
                                             most=MOST_LOG_MB * MB)  # fmt: skip

    def _ask(self) -> str:
        return f'ask() {{ {as_user("postgres")} {self.manager.program("psql")} -qXAt -p {self.manager.port} -F "$tab" "$@"; }}\n'


# The next transaction's number, which a standby knows as well: `age` is counted from it, in 32 bits. A snapshot alone leaves out what is open
# and younger than the last one that has ended.
_SETTLES = """{ read -r since; read -r horizon; } < <(ask -v ON_ERROR_STOP=1 -d postgres <<'END'
SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END;
SELECT most + ((age('3'::xid)::bigint + 3 - most) & 4294967295) FROM txid_snapshot_xmax(txid_current_snapshot()) AS most;
END
)
[[ $since =~ ^[0-9A-F]+/[0-9A-F]+$ && $horizon =~ ^[0-9]+$ ]] || { echo 'the log does not say where it stands' >&2; exit 1; }
echo "$since" > "$tally/since"
until [ "$(ask -d postgres -c "SELECT txid_snapshot_xmin(txid_current_snapshot()) >= $horizon")" = t ]; do sleep 0.2; done
: > "$tally/settled"
"""

# How values are written is set by the client here, for it follows from the parameters of a server, which no backup has. What cannot be
# read in time is left out: psql goes on with the next. So is a database that is gone by now. The size of a table is that of its files, of
# which each has a GB at most: to ask for it in any other way waits for locks.
_COUNTS = r"""names=$(mktemp -p /run); trap 'rm -f "$names"' EXIT
ask -v ON_ERROR_STOP=1 -0 -d postgres > "$names" <<'END'
SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1;
END
while IFS= read -r -d '' name; do
  ( export PGDATABASE="$name"; ask <<'END'
SET default_transaction_read_only = on; SET statement_timeout = '{each}s'; SET lock_timeout = '2s';
SET max_parallel_workers_per_gather = 0; SET search_path = ''; SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY';
SET IntervalStyle = 'postgres'; SET bytea_output = 'hex'; SET extra_float_digits = 1; SET xmlbinary = 'base64'; SET lc_monetary = 'C';
SELECT 'tables', count(*) FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace WHERE {tables};
SELECT format('SELECT ''table'', %L, %L, %L, count(*), %s, ''.'' FROM ONLY %I.%I AS dtrove_row',
  encode(convert_to(current_database(), 'UTF8'), 'hex'), encode(convert_to(s.nspname || '.' || c.relname, 'UTF8'), 'hex'),
  (SELECT oid FROM pg_database WHERE datname = current_database()) || '/' || pg_relation_filenode(c.oid),
  CASE WHEN size <= {summed} THEN 'coalesce(sum(hashtextextended(dtrove_row::text, 0)::numeric), 0)' ELSE quote_literal('') END,
  s.nspname, c.relname)
FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace, LATERAL (SELECT sum((pg_stat_file(pg_relation_filepath(one), true)).size) AS size
  FROM unnest(ARRAY[c.oid, nullif(c.reltoastrelid, 0)]) AS one WHERE one IS NOT NULL) AS seen
WHERE {tables} AND size < {counted} ORDER BY size, c.oid LIMIT {most} \gexec
END
  ) || true
done < "$names"
"""
# The log tells of heaps alone, and has nothing of what does not outlast a crash.
_TABLES = (
    "c.relkind = 'r' AND c.relpersistence = 'p' AND s.nspname <> 'information_schema' AND s.nspname !~ '^pg_' "
    "AND coalesce((SELECT amname FROM pg_am a WHERE a.oid = c.relam), 'heap') = 'heap'"
)

_CHANGES = """since=$(cat "$tally/since")
read -r upto line same much < <(ask -v ON_ERROR_STOP=1 -v since="$since" -F ' ' -d postgres <<'END'
SELECT upto, timeline_id, upto = :'since'::pg_lsn, pg_wal_lsn_diff(upto, :'since') > {most} FROM pg_control_checkpoint(),
(SELECT CASE WHEN pg_is_in_recovery() THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
  ELSE pg_current_wal_flush_lsn() END AS upto) AS now;
END
)
[ "$much" = f ] || {{ echo 'too much was written while the backup was made' >&2; exit 1; }}
[ "$same" = f ] || exit 0
{waldump} -p {log} -t "$line" -s "$since" -e "$upto" | awk '
  /^rmgr: Heap2? / && / desc: (MULTI_INSERT|INSERT|DELETE|UPDATE|HOT_UPDATE|INPLACE)/ {{
    while (match($0, "rel [0-9]+/[0-9]+/[0-9]+")) {{
      split(substr($0, RSTART + 4, RLENGTH - 4), place, "/"); seen[place[2] "/" place[3]] = 1; $0 = substr($0, RSTART + RLENGTH)
    }}
  }}
  # The files of tables that were emptied, rewritten or dropped go with the commit, as in `rels: base/5/16394 base/5/16400`.
  /^rmgr: Transaction / && / COMMIT / && match($0, "; rels:[^;]*") {{
    count = split(substr($0, RSTART + 7, RLENGTH - 7), paths, " ")
    for (n = 1; n <= count; n++) {{ depth = split(paths[n], place, "/"); seen[place[depth - 1] "/" place[depth]] = 1 }}
  }}
  END {{ for (one in seen) print "changed\t" one }}'
"""
