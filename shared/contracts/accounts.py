"""Databases, users and what they may: how they are spoken of, and by which rules each engine names them."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum


class Action(StrEnum):
    """What can be done about them."""

    CREATE_DATABASE = "create_database"
    DELETE_DATABASE = "delete_database"
    CREATE_USER = "create_user"
    DELETE_USER = "delete_user"
    CHANGE_PASSWORD = "change_password"  # noqa: S105 - the name of an action
    GRANT = "grant"
    REVOKE = "revoke"
    ENABLE_ROOT = "enable_root"
    DISABLE_ROOT = "disable_root"


class Privilege(StrEnum):
    """What a user may do with a database, each what the one before it may and more. OTHER: something else, given by hand."""

    READ = "read"
    WRITE = "write"
    ALL = "all"
    OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class AccountChange:
    """One wish. `sealed_password` is what the server is to keep of the password, sealed with the common keyring."""

    action: str
    database: str = ""
    user: str = ""
    host: str = ""
    privilege: str = ""
    patterns: tuple[str, ...] = ()
    character_set: str = ""
    collate: str = ""
    sealed_password: str = ""


@dataclass(frozen=True, kw_only=True)
class AccountDatabase:
    """A database as its server lists it."""

    name: str
    character_set: str = ""
    collate: str = ""


@dataclass(frozen=True, kw_only=True)
class AccountGrant:
    """What a user may do with one database; where there are no databases, with the keys that match one of `patterns`."""

    privilege: str
    database: str = ""
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AccountUser:
    """A user as its server lists it; `host` is from where, empty where the engine does not ask."""

    name: str
    host: str = ""
    grants: tuple[AccountGrant, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Accounts:
    """All that a server lists but for DTrove's and its own; `root` is whether the superuser may log in."""

    databases: tuple[AccountDatabase, ...] = field(default=())
    users: tuple[AccountUser, ...] = field(default=())
    root: bool = False


@dataclass(frozen=True)
class Dialect:
    """The rules of an engine. Lengths are in bytes where it counts bytes, else in characters; 0 databases: it has none.

    `plain`: users' names are of few signs only. `basic`: names are of the Basic Multilingual Plane.
    """

    name: str
    root: str
    user_length: int
    database_length: int
    counts_bytes: bool = False
    hosts: bool = False
    plain: bool = False
    basic: bool = False
    own_users: frozenset[str] = frozenset()
    own_prefixes: tuple[str, ...] = ("dtrove_",)
    own_databases: frozenset[str] = frozenset()

    def objection_to_user(self, name: str) -> str:
        """Why a user cannot be called so; empty for no reason."""
        low = name.lower()
        if low in self.own_users or low.startswith(self.own_prefixes):
            return f"{name!r} belongs to the server or to DTrove"
        if self.plain and not all(sign.isascii() and (sign.isalnum() or sign in "._-") for sign in name):
            return "must be of letters, digits, `.`, `_` and `-`"
        return self._objection(name, self.user_length)

    def objection_to_database(self, name: str) -> str:
        """Why a database cannot be called so; empty for no reason."""
        if name.lower() in self.own_databases:
            return f"{name!r} belongs to the server"
        return self._objection(name, self.database_length)

    def _objection(self, name: str, limit: int) -> str:
        length = len(name.encode("utf-8", "replace")) if self.counts_bytes else len(name)
        if not 1 <= length <= limit:
            return f"must be of 1 to {limit} {'bytes' if self.counts_bytes else 'characters'}"
        if name in (".", "..") or "/" in name or name != name.strip():
            return "must not hold a `/`, begin or end with a space, or be `.` or `..`"
        if any(unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in name):
            return "must not hold a control character"
        if self.basic and any(ord(sign) > 0xFFFF for sign in name):
            return "must not hold a character above U+FFFF"
        return ""


# Source: each engine's manual, "Database Objects" or "Identifier Names", and what its server makes for itself.
PGSQL = Dialect(
    "pgsql", root="postgres", user_length=63, database_length=63, counts_bytes=True, own_prefixes=("dtrove_", "pg_"),
    own_users=frozenset(("postgres", "dtrove", "public", "none")),
    own_databases=frozenset(("postgres", "template0", "template1")),
)  # fmt: skip
MYSQL = Dialect(
    "mysql", root="root", user_length=80, database_length=64, hosts=True, basic=True,
    own_users=frozenset(("root", "mysql", "mariadb.sys", "dtrove", "public")),
    own_databases=frozenset(("mysql", "information_schema", "performance_schema", "sys")),
)  # fmt: skip
REDIS = Dialect("redis", root="default", user_length=64, database_length=0, plain=True,
                own_users=frozenset(("default", "dtrove")))  # fmt: skip
DIALECTS = {one.name: one for one in (PGSQL, MYSQL, REDIS)}
