"""MariaDB's data as SQL, by mariadb-dump: in one snapshot as far as tables are transactional, with routines, triggers and events.

Rows are counted in a snapshot of their own, just before: whoever writes meanwhile is in one of the two.

Source: MariaDB's documentation, "mariadb-dump", "JSON_OBJECT" and "Information Schema TABLES Table".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.exporting import Exporting, chosen, named, sample
from services.datastore_agentless.datastores.mysql.grants import text
from services.datastore_agentless.domain.export import Choice
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Run, Script, quote

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.mysql.manager import MySQLManager

_OWN = "'information_schema', 'performance_schema', 'sys', 'mysql'"
CLIENT = "mysql --protocol=socket -uroot -N -B -r --default-character-set=utf8mb4"


class MariaDbExporting(Exporting):
    """As the server's superuser over its socket, on a primary and on a replica alike."""

    manager: MySQLManager
    engine = "mysql"

    @property
    def tool(self) -> str:
        """Its own name since 10.5."""
        return "mariadb-dump"

    def databases(self, node: Instance, choice: Choice) -> Script:
        """All but the server's own."""
        told = yield Run(CLIENT, title="see what databases there are", stdin=_THERE, changes=False,
                         sample=sample(choice, "shop"))  # fmt: skip
        return chosen(choice, named(told.stdout))

    def sends(self, node: Instance, choice: Choice, databases: Sequence[str]) -> str:
        """Databases with what creates them; of chosen tables only these."""
        wanted = f"TABLE_SCHEMA IN ({', '.join(map(text, databases))})"
        if choice.tables:
            wanted += f" AND TABLE_NAME IN ({', '.join(map(text, choice.tables))})"
        names = [*databases, *choice.tables]
        return _SEND.format(client=CLIENT, count=quote(COUNT.format(wanted=wanted)), tool=self.tool,
                            many="" if choice.tables else "--databases", names=" ".join(map(quote, names)))  # fmt: skip

    def restore(self, choice: Choice) -> str:
        """Databases are created by what is read; tables go into one that is there."""
        return f"mariadb -D {quote(choice.databases[0])}" if choice.tables else "mariadb"


_THERE = f"SELECT JSON_OBJECT('database', SCHEMA_NAME) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN ({_OWN}) ORDER BY 1;\n"

# Statements are made of names by the server itself, and given back to it.
COUNT = """SET SESSION sql_mode = '';
SELECT CONCAT('SELECT JSON_OBJECT(''database'', ', QUOTE(TABLE_SCHEMA), ', ''table'', ', QUOTE(TABLE_NAME), ', ''rows'', COUNT(*)) FROM `',
  REPLACE(TABLE_SCHEMA, '`', '``'), '`.`', REPLACE(TABLE_NAME, '`', '``'), '`;')
FROM information_schema.TABLES WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') AND {wanted} ORDER BY TABLE_SCHEMA, TABLE_NAME;
"""

_SEND = """count={count}
{{ echo "SET SESSION sql_mode = ''; START TRANSACTION WITH CONSISTENT SNAPSHOT;"; {client} <<< "$count"; }} | {client} |
  while IFS= read -r line; do printf 'say %s\\n' "$line" >&7; done
{tool} --protocol=socket -uroot --default-character-set=utf8mb4 --single-transaction --quick --hex-blob --routines --triggers --events \\
  {many} -- {names}
"""
