"""What pg_dump has made, back into PostgreSQL by psql and pg_restore: in one transaction, but for databases that are made by it.

A database cannot be created in a transaction: those are new, and are dropped again where the import fails. What the stream makes
belongs to the superuser at first, for it names nobody; then to the roles of its database, or to the administrator.

Source: PostgreSQL's documentation, "psql" (options -1 and -f), "pg_restore", "ALTER TABLE", "ALTER ROUTINE" and "pg_depend".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.importing import NAMED, Importing
from services.datastore_agentless.datastores.base.proving import as_user
from services.datastore_agentless.datastores.pgsql import grants
from services.datastore_agentless.datastores.pgsql.accounts import place, text
from services.datastore_agentless.datastores.pgsql.exporting import COUNT, FIRST, table_of
from services.datastore_agentless.domain.account import Change
from services.datastore_agentless.domain.importing import Contents
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Run, Script, quote
from shared.contracts.accounts import Action
from shared.contracts.exports import CUSTOM

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.pgsql.manager import PostgresManager


class PostgresImporting(Importing):
    """As the server's superuser, over its socket, and on the host as nobody but that."""

    manager: PostgresManager
    engine = "pgsql"

    def sees(self, node: Instance, contents: Contents) -> str:
        """Databases that are to be made, or tables; in the one that is always there any table, where it is to get some."""
        if contents.tables:
            return self._asks(contents.databases[0], _TABLES.format(some=f"AND {_these(contents.tables)}", named=NAMED))
        made = ", ".join(map(text, _made(contents)))
        databases = self._asks(FIRST, f"SELECT 'database ' || datname FROM pg_database WHERE datname IN ({made});\n")
        first = self._asks(FIRST, _TABLES.format(some="", named=NAMED))
        return "\n".join(([databases] if made else []) + ([first] if _fills_first(contents) else []))

    def load(self, node: Instance, contents: Contents) -> str:
        """By one transaction, unless it makes databases."""
        some = f"AND {_these(contents.tables)}" if contents.tables else ""
        return _LOAD.format(reader=self._reader(contents), run=as_user("postgres"), psql=self.manager.program("psql"),
                            port=self.manager.port, count=quote(COUNT.format(some=some)),
                            names=" ".join(map(quote, contents.databases)))  # fmt: skip

    def drop(self, node: Instance, contents: Contents) -> Script:
        """The databases that it makes; what was one transaction is all there, or nothing is."""
        keeper = self.manager.accounts
        for name in _made(contents):
            if keeper is None or contents.tables:
                return
            yield from keeper.delete_database(node, Change(Action.DELETE_DATABASE, database=name))

    def settle(self, node: Instance, contents: Contents) -> Script:
        """Databases with the roles of one that was made here, and what is in them with their owner."""
        keeper = self.manager.accounts
        made = [] if contents.tables or keeper is None else _made(contents)
        some = f"AND {_these(contents.tables)}" if contents.tables else ""
        admin = text(node.admin_user)
        hand_over = _HAND_OVER.format(admin=admin, some=some, whole="false" if some else "true")
        for name in contents.databases:
            if keeper and name in made:
                yield from keeper.create_database(node, Change(Action.CREATE_DATABASE, database=name))
                yield self._tell(hand_over, name, f"hand over what has come into {name}")
                continue
            yield self._tell(grants.groups(text(name)), FIRST, f"make the roles of {name}")
            yield self._tell(
                hand_over + grants.INSIDE.format(admin=admin), name, f"hand over what has come into {name}"
            )

    def stays(self, contents: Contents) -> str:
        """Of several databases one is there before and after."""
        if contents.tables or len(contents.databases) == 1 or FIRST not in contents.databases:
            return ""
        return f"what has come into the database {FIRST}, which is always there, stays where the import fails"

    def undone(self, contents: Contents) -> str:
        """What a transaction has not committed was never there."""
        if contents.tables or contents.databases == (FIRST,):
            return "it is one transaction"
        return "the databases that it makes are dropped again"

    def _reader(self, contents: Contents) -> str:
        """What reads the stream. The line by which a stream of the first database alone chooses that would end the transaction."""
        run, port = as_user("postgres"), self.manager.port
        alone = contents.databases == (FIRST,)
        into = place(contents.databases[0]) if contents.tables else f"dbname={FIRST}"
        one = "-1 " if contents.tables or alone else ""
        if contents.format == CUSTOM:
            program, how = self.manager.program("pg_restore"), one or "--create "
            return f"{run} {program} {how}--exit-on-error --no-owner --no-privileges -w -p {port} -d {quote(into)}"
        psql = f"{run} {self.manager.program('psql')} {one}-qX -v ON_ERROR_STOP=1 -w -p {port} -d {quote(into)} -f - >/dev/null"
        return f"{_WITHOUT_CHOICE} | {psql}" if alone and not contents.tables else psql

    def _tell(self, sql: str, database: str, title: str) -> Run:
        psql = (self.manager.program("psql"), "-qXAt", "-v", "ON_ERROR_STOP=1", "-d", place(database))
        return Run(psql, title=title, user="postgres", stdin=sql, timeout=600)

    def _asks(self, database: str, sql: str) -> str:
        psql = (
            f"{as_user('postgres')} {self.manager.program('psql')} -qXAt -v ON_ERROR_STOP=1 -w -p {self.manager.port}"
        )
        return f"printf '%s' {quote(sql)} | {psql} -d {quote(place(database))}"


