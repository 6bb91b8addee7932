"""The port of accounts: databases, users, what they may, and the superuser, on a cluster that serves.

Generators of commands like a manager's methods, each find-or-do, each proven by what the server says afterwards. Passwords do
not come here, only what the server keeps of them. A manager names its keeper in the attribute `accounts_class`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from services.datastore_agentless.domain.account import Change
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Result, Script
from shared.contracts.accounts import AccountDatabase, Accounts, AccountUser, Action, Dialect
from shared.errors import Failure
from shared.secrets import Secret

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.base.manager import BaseManager

# What a proof prints where the server has what was wished for.
PROVEN = "yes"


class AccountKeeper(ABC):
    """Changes and lists the accounts of one cluster; `dialect` has the rules for names."""

    dialect: Dialect

    def __init__(self, manager: BaseManager) -> None:
        self.manager = manager

    def change(self, primary: Instance, change: Change) -> Script:
        """On the primary: make one change, and see that it is made. Raises Failure for a name that is not the user's to take."""
        self._guard(primary, change)
        yield from self._doing()[change.action](primary, change)

    @abstractmethod
    def look(self, primary: Instance, expected: Accounts) -> Script:
        """On the primary: list all; returns Accounts. `expected` is what simulated hosts answer with."""

    def carried(self, primary: Instance) -> Script:
        """On the primary: what replication does not carry to the others; returns a Secret for `tell`, empty for nothing."""
        yield from ()
        return Secret("")

    def tell(self, replica: Instance, changes: Sequence[Change], carried: Secret) -> Script:
        """On a replica, after these changes: do what replication does not."""
        yield from ()

    @abstractmethod
    def create_user(self, primary: Instance, change: Change) -> Script:
        """A login with this verifier; one that is there gets it."""

    @abstractmethod
    def delete_user(self, primary: Instance, change: Change) -> Script:
        """No such login any more, nor a session of it; what it owns goes to the administrator."""

    @abstractmethod
    def change_password(self, primary: Instance, change: Change) -> Script:
        """Another verifier for a login that is there."""

    @abstractmethod
    def grant(self, primary: Instance, change: Change) -> Script:
        """This privilege, in place of another one on the same database."""

    @abstractmethod
    def revoke(self, primary: Instance, change: Change) -> Script:
        """No privilege on this database."""

    @abstractmethod
    def enable_root(self, primary: Instance, change: Change) -> Script:
        """The superuser logs in over the network with this verifier."""

    @abstractmethod
    def disable_root(self, primary: Instance, change: Change) -> Script:
        """The superuser does not."""

    def create_database(self, primary: Instance, change: Change) -> Script:
        """A database of this name."""
        yield from self._no_databases()

    def delete_database(self, primary: Instance, change: Change) -> Script:
        """None of this name, whoever is connected to it."""
        yield from self._no_databases()

    def _no_databases(self) -> Script:
        yield from ()
        raise Failure(
            f"{self.manager.datastore.name} has no databases", what_to_do="tell keys apart by their beginnings"
        )

    def _doing(self) -> dict[Action, Callable[[Instance, Change], Script]]:
        return {
            Action.CREATE_DATABASE: self.create_database, Action.DELETE_DATABASE: self.delete_database,
            Action.CREATE_USER: self.create_user, Action.DELETE_USER: self.delete_user,
            Action.CHANGE_PASSWORD: self.change_password, Action.GRANT: self.grant, Action.REVOKE: self.revoke,
            Action.ENABLE_ROOT: self.enable_root, Action.DISABLE_ROOT: self.disable_root,
        }  # fmt: skip

    def _guard(self, node: Instance, change: Change) -> None:
        """The API has looked at names, too; this is the last door before a server."""
        wrong = self.dialect.objection_to_user(change.user) if change.user else ""
        if change.user and change.user == node.admin_user:
            wrong = f"{change.user!r} belongs to DTrove"
        if change.database:
            wrong = wrong or self.dialect.objection_to_database(change.database)
        if wrong:
            raise Failure(f"a name was refused: {wrong}", what_to_do="choose another name")


def see_proven(answer: Result, what: str) -> None:
    """Raise CommandFailed unless the last line of an answer says that the server has it."""
    last = answer.text.splitlines()[-1:] or [""]
    if last != [PROVEN]:
        raise CommandFailed(f"{what}: the server does not show it afterwards", code=1, stderr=answer.text[-500:],
                            what_to_do="look at the database's own log, then retry the operation")  # fmt: skip


def in_order(databases: Sequence[AccountDatabase], users: Sequence[AccountUser], *, root: bool) -> Accounts:
    """What a server lists, by name."""
    return Accounts(databases=tuple(sorted(databases, key=lambda one: one.name)), root=root,
                    users=tuple(sorted(users, key=lambda one: (one.name, one.host))))  # fmt: skip
