"""MariaDB's restored data: each table checked with its indexes, each row read for a checksum, all rows counted.

Source: MariaDB's documentation, "CHECK TABLE", "CHECKSUM TABLE", "Information Schema TABLES Table" and "mariadb Command-Line Client".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.proving import BASH, READABLE, Proving, as_user, asked, counts, reads
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Script, quote
from shared.contracts.backups import ProofCheck
from shared.secrets import Secret

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.mysql.manager import MySQLManager

_OWN = "'information_schema', 'performance_schema', 'sys'"
# What has its rows elsewhere, or none, has none in a backup. A table that cannot be opened has no engine, and is looked at. The server's
# own logs, of the engine CSV, let nobody lock them.
_ELSEWHERE = "'FEDERATED', 'BLACKHOLE', 'MRG_MyISAM', 'CONNECT', 'SPIDER'"


class MariaDbProving(Proving):
    """Looks as the server's superuser over its socket; asks as the administrator over the network, and not as root."""

    manager: MySQLManager

    def look(self, node: Instance) -> Script:
        """The engine's own tables are looked at, and not counted."""
        whole = yield from reads(READABLE, f"{BASH}{_ASK}{_READ}", "check every table, and read every row")
        found, counted = yield from counts(f"{BASH}{_ASK}{_COUNT}", _COUNTED)
        return found, [whole, *counted]

    def ask(self, node: Instance, name: str, check: ProofCheck) -> Script:
        """In a database of the user's choice, else in none."""
        client = f"mysql --defaults-extra-file=$t -h {quote(node.addr)} -P {self.manager.port} -N -B"
        script = _AS_ADMINISTRATOR.format(client=f"{as_user('mysql')} {client} -D {quote(check.database)}"
                                          if check.database else f"{as_user('mysql')} {client}")  # fmt: skip
        login = self.manager.option_file(node)
        return (yield from asked(name, check, script, Secret(f"{login}{check.sql}\n;\n")))


# The login is what comes first: three lines.
_AS_ADMINISTRATOR = """umask 077; cd /; t=$(mktemp -p /run) || exit 1; trap 'rm -f $t' EXIT
for n in 1 2 3; do IFS= read -r line; printf '%s\\n' "$line"; done > $t
chown mysql $t && {client}
"""

# Names are given to the second client as the first one prints them, in quotes of their own.
_ASK = (
    'ask() { mysql --protocol=socket -uroot -N -B "$@"; }\n'
    "tables() { ask -r <<END\n"
    "SELECT CONCAT($1) FROM (SELECT CONCAT('\\`', REPLACE(TABLE_SCHEMA, '\\`', '\\`\\`'), '\\`.\\`', "
    "REPLACE(TABLE_NAME, '\\`', '\\`\\`'), '\\`') AS t FROM information_schema.TABLES\n"
    "WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') "
    f"AND COALESCE(ENGINE, '') NOT IN ({_ELSEWHERE}) AND TABLE_SCHEMA NOT IN ({_OWN}$2)\n"
    "AND NOT (TABLE_SCHEMA = 'mysql' AND COALESCE(ENGINE, '') = 'CSV')) AS there;\n"
    "END\n}\n"
)
_READ = """said=$(tables "'CHECK TABLE ', t, '; CHECKSUM TABLE ', t, ' EXTENDED;'" '' | ask)
bad=$(awk -F '\\t' '(NF == 4 && tolower($3) == "error") || (NF == 2 && $2 == "NULL")' <<< "$said")
[ -z "$bad" ] || { echo "$bad" >&2; exit 1; }
"""
_COUNT = f"""ask <<'END'
SELECT CONCAT('databases ', COUNT(*)) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN ({_OWN}, 'mysql');
END
tables "'SELECT COUNT(*) FROM ', t, ';'" ", 'mysql'" | ask | awk '{{ t++; n += $1 }} END {{ printf "tables %d\\nrows %.0f\\n", t, n }}'
"""
_COUNTED = "databases 1\ntables 0\nrows 0\n"
