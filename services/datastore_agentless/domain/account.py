"""Changes of databases and users, and what a server lists once they have been made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from shared.contracts.accounts import (
    AccountChange,
    AccountDatabase,
    AccountGrant,
    Accounts,
    AccountUser,
    Action,
)
from shared.secrets import Secret


@dataclass(frozen=True)
class Change:
    """One wish, as it is carried out. `verifier` is what the server keeps of a password."""

    action: Action
    database: str = ""
    user: str = ""
    host: str = ""
    privilege: str = ""
    patterns: tuple[str, ...] = ()
    character_set: str = ""
    collate: str = ""
    verifier: Secret = field(default_factory=lambda: Secret(""))

    @property
    def grant(self) -> AccountGrant:
        """What is granted."""
        return AccountGrant(privilege=self.privilege, database=self.database, patterns=self.patterns)

    @property
    def ends_sessions(self) -> bool:
        """Whether somebody who is logged in is not to be any more, on any node."""
        return self.action in (Action.DELETE_USER, Action.DISABLE_ROOT)


def opened(change: AccountChange, verifier: Secret) -> Change:
    """A wish off the bus, with what was sealed in it."""
    return Change(
        action=Action(change.action), database=change.database, user=change.user, host=change.host, privilege=change.privilege,
        patterns=change.patterns, character_set=change.character_set, collate=change.collate, verifier=verifier,
    )  # fmt: skip


def after(there: Accounts, changes: Iterable[Change]) -> Accounts:
    """What a server lists once these changes have been made to what it has listed before."""
    for change in changes:
        there = _after(there, change)
    return there


def _after(there: Accounts, change: Change) -> Accounts:
    if change.action in (Action.ENABLE_ROOT, Action.DISABLE_ROOT):
        return replace(there, root=change.action == Action.ENABLE_ROOT)
    if change.action == Action.CREATE_DATABASE:
        new = AccountDatabase(name=change.database, character_set=change.character_set, collate=change.collate)
        kept = tuple(one for one in there.databases if one.name != change.database)
        return replace(there, databases=(*kept, new))
    if change.action == Action.DELETE_DATABASE:
        kept = tuple(one for one in there.databases if one.name != change.database)
        return replace(there, databases=kept, users=tuple(_without(one, change.database) for one in there.users))
    return replace(there, users=_users(there.users, change))


def _users(there: tuple[AccountUser, ...], change: Change) -> tuple[AccountUser, ...]:
    mine = next((one for one in there if _is_of(one, change)), AccountUser(name=change.user, host=change.host))
    others = tuple(one for one in there if not _is_of(one, change))
    if change.action == Action.DELETE_USER:
        return others
    if change.action in (Action.GRANT, Action.REVOKE):
        mine = _without(mine, change.database)
    if change.action == Action.GRANT:
        mine = replace(mine, grants=(*mine.grants, change.grant))
    return (*others, mine)


def _is_of(user: AccountUser, change: Change) -> bool:
    return (user.name, user.host) == (change.user, change.host)


def _without(user: AccountUser, database: str) -> AccountUser:
    return replace(user, grants=tuple(one for one in user.grants if one.database != database))
