"""Databases and users of MariaDB. What is changed goes into the binary log, and so to every replica.

Source: MariaDB's documentation, "CREATE USER", "GRANT", "REVOKE", "mysql.db Table" and "mysql.global_priv Table".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from services.datastore_agentless.datastores.base.accounts import PROVEN, AccountKeeper, in_order, see_proven
from services.datastore_agentless.datastores.mysql import grants
from services.datastore_agentless.datastores.mysql.grants import identifier, text
from services.datastore_agentless.domain.account import Change
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Run, Script
from shared.contracts.accounts import MYSQL, AccountDatabase, AccountGrant, Accounts, AccountUser, Action
from shared.errors import Failure
from shared.secrets import Secret

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.mysql.manager import MySQLManager

ANYWHERE = "%"
# A grant to nobody must not make somebody. Neither log of statements hears of what follows.
_QUIET = (
    "SET SESSION sql_log_off = ON, SESSION slow_query_log = OFF, SESSION sql_mode = 'NO_AUTO_CREATE_USER', "
    "SESSION lock_wait_timeout = 30;\n"
)


class MariaAccounts(AccountKeeper):
    """Works as the server's superuser, over its socket."""

    manager: MySQLManager
    dialect = MYSQL

    def create_database(self, primary: Instance, change: Change) -> Script:
        """With the server's usual character set, unless another one is named."""
        more = f" CHARACTER SET {text(change.character_set)}" if change.character_set else ""
        more += f" COLLATE {text(change.collate)}" if change.collate else ""
        answer = yield self._ask(
            f"CREATE DATABASE IF NOT EXISTS {identifier(change.database)}{more};\n" + grants.there(change.database, 1),
            title=f"create database {change.database}", sample=PROVEN,
        )  # fmt: skip
        see_proven(answer, f"database {change.database}")

    def delete_database(self, primary: Instance, change: Change) -> Script:
        """What was granted on it goes as well: another one of that name would be open to the same users."""
        answer = yield self._ask(
            f"DROP DATABASE IF EXISTS {identifier(change.database)};\n" + grants.revoke_all(change.database)
            + grants.there(change.database, 0),
            title=f"delete database {change.database}", sample=PROVEN,
        )  # fmt: skip
        see_proven(answer, f"the end of database {change.database}")

    def create_user(self, primary: Instance, change: Change) -> Script:
        """By `mysql_native_password`, which every client knows."""
        make = f"CREATE USER IF NOT EXISTS {_account(change)} ACCOUNT LOCK;\n"
        yield from self._login(change, f"create user {change.user}", make)

    def change_password(self, primary: Instance, change: Change) -> Script:
        """Sessions that are open stay open."""
        yield from self._login(change, f"change the password of {change.user}")

    def delete_user(self, primary: Instance, change: Change) -> Script:
        """Shut out, sent away, dropped."""
        yield from self._drop(change, f"USER = BINARY {text(change.user)}", f"delete user {change.user}")

    def grant(self, primary: Instance, change: Change) -> Script:
        """The new privileges first, then what is too much: nobody is without for a moment."""
        answer = yield self._ask(
            grants.refuse_unless_there(change.database)
            + grants.give(change.database, _account(change), change.privilege)
            + grants.held(change.database, change.user, change.host, change.privilege),
            title=f"let {change.user} {change.privilege} {change.database}", sample=PROVEN,
        )  # fmt: skip
        see_proven(answer, f"the grant to {change.user}")

    def revoke(self, primary: Instance, change: Change) -> Script:
        """On this database."""
        answer = yield self._ask(
            grants.take(change.database, _account(change)) + grants.held(change.database, change.user, change.host, ""),
            title=f"shut {change.user} out of {change.database}", sample=PROVEN,
        )  # fmt: skip
        see_proven(answer, f"the end of the grant to {change.user}")

    def enable_root(self, primary: Instance, change: Change) -> Script:
        """All, but for writing to a node that only reads."""
        make = (
            f"CREATE USER IF NOT EXISTS {_ROOT} ACCOUNT LOCK;\nGRANT ALL PRIVILEGES ON *.* TO {_ROOT} WITH GRANT OPTION;\n"
            f"REVOKE READ_ONLY ADMIN ON *.* FROM {_ROOT};\n"
        )
        yield from self._login(_root(change), "let root log in", make)

    def disable_root(self, primary: Instance, change: Change) -> Script:
        """The one on the host itself stays: it is DTrove."""
        yield from self._drop(_root(change), _REMOTE_ROOT, "let root log in no more")

    def tell(self, replica: Instance, changes: Sequence[Change], carried: Secret) -> Script:
        """Sessions are each node's own."""
        for change in changes:
            if change.ends_sessions:
                gone = change.action == Action.DISABLE_ROOT
                whose = _REMOTE_ROOT if gone else f"USER = BINARY {text(change.user)}"
                yield self._ask(grants.end_sessions(whose), title=f"end the sessions of {change.user or 'root'}")

    def look(self, primary: Instance, expected: Accounts) -> Script:
        """A line of JSON for each thing."""
        own = (*self.dialect.own_users, primary.admin_user)
        answer = yield self._ask(grants.look(sorted(own), sorted(self.dialect.own_databases)), changes=False,
                                 title="list databases and users", sample=_lines(expected))  # fmt: skip
        try:
            return read(answer.stdout)
        except (KeyError, TypeError, ValueError) as error:
            raise Failure(f"MariaDB does not list its accounts: {answer.text[:200]!r}",
                          what_to_do="look at the database's own log") from error  # fmt: skip

    def _login(self, change: Change, title: str, before: str = "") -> Script:
        # On a line of its own, so that it is masked wherever the server should quote it.
        secret, account = text(change.verifier.reveal()), _account(change)
        answer = yield self._ask(
            f"{before}ALTER USER {account} IDENTIFIED VIA mysql_native_password USING\n{secret}\nACCOUNT UNLOCK;\n"
            f"SELECT IF(COUNT(*) = 1, '{PROVEN}', '') FROM mysql.global_priv WHERE User = {text(change.user)} "
            f"AND Host = {text(change.host)} AND NOT IFNULL(JSON_VALUE(Priv, '$.account_locked'), 0) "
            f"AND JSON_VALUE(Priv, '$.authentication_string') =\n{secret}\n;\n",
            title=title, secret=True, sample=PROVEN,
        )  # fmt: skip
        see_proven(answer, f"the login of {change.user}")

    def _drop(self, change: Change, sessions: str, title: str) -> Script:
        account = _account(change)
        answer = yield self._ask(
            f"ALTER USER IF EXISTS {account} ACCOUNT LOCK;\n{grants.end_sessions(sessions)}DROP USER IF EXISTS {account};\n"
            f"SELECT IF(COUNT(*) = 0, '{PROVEN}', '') FROM mysql.global_priv WHERE User = {text(change.user)} "
            f"AND Host = {text(change.host)};\n",
            title=title, sample=PROVEN,
        )  # fmt: skip
        see_proven(answer, f"the end of {change.user}")

    def _ask(self, sql: str, *, title: str, secret: bool = False, changes: bool = True, sample: str = "") -> Run:
        whole = _QUIET + sql
        return Run(
            ("mysql", "--protocol=socket", "-uroot", "-N", "-B", "--raw", "--default-character-set=utf8mb4"), title=title,
            stdin=Secret(whole) if secret else whole, changes=changes, sample=sample, timeout=120,
        )  # fmt: skip


