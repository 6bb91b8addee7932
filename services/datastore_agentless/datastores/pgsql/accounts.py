"""Databases and users of PostgreSQL.

To each database belong three roles that nobody logs in as: `dtrove_read_<oid>`, `dtrove_write_<oid>`, `dtrove_all_<oid>`. What
they may is set once; a grant is a membership. Whoever may all acts as `dtrove_all_<oid>` when connected to the database, so that
what one of them makes is everybody's, and readers and writers see tables that are made later.

Source: PostgreSQL's documentation, "CREATE ROLE", "ALTER DEFAULT PRIVILEGES", "REASSIGN OWNED", and "psql".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.accounts import PROVEN, AccountKeeper, in_order, see_proven
from services.datastore_agentless.datastores.pgsql import grants
from services.datastore_agentless.datastores.pgsql.hba import put_hba
from services.datastore_agentless.domain.account import Change
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Run, Script
from shared.contracts.accounts import PGSQL, AccountDatabase, AccountGrant, Accounts, AccountUser, Action
from shared.contracts.base import dump
from shared.errors import Failure
from shared.secrets import Secret

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.pgsql.manager import PostgresManager

# Nothing of what follows goes into the server's log, whatever its parameters: not even with an error.
_QUIET = (
    "SET log_min_error_statement = 'panic'; SET log_statement = 'none'; SET log_min_duration_statement = -1;\n"
    "SET log_min_duration_sample = -1; SET standard_conforming_strings = on; SET client_encoding = 'UTF8';\n"
)
_SECONDS = 120.0


class PostgresAccounts(AccountKeeper):
    """Works as the server's superuser, over its socket."""

    manager: PostgresManager
    dialect = PGSQL

    def create_database(self, primary: Instance, change: Change) -> Script:
        """PUBLIC may not connect to it: whoever may was told so."""
        name, more = text(change.database), ""
        if change.character_set or change.collate:
            more = " TEMPLATE template0"
            more += f" ENCODING {text(change.character_set)}" if change.character_set else ""
            more += f" LC_COLLATE {text(change.collate)} LC_CTYPE {text(change.collate)}" if change.collate else ""
        yield self._ask(
            f"SELECT 'CREATE DATABASE ' || quote_ident({name}) || {text(more)} "
            f"WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = {name}) \\gexec\n"
            f"{grants.groups(name)}{grants.owned(name)}",
            title=f"create database {change.database}",
        )  # fmt: skip
        yield self._in_database(change.database, primary)
        answer = yield self._ask(f"SELECT '{PROVEN}' FROM pg_database WHERE datname = {name};\n", changes=False,
                                 title=f"see database {change.database}", sample=PROVEN)  # fmt: skip
        see_proven(answer, f"database {change.database}")

    def delete_database(self, primary: Instance, change: Change) -> Script:
        """Whoever is connected is sent away; its roles go with it."""
        name = text(change.database)
        answer = yield self._ask(
            f"SELECT format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database WHERE datname = {name} \\gexec\n"
            f"{grants.SWEEP}SELECT '{PROVEN}' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = {name});\n",
            title=f"delete database {change.database}", sample=PROVEN,
        )  # fmt: skip
        see_proven(answer, f"the end of database {change.database}")

    def create_user(self, primary: Instance, change: Change) -> Script:
        """Of an ordinary role; one that is there stays what it is, but for its login."""
        user = text(change.user)
        make = (f"SELECT format('CREATE ROLE %I', {user}) WHERE NOT EXISTS "
                f"(SELECT FROM pg_roles WHERE rolname = {user}) \\gexec\n")  # fmt: skip
        yield from self._login(change.user, change.verifier, f"create user {change.user}", make)

    def change_password(self, primary: Instance, change: Change) -> Script:
        """Sessions that are open stay open."""
        yield from self._login(change.user, change.verifier, f"change the password of {change.user}")

    def delete_user(self, primary: Instance, change: Change) -> Script:
        """Shut out first, so that nobody comes in while what it owns is handed over, database by database."""
        user, admin = text(change.user), text(primary.admin_user)
        shut = yield self._ask(
            f"SELECT format('ALTER ROLE %I NOLOGIN', rolname) FROM pg_roles WHERE rolname = {user} \\gexec\n"
            f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = {user} \\g /dev/null\n"
            "SELECT coalesce(json_agg(DISTINCT datname), '[]') FROM pg_database WHERE datallowconn AND (datname = 'postgres' "
            "OR oid IN (SELECT dbid FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass "
            f"AND refobjid = (SELECT oid FROM pg_roles WHERE rolname = {user})));\n",
            title=f"shut {change.user} out", sample='["postgres"]',
        )  # fmt: skip
        for database in json.loads(shut.text or "[]"):
            yield self._ask(
                f"SELECT format('REASSIGN OWNED BY %I TO %I', rolname, {admin}) FROM pg_roles WHERE rolname = {user} \\gexec\n"
                f"SELECT format('DROP OWNED BY %I', rolname) FROM pg_roles WHERE rolname = {user} \\gexec\n",
                title=f"hand over what {change.user} owns in {database}", database=database,
            )  # fmt: skip
        gone = yield self._ask(
            f"SELECT format('DROP ROLE %I', rolname) FROM pg_roles WHERE rolname = {user} \\gexec\n"
            f"SELECT '{PROVEN}' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {user});\n",
            title=f"delete user {change.user}", sample=PROVEN,
        )  # fmt: skip
        see_proven(gone, f"the end of user {change.user}")

    def grant(self, primary: Instance, change: Change) -> Script:
        """Membership in one of the database's roles, and in none of the others."""
        name = text(change.database)
        yield self._ask(grants.groups(name), title=f"make the roles of {change.database}")
        yield self._in_database(change.database, primary)
        answer = yield self._ask(grants.member(name, text(change.user), text(change.privilege), PROVEN),
                                 title=f"let {change.user} {change.privilege} {change.database}", sample=PROVEN)  # fmt: skip
        see_proven(answer, f"the grant to {change.user}")

    def revoke(self, primary: Instance, change: Change) -> Script:
        """No membership."""
        answer = yield self._ask(grants.member(text(change.database), text(change.user), "''", PROVEN),
                                 title=f"shut {change.user} out of {change.database}", sample=PROVEN)  # fmt: skip
        see_proven(answer, f"the end of the grant to {change.user}")

    def enable_root(self, primary: Instance, change: Change) -> Script:
        """Nobody comes in as `postgres` over the network while it has no password."""
        yield from self._let_ask_for_a_password()
        yield from self._login(self.dialect.root, change.verifier, "let postgres log in")

    def disable_root(self, primary: Instance, change: Change) -> Script:
        """Its password goes, and whoever has come by it."""
        answer = yield self._ask(
            f"ALTER ROLE postgres PASSWORD NULL;\n{_END_ROOT}"
            f"SELECT '{PROVEN}' FROM pg_authid WHERE rolname = 'postgres' AND rolpassword IS NULL;\n",
            title="let postgres log in no more", sample=PROVEN,
        )  # fmt: skip
        see_proven(answer, "the end of the superuser's login")

    def tell(self, replica: Instance, changes: Sequence[Change], carried: Secret) -> Script:
        """Files and sessions are each node's own. A role that is gone has no name in the list of sessions."""
        for change in changes:
            if change.action == Action.ENABLE_ROOT:
                yield from self._let_ask_for_a_password()
            elif change.action == Action.DISABLE_ROOT:
                yield self._ask(_END_ROOT, title="end the sessions of postgres")
            elif change.ends_sessions:
                yield self._ask(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usesysid IS NOT NULL "
                    f"AND (usename IS NULL OR usename = {text(change.user)}) \\g /dev/null\n",
                    title=f"end the sessions of {change.user}",
                )  # fmt: skip

    def look(self, primary: Instance, expected: Accounts) -> Script:
        """One statement, one line of JSON."""
        answer = yield self._ask(grants.LOOK.format(admin=text(primary.admin_user)), title="list databases and users",
                                 changes=False, sample=json.dumps(dump(expected)))  # fmt: skip
        try:
            return read(answer.text)
        except (KeyError, TypeError, ValueError) as error:
            raise Failure(f"PostgreSQL does not list its accounts: {answer.text[:200]!r}",
                          what_to_do="look at the database's own log") from error  # fmt: skip

    def _login(self, user: str, verifier: Secret, title: str, before: str = "") -> Script:
        # On a line of its own, so that it is masked wherever the server should quote it.
        secret = text(verifier.reveal())
        answer = yield self._ask(
            f"{before}ALTER ROLE {identifier(user)} LOGIN PASSWORD\n{secret}\n;\n"
            f"SELECT '{PROVEN}' FROM pg_authid WHERE rolname = {text(user)} AND rolcanlogin AND rolpassword =\n{secret}\n;\n",
            title=title, secret=True, sample=PROVEN,
        )  # fmt: skip
        see_proven(answer, f"the login of {user}")

    def _let_ask_for_a_password(self) -> Script:
        """Nodes that an older release has made refuse `postgres` whatever its password."""
        written = yield put_hba(self.manager)
        if written.changed:
            yield self._ask("SELECT pg_reload_conf() \\g /dev/null\n", title="read who may log in")

    def _in_database(self, database: str, primary: Instance) -> Run:
        return self._ask(grants.INSIDE.format(admin=text(primary.admin_user)), database=database,
                         title=f"let the roles of {database} do what they may")  # fmt: skip

    def _ask(self, sql: str, *, title: str, database: str = "postgres", secret: bool = False, changes: bool = True,
             sample: str = "") -> Run:  # fmt: skip
        whole = _QUIET + sql
        return Run(
            (self.manager.program("psql"), "-qXAt", "-v", "ON_ERROR_STOP=1", "-d", place(database)), title=title,
            user="postgres", stdin=Secret(whole) if secret else whole, changes=changes, sample=sample, timeout=_SECONDS,
        )  # fmt: skip


def read(line: str) -> Accounts:
    """The line of JSON. Raises KeyError, TypeError, ValueError."""
    told = json.loads(line)
    databases = [AccountDatabase(**one) for one in told["databases"]]
    users = [
        AccountUser(name=one["name"], grants=tuple(
            AccountGrant(privilege=grant["privilege"], database=grant["database"])
            for grant in sorted(one["grants"], key=lambda grant: grant["database"])))
        for one in told["users"]
    ]  # fmt: skip
    return in_order(databases, users, root=bool(told["root"]))


def text(value: str) -> str:
    """A value as a string of SQL's, with standard_conforming_strings."""
    return "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


def place(database: str) -> str:
    """A database as psql takes it: a bare name might read like a connection string."""
    return "dbname='" + database.replace("\\", "\\\\").replace("'", "\\'") + "'"


_END_ROOT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres' AND client_addr IS NOT NULL "
    "\\g /dev/null\n"
)
