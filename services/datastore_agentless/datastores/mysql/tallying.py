"""How MariaDB's rows are counted beside a hot backup; each table says itself when something was last committed to it.

InnoDB keeps that moment in memory, on a replica as well, for as long as it knows the table, which was opened for the count; of other
engines it is the time of a file.

Source: MariaDB's documentation, "Information Schema TABLES Table" (`UPDATE_TIME`), "CHECKSUM TABLE" and "mariadb Command-Line Client".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.tallying import MB, Bounds, TableTallying
from services.datastore_agentless.domain.instance import Instance

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.mysql.manager import MySQLManager


class MariaDbTallying(TableTallying):
    """As the server's superuser, over its socket. The word of a table is its name."""

    manager: MySQLManager

    def settles(self, node: Instance) -> str:
        """From the second on that has begun: what is open then is committed later, and says so."""
        return _ASK + _SETTLES

    def counts(self, node: Instance, bounds: Bounds) -> str:
        """Of the tables that are files of their own; the engine's are its own."""
        return _ASK + _COUNTS.format(counted=bounds.counted_mb * MB, summed=bounds.summed_mb * MB, each=bounds.each, most=bounds.most,
                                     tables=_TABLES)  # fmt: skip

    def changes(self, node: Instance) -> str:
        """By the time of the last commit."""
        return _ASK + _CHANGES.format(tables=_TABLES)


_ASK = "ask() { mysql --protocol=socket -uroot -N -B --init-command=\"SET time_zone = '+00:00', sql_mode = ''\" \"$@\"; }\n"
_SETTLES = """since=$(ask <<< 'SELECT UNIX_TIMESTAMP();')
[[ $since =~ ^[0-9]+$ ]] || { echo 'the server does not say what time it is' >&2; exit 1; }
echo "$since" > "$tally/since"
: > "$tally/settled"
"""
_TABLES = (
    "TABLE_TYPE = 'BASE TABLE' AND ENGINE IN ('InnoDB', 'Aria', 'MyISAM') "
    "AND TABLE_SCHEMA NOT IN ('information_schema', 'performance_schema', 'sys', 'mysql')"
)
# A checksum comes in a line of its own, behind one that says whose it is: so both are put together here. What cannot be read in time is
# left out: the client goes on with the next.
_COUNTS = """ask <<'END'
SELECT 'tables', COUNT(*) FROM information_schema.TABLES WHERE {tables};
END
statements=$(ask -r <<'END'
SELECT CONCAT("SELECT 'table', '", hex, "', COUNT(*) FROM ", t, ";", IF(size <= {summed}, CONCAT(" CHECKSUM TABLE ", t, " EXTENDED;"), ""))
FROM (SELECT CONCAT(HEX(CONVERT(TABLE_SCHEMA USING utf8mb4)), "', '", HEX(CONVERT(TABLE_NAME USING utf8mb4))) AS hex,
  CONCAT('`', REPLACE(TABLE_SCHEMA, '`', '``'), '`.`', REPLACE(TABLE_NAME, '`', '``'), '`') AS t, COALESCE(DATA_LENGTH, 0) AS size
  FROM information_schema.TABLES WHERE {tables}) AS there
WHERE size <= {counted} ORDER BY size, hex LIMIT {most};
END
)
{{ echo 'SET SESSION max_statement_time = {each}; SET SESSION lock_wait_timeout = 2;'; printf '%s\\n' "$statements"; }} |
  {{ ask --force --unbuffered || true; }} | awk -F '\\t' '
  function tell(sum) {{ if (last != "") {{ print last "\\t" sum "\\t."; fflush() }} last = "" }}
  $1 == "table" && NF == 4 {{ tell(""); last = "table\\t" $2 "\\t" $3 "\\t" $2 "/" $3 "\\t" $4; next }}
  {{ tell($NF == "NULL" ? "" : $NF) }}
  END {{ tell("") }}'
"""
_CHANGES = """since=$(cat "$tally/since")
ask <<END
SELECT CONCAT('changed', CHAR(9), HEX(CONVERT(TABLE_SCHEMA USING utf8mb4)), '/', HEX(CONVERT(TABLE_NAME USING utf8mb4)))
FROM information_schema.TABLES WHERE {tables} AND UNIX_TIMESTAMP(UPDATE_TIME) >= $since;
END
"""
