"""Wishes about databases, users and the superuser, made and refused by an engine's rules and by what its server listed last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Row

from shared.contracts.accounts import DIALECTS, AccountChange, AccountDatabase, Accounts, AccountUser, Action, Dialect
from shared.errors import Conflict, FieldError, Invalid, NotFound
from shared.secrets import Secret, generate_password
from shared.verifiers import mysql_native, scram_sha_256, sha_256

ANYWHERE, ALL_KEYS = "%", ("*",)
Seal = Callable[[Secret], str]
_VERIFIERS: dict[str, Callable[[str], str]] = {"pgsql": scram_sha_256, "mysql": mysql_native, "redis": sha_256}
_LOOK_AGAIN = "see what there is; what was made by hand is known after POST .../accounts"


@dataclass(frozen=True)
class Wish:
    """What is asked for, and the password that was made for it, where one was."""

    kind: str
    changes: tuple[AccountChange, ...]
    username: str | None = None
    password: str | None = None

    @property
    def shown(self) -> dict[str, str | None]:
        """What is told of it beside the operation."""
        return {"username": self.username, "password": self.password}


@dataclass(frozen=True)
class Desk:
    """What wishes about one cluster are made with: the engine's name and rules, what it listed, and how secrets are sealed."""

    name: str
    dialect: Dialect
    listed: Accounts
    seal: Seal

    # Databases

    def create_database(self, asked: dict[str, Any]) -> Wish:
        """Raises Invalid, Conflict."""
        self._see_databases()
        name = asked["name"]
        self._refuse("name", self.dialect.objection_to_database(name))
        if any(one.name == name for one in self.listed.databases):
            raise Conflict(f"there is a database {name!r}", what_to_do="choose another name")
        change = AccountChange(action=Action.CREATE_DATABASE, database=name, character_set=asked["character_set"],
                               collate=asked["collate"])  # fmt: skip
        return Wish(Action.CREATE_DATABASE, (change,))

    def delete_database(self, name: str) -> Wish:
        """Raises NotFound."""
        if all(one.name != name for one in self.listed.databases):
            raise NotFound(f"there is no database {name[:64]!r}", what_to_do=_LOOK_AGAIN)
        return Wish(Action.DELETE_DATABASE, (AccountChange(action=Action.DELETE_DATABASE, database=name),))

    # Users

    def create_user(self, asked: dict[str, Any]) -> Wish:
        """Raises Invalid, Conflict."""
        name, host = asked["name"], self._host(asked["host"])
        self._refuse("name", self.dialect.objection_to_user(name))
        if any((one.name, one.host) == (name, host) for one in self.listed.users):
            raise Conflict(f"there is a user {name!r}", what_to_do="choose another name, or change its password")
        verifier, shown = self._verifier(asked["password"])
        user = AccountUser(name=name, host=host)
        made = AccountChange(action=Action.CREATE_USER, user=name, host=host, sealed_password=verifier)
        return Wish(Action.CREATE_USER, (made, *self._first_grants(user, asked)), name, shown)

    def delete_user(self, name: str, host: str) -> Wish:
        """Raises NotFound."""
        user = user_of(self.listed, name, host)
        change = AccountChange(action=Action.DELETE_USER, user=user.name, host=user.host)
        return Wish(Action.DELETE_USER, (change,))

    def change_password(self, name: str, host: str, asked: dict[str, Any]) -> Wish:
        """Raises NotFound."""
        user = user_of(self.listed, name, host)
        verifier, shown = self._verifier(asked["password"])
        change = AccountChange(action=Action.CHANGE_PASSWORD, user=user.name, host=user.host, sealed_password=verifier)
        return Wish(Action.CHANGE_PASSWORD, (change,), name, shown)

    def grant(self, name: str, host: str, asked: dict[str, Any]) -> Wish:
        """Raises NotFound, Invalid."""
        user = user_of(self.listed, name, host)
        change = self._grant(user, asked["database"] or "", asked["privilege"], asked["patterns"], "database")
        return Wish(Action.GRANT, (change,))

    def revoke(self, name: str, host: str, database: str) -> Wish:
        """Raises NotFound: also where nothing was granted."""
        user = user_of(self.listed, name, host)
        if all(one.database != database for one in user.grants):
            raise NotFound(f"user {name[:64]!r} has no grant on {database[:64]!r}", what_to_do=_LOOK_AGAIN)
        change = AccountChange(action=Action.REVOKE, user=user.name, host=user.host, database=database)
        return Wish(Action.REVOKE, (change,))

    # The superuser

    def enable_root(self) -> Wish:
        """With a password that is made for it."""
        verifier, shown = self._verifier(None)
        change = AccountChange(action=Action.ENABLE_ROOT, sealed_password=verifier)
        return Wish(Action.ENABLE_ROOT, (change,), self.dialect.root, shown)

    def disable_root(self) -> Wish:
        """Also where it is not enabled, as far as is known: somebody may have by hand."""
        return Wish(Action.DISABLE_ROOT, (AccountChange(action=Action.DISABLE_ROOT),))

    # What they have in common

    def _first_grants(self, user: AccountUser, asked: dict[str, Any]) -> list[AccountChange]:
        if self.dialect.database_length:
            if asked["privilege"] or asked["patterns"]:
                raise Invalid("the request was not accepted",
                              (FieldError("privilege", "stands with each of `databases`, which have no patterns"),))  # fmt: skip
            return [self._grant(user, one["name"], one["privilege"], None, f"databases.{number}.name")
                    for number, one in enumerate(asked["databases"])]  # fmt: skip
        if asked["databases"]:
            self._see_databases()
        return [self._grant(user, "", asked["privilege"] or "all", asked["patterns"], "patterns")]

    def _grant(
        self, user: AccountUser, database: str, privilege: str, patterns: list[str] | None, field: str
    ) -> AccountChange:
        if self.dialect.database_length:
            self._refuse("patterns", "is for Redis alone" if patterns else "")
            known = any(one.name == database for one in self.listed.databases)
            self._refuse(field, "" if known else f"there is no database {database[:64]!r}: create it first")
        else:
            self._refuse("database", f"{self.name} has none: name `patterns` of keys" if database else "")
        keys = () if self.dialect.database_length else tuple(patterns or ALL_KEYS)
        return AccountChange(action=Action.GRANT, user=user.name, host=user.host, database=database, privilege=privilege,
                             patterns=keys)  # fmt: skip

    def _host(self, given: str | None) -> str:
        self._refuse("host", "is for MariaDB alone" if given and not self.dialect.hosts else "")
        return (given or ANYWHERE) if self.dialect.hosts else ""

    def _verifier(self, password: str | None) -> tuple[str, str | None]:
        """What the server is to keep, sealed; and the password, where it was made here."""
        chosen = password or generate_password().reveal()
        return self.seal(Secret(_VERIFIERS[self.dialect.name](chosen))), None if password else chosen

    def _see_databases(self) -> None:
        what = f"{self.name} has no databases: tell keys apart by their beginnings"
        self._refuse("name", "" if self.dialect.database_length else what)

    @staticmethod
    def _refuse(field: str, reason: str) -> None:
        if reason:
            raise Invalid("the request was not accepted", (FieldError(field, reason),), what_to_do="mend that field")


