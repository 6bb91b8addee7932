"""PostgreSQL's data by pg_dump, as SQL or in its custom format: each database in a snapshot of its own, in which its rows are counted.

Roles are the cluster's and not a database's: so neither owners nor privileges are in it, and it can be read wherever there is a
PostgreSQL. It is read from the primary: a standby cancels who reads for longer than `max_standby_streaming_delay`, and pg_dump does.

Source: PostgreSQL's documentation, "pg_dump", "pg_restore", "psql" and "Snapshot Synchronization Functions".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.exporting import Exporting, chosen, named, sample
from services.datastore_agentless.datastores.base.proving import as_user
from services.datastore_agentless.datastores.pgsql.accounts import identifier, place, text
from services.datastore_agentless.domain.export import Choice
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Run, Script, quote
from shared.contracts.exports import CUSTOM

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.pgsql.manager import PostgresManager

# The one that is there before any is created.
FIRST = "postgres"


class PostgresExporting(Exporting):
    """As the server's superuser, over its socket."""

    manager: PostgresManager
    engine = "pgsql"
    from_primary = True
    counts_exactly = True

    @property
    def tool(self) -> str:
        """The version's own."""
        return self.manager.program("pg_dump")

    def databases(self, node: Instance, choice: Choice) -> Script:
        """All that anybody may connect to, but templates."""
        psql = (self.manager.program("psql"), "-qXAt", "-v", "ON_ERROR_STOP=1", "-d", FIRST)
        told = yield Run(psql, title="see what databases there are", user="postgres", stdin=_THERE, changes=False,
                         sample=sample(choice, FIRST))  # fmt: skip
        return chosen(choice, named(told.stdout))

    def sends(self, node: Instance, choice: Choice, databases: Sequence[str]) -> str:
        """One dump after the other; of chosen tables only these, each with its schema or else in `public`."""
        tables = [table_of(one) for one in choice.tables]
        options = " ".join(f"-t {quote(f'{identifier(schema)}.{identifier(name)}')}" for schema, name in tables)
        some = ", ".join(f"({text(schema)}, {text(name)})" for schema, name in tables)
        return _SEND.format(
            run=as_user("postgres"), psql=self.manager.program("psql"), tool=self.tool, port=self.manager.port,
            names=" ".join(map(quote, databases)), options=f"{options} --strict-names" if tables else "",
            creates="" if tables or choice.format == CUSTOM else "yes", first=FIRST,
            format="-F c -Z 0" if choice.format == CUSTOM else "-F p",
            count=quote(COUNT.format(some=f"AND (s.nspname, c.relname) IN ({some})" if tables else "")),
        )  # fmt: skip

    def restore(self, choice: Choice) -> str:
        """Databases are created by what is read; tables go into one that is there."""
        into = place(choice.databases[0]) if choice.tables else f"dbname={FIRST}"
        if choice.format == CUSTOM:
            created = "" if choice.tables or choice.databases[0] == FIRST else "--create "
            return f"pg_restore --exit-on-error {created}-d {quote(into)}"
        return f"psql -qX -v ON_ERROR_STOP=1 -d {quote(into)}"


def table_of(name: str) -> tuple[str, str]:
    """A schema, and a table of it."""
    schema, dot, table = name.partition(".")
    return (schema, table) if dot else ("public", name)


_THERE = "SELECT json_build_object('database', datname) FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname;\n"

# Rows of a partitioned table lie in its partitions.
COUNT = """SELECT json_build_object('database', current_database(), 'table', s.nspname || '.' || c.relname, 'rows',
  (xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM ONLY %I.%I', s.nspname, c.relname), false, true, '')))[1]::text::bigint)
FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND s.nspname <> 'information_schema' AND s.nspname !~ '^pg_' {some}
ORDER BY s.nspname, c.relname;
SELECT '';
"""

# The session that has the snapshot counts in it, once all is sent; one that ends at once has no descriptors left. Names go by the
# environment: as an argument one with an equals sign would be taken for more than a name.
_SEND = """count={count}
for name in {names}; do
  export PGDATABASE="$name"
  coproc holder {{ exec {run} {psql} -qXAt -v ON_ERROR_STOP=1 -p {port}; }}
  to=${{holder[1]:-}} from=${{holder[0]:-}} holding=${{holder_PID:-}}
  cat >&"$to" <<'END' || true
SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('idle_session_timeout', 'idle_in_transaction_session_timeout',
  'statement_timeout', 'lock_timeout', 'transaction_timeout') \\g /dev/null
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT pg_export_snapshot();
END
  IFS= read -r snapshot <&"$from" || {{ echo "database $name cannot be looked at" >&2; exit 1; }}
  create=
  if [ -n "{creates}" ]; then
    if [ "$name" = {first} ]; then printf '\\\\connect {first}\\n'; else create=-C; fi
  fi
  {run} {tool} {format} $create --snapshot="$snapshot" --no-owner --no-privileges --no-password -p {port} {options}
  echo "$count" >&"$to" || true
  while IFS= read -r line <&"$from" && [ -n "$line" ]; do printf 'say %s\\n' "$line" >&7; done
  exec {{to}}>&-
  wait "$holding"
done
"""
