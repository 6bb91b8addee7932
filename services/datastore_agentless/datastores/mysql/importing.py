"""What mariadb-dump has made, back into MariaDB: into databases that are not there yet, or as tables that are not.

MariaDB commits with each statement that makes something, so nothing is one transaction: what was made is dropped again where the
import fails. The client does what a line of its input tells it, also on its own host: it runs there as the server's own user
and not as root, and comes in as the administrator.

Source: MariaDB's documentation, "mariadb Command-Line Client", "mariadb-dump" and "SQL statements That Cause an Implicit Commit".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.importing import NAMED, Importing
from services.datastore_agentless.datastores.base.proving import as_user
from services.datastore_agentless.datastores.mysql.exporting import CLIENT, COUNT
from services.datastore_agentless.datastores.mysql.grants import identifier, text
from services.datastore_agentless.domain.account import Change
from services.datastore_agentless.domain.importing import Contents
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Run, Script, quote
from shared.contracts.accounts import Action
from shared.secrets import Secret

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.mysql.manager import MySQLManager


class MariaDbImporting(Importing):
    """What it writes goes into the binary log, and so to every replica."""

    manager: MySQLManager
    engine = "mysql"

    def login(self, node: Instance) -> Secret:
        """The administrator's password as an option file has it."""
        return Secret(self.manager.option_file(node).splitlines()[2])

    def sees(self, node: Instance, contents: Contents) -> str:
        """Databases, or tables and views of one."""
        sql = _DATABASES.format(names=", ".join(map(text, contents.databases)), named=NAMED)
        if contents.tables:
            sql = _TABLES.format(
                database=text(contents.databases[0]), names=", ".join(map(text, contents.tables)), named=NAMED
            )
        return f"printf '%s' {quote(sql)} | {CLIENT}"

    def load(self, node: Instance, contents: Contents) -> str:
        """As the dump has it, then counted by statements that the server makes of its own names."""
        wanted = f"TABLE_SCHEMA IN ({', '.join(map(text, contents.databases))})"
        if contents.tables:
            wanted += f" AND TABLE_NAME IN ({', '.join(map(text, contents.tables))})"
        into = f" -D {quote(contents.databases[0])}" if contents.tables else ""
        return _LOAD.format(user=quote(self.manager.option_file(node).splitlines()[1]), run=as_user("mysql"), into=into,
                            client=CLIENT, count=quote(COUNT.format(wanted=wanted)))  # fmt: skip

    def drop(self, node: Instance, contents: Contents) -> Script:
        """Databases, or tables and views of one."""
        keeper = self.manager.accounts
        if contents.tables:
            names = ", ".join(f"{identifier(contents.databases[0])}.{identifier(one)}" for one in contents.tables)
            sql = f"SET SESSION foreign_key_checks = 0;\nDROP TABLE IF EXISTS {names};\nDROP VIEW IF EXISTS {names};\n"
            yield Run(CLIENT, title="drop the tables that were imported", stdin=sql, timeout=600)
            return
        for name in contents.databases:
            if keeper is None:
                return
            yield from keeper.delete_database(node, Change(Action.DELETE_DATABASE, database=name))

    def stays(self, contents: Contents) -> str:
        """A dump of some tables has all routines and events of their database."""
        if not contents.tables:
            return ""
        return (f"routines and events of the database {contents.databases[0]} that have the names of imported ones are replaced, "
                "and are not put back where the import fails")  # fmt: skip

    def undone(self, contents: Contents) -> str:
        """No statement that makes something can be rolled back."""
        return f"the {'tables' if contents.tables else 'databases'} that it makes are dropped again"


_DATABASES = "SELECT CONCAT('database ', SCHEMA_NAME) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME IN ({names}) LIMIT {named};\n"
_TABLES = (
    "SELECT CONCAT('table ', TABLE_SCHEMA, '.', TABLE_NAME) FROM information_schema.TABLES "
    "WHERE TABLE_SCHEMA = {database} AND TABLE_NAME IN ({names}) LIMIT {named};\n"
)

_LOAD = """f=$(mktemp -p /run)
trap 'rm -f "$f"' EXIT
printf '%s\\n' '[client]' {user} "$login" > "$f"
chown mysql "$f"
{run} mariadb --defaults-extra-file="$f" --protocol=socket --max-allowed-packet=1G{into} >/dev/null
count={count}
{{ echo "SET SESSION sql_mode = '';"; {client} <<< "$count"; }} | {client} |
  while IFS= read -r line; do printf 'say %s\\n' "$line" >&4; done
"""