def user_of(listed: Accounts, name: str, host: str) -> AccountUser:
    """The user of this name; of several the one at this host, or the one from anywhere. Raises NotFound."""
    named = [one for one in listed.users if one.name == name]
    found = [one for one in named if one.host == (host or ANYWHERE)]
    if not host and len(named) == 1:
        found = named
    if not found:
        raise NotFound(f"there is no user {name[:64]!r}" + (f" at {host!r}" if host else ""), what_to_do=_LOOK_AGAIN)
    return found[0]


def dialect_of(datastore: Row[Any]) -> Dialect:
    """The rules of an engine. Raises Conflict where nobody here keeps its accounts."""
    if datastore.dialect not in DIALECTS:
        raise Conflict(f"{datastore.name} has no accounts that DTrove keeps",
                       what_to_do="use the database's own client, with the administrator's login")  # fmt: skip
    return DIALECTS[datastore.dialect]


def at_first(
    datastore: Row[Any], databases: Sequence[dict[str, Any]], users: Sequence[dict[str, Any]], seal: Seal | None
) -> tuple[AccountChange, ...]:
    """What makes the databases and users that a cluster is to have from its first moment. Raises Invalid, Conflict.

    Their passwords are given: the answer that would show one that was made shows a cluster.
    """
    if not databases and not users:
        return ()
    made: list[AccountChange] = []
    desk = Desk(datastore.name, dialect_of(datastore), Accounts(), seal or _nobody_seals)
    for number, wanted in enumerate(databases):
        with _told_of(f"databases.{number}"):
            made += desk.create_database(wanted).changes
        listed = (*desk.listed.databases, AccountDatabase(name=wanted["name"]))
        desk = replace(desk, listed=replace(desk.listed, databases=listed))
    for number, wanted in enumerate(users):
        with _told_of(f"users.{number}"):
            if not wanted["password"]:
                raise Invalid("", (FieldError("password", "is required here: create the user later to have one made"),))
            changes = desk.create_user(wanted).changes
        made += changes
        user = AccountUser(name=changes[0].user, host=changes[0].host)
        desk = replace(desk, listed=replace(desk.listed, users=(*desk.listed.users, user)))
    return tuple(made)


def unsealed(changes: tuple[AccountChange, ...]) -> tuple[AccountChange, ...]:
    """The same without what is sealed in them, as they are shown."""
    return tuple(replace(one, sealed_password="") for one in changes)


@contextmanager
def _told_of(place: str) -> Iterator[None]:
    """Have what is wrong be told of this place in the request."""
    try:
        yield
    except Invalid as error:
        errors = tuple(FieldError(f"{place}.{one.field}", one.reason) for one in error.errors)
        raise Invalid("the request was not accepted", errors, what_to_do="mend the fields named in `errors`") from error
    except Conflict as error:
        raise Invalid(
            "the request was not accepted", (FieldError(place, f"is there twice: {error.message}"),)
        ) from error


def _nobody_seals(_: Secret) -> str:
    raise Invalid("", (FieldError("password", "would go about in clear: create users over HTTP"),))