def _made(contents: Contents) -> list[str]:
    return [name for name in contents.databases if name != FIRST]


def _fills_first(contents: Contents) -> bool:
    return any(one.database == FIRST for one in contents.counted)


def _these(tables: Sequence[str]) -> str:
    some = ", ".join(f"({text(schema)}, {text(name)})" for schema, name in map(table_of, tables))
    return f"(s.nspname, c.relname) IN ({some})"


_TABLES = """SELECT 'table ' || s.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND s.nspname <> 'information_schema' AND s.nspname !~ '^pg_' {some}
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1 LIMIT {named};
"""

# The builtin reads no byte beyond the line.
_WITHOUT_CHOICE = (
    f"{{ IFS= read -r first || true; [ \"$first\" = '\\connect {FIRST}' ] || printf '%s\\n' \"$first\"; cat; }}"
)

_LOAD = """{reader}
count={count}
for name in {names}; do
  export PGDATABASE="$name"
  {run} {psql} -qXAt -v ON_ERROR_STOP=1 -w -p {port} <<< "$count" | while IFS= read -r line; do
    [ -z "$line" ] || printf 'say %s\\n' "$line" >&4
  done
done
"""

# Sequences that belong to a column, and what belongs to an extension, go with that.
_HAND_OVER = """DO $hand_over$ DECLARE
  maker oid := 'postgres'::regrole;
  into_role text := (SELECT CASE WHEN datdba = maker THEN {admin} ELSE pg_get_userbyid(datdba) END
                     FROM pg_database WHERE datname = current_database());
  one text;
BEGIN
  FOR one IN SELECT format('ALTER TABLE %I.%I OWNER TO %I', s.nspname, c.relname, into_role)
      FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
      WHERE c.relowner = maker AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND s.nspname <> 'information_schema'
        AND s.nspname !~ '^pg_' {some} AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
          AND d.objid = c.oid AND (d.deptype = 'e' OR c.relkind = 'S' AND d.deptype IN ('a', 'i'))) LOOP
    EXECUTE one;
  END LOOP;
  IF NOT {whole} THEN RETURN; END IF;
  FOR one IN SELECT format('ALTER ROUTINE %s OWNER TO %I', p.oid::regprocedure, into_role)
      FROM pg_proc p JOIN pg_namespace s ON s.oid = p.pronamespace
      WHERE p.proowner = maker AND s.nspname <> 'information_schema' AND s.nspname !~ '^pg_'
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e') LOOP
    EXECUTE one;
  END LOOP;
  FOR one IN SELECT format('ALTER TYPE %I.%I OWNER TO %I', s.nspname, t.typname, into_role)
      FROM pg_type t JOIN pg_namespace s ON s.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
      WHERE t.typowner = maker AND (t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c') AND s.nspname <> 'information_schema'
        AND s.nspname !~ '^pg_'
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e') LOOP
    EXECUTE one;
  END LOOP;
  FOR one IN SELECT format('ALTER SCHEMA %I OWNER TO %I', s.nspname, into_role) FROM pg_namespace s
      WHERE s.nspowner = maker AND s.nspname NOT IN ('information_schema', 'public') AND s.nspname !~ '^pg_'
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_namespace'::regclass AND d.objid = s.oid AND d.deptype = 'e') LOOP
    EXECUTE one;
  END LOOP;
END $hand_over$;
"""
