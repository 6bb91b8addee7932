"""PostgreSQL's restored data: each row read as a dump reads it, each index held against its table, all rows counted.

What is read has its checksum looked at by the server. Source: PostgreSQL's documentation, "pg_amcheck", "pg_dumpall" and "psql".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.proving import BASH, READABLE, Proving, as_user, asked, counts, reads
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Script, quote
from shared.contracts.backups import ProofCheck

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.pgsql.manager import PostgresManager

INDEXES = "indexes"


class PostgresProving(Proving):
    """As the server's superuser, over its socket."""

    manager: PostgresManager

    def look(self, node: Instance) -> Script:
        """Indexes are looked at from PostgreSQL 14 on."""
        run, program = as_user("postgres"), self.manager.program
        whole = yield from reads(
            READABLE, f"cd /; exec {run} {program('pg_dumpall')} -w -p {self.manager.port} >/dev/null", "read every row"
        )
        checked = yield from reads(INDEXES, _CHECK.format(run=run, program=program("pg_amcheck"), port=self.manager.port),
                                   "hold every index against its table")  # fmt: skip
        found, counted = yield from counts(_COUNT.format(psql=f"{run} {program('psql')}"), _COUNTED)
        return found, [whole, checked, *counted]

    def ask(self, node: Instance, name: str, check: ProofCheck) -> Script:
        """In a database of the user's choice, else in `postgres`."""
        client = f"{as_user('postgres')} {self.manager.program('psql')} -qXAt -v ON_ERROR_STOP=1"
        script = f"cd /; PGDATABASE={quote(check.database or 'postgres')}; export PGDATABASE; exec {client}"
        return (yield from asked(name, check, script, f"{check.sql}\n;\n"))


_CHECK = """cd /
[ -x {program} ] || {{ echo 'this version has no pg_amcheck'; exit 0; }}
exec {run} {program} --all --install-missing --heapallindexed -w -p {port}
"""

_COUNTED = "databases 1\ntables 0\nrows 0\n"
# A name may hold anything but a null byte. Rows of a partitioned table lie in its partitions.
_COUNT = (
    BASH.replace("{", "{{").replace("}", "}}")
    + """ask() {{ {psql} -qXAt -v ON_ERROR_STOP=1 "$@"; }}
databases=0 tables=0 rows=0 names=$(mktemp -p /run); trap 'rm -f "$names"' EXIT
ask -0 -d postgres > "$names" <<'END'
SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1;
END
while IFS= read -r -d '' name; do
  told=$(export PGDATABASE="$name"; ask -F ' ' <<'END'
SELECT count(*), coalesce(sum((xpath('/row/n/text()', query_to_xml(
  format('SELECT count(*) AS n FROM ONLY %I.%I', s.nspname, c.relname), false, true, '')))[1]::text::bigint), 0)
FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND s.nspname <> 'information_schema' AND s.nspname !~ '^pg_';
END
  )
  read -r more lines <<< "$told"
  databases=$((databases + 1)) tables=$((tables + more)) rows=$((rows + lines))
done < "$names"
echo "databases $databases"; echo "tables $tables"; echo "rows $rows"
"""
)