def read(output: str) -> Accounts:
    """The lines of JSON. Raises KeyError, TypeError, ValueError."""
    told = [json.loads(line) for line in output.splitlines() if line.strip()]
    databases = [AccountDatabase(name=one["database"], character_set=one["character_set"], collate=one["collate"])
                 for one in told if "database" in one]  # fmt: skip
    given = [one for one in told if "grant" in one]
    users = [
        AccountUser(name=one["user"], host=one["host"], grants=_grants_of(one, given)) for one in told if "user" in one
    ]
    return in_order(databases, users, root=any(one.get("root") for one in told))


def _grants_of(user: dict[str, Any], given: Sequence[dict[str, Any]]) -> tuple[AccountGrant, ...]:
    mine = [one for one in given if (one["to"], one["at"]) == (user["user"], user["host"])]
    found = [AccountGrant(privilege=one["privilege"], database=grants.unescaped(one["grant"])) for one in mine]
    return tuple(sorted(found, key=lambda one: one.database))


def _lines(accounts: Accounts) -> str:
    """What a server answers that lists these."""
    told: list[dict[str, Any]] = [{"database": one.name, "character_set": one.character_set, "collate": one.collate}
                                  for one in accounts.databases]  # fmt: skip
    for user in accounts.users:
        told.append({"user": user.name, "host": user.host})
        told += [{"grant": grants.escaped(one.database), "to": user.name, "at": user.host, "privilege": one.privilege}
                 for one in user.grants]  # fmt: skip
    return "".join(json.dumps(one) + "\n" for one in (*told, {"root": int(accounts.root)}))


def _account(change: Change) -> str:
    return f"{text(change.user)}@{text(change.host)}"


def _root(change: Change) -> Change:
    return Change(action=change.action, user=MYSQL.root, host=ANYWHERE, verifier=change.verifier)


_ROOT = f"'{MYSQL.root}'@'{ANYWHERE}'"
_REMOTE_ROOT = "USER = 'root' AND HOST <> 'localhost'"
