"""Databases, users and the superuser over the HTTP edge, both ways."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from services.api.schemas.answer import Shown, many, moment, one, text
from services.api.schemas.base import Strict
from services.api.schemas.queries import Plan
from services.api.schemas.shown import OperationBrief

PRIVILEGES = ("read", "write", "all")
# Printable ASCII is the same in every character set, and needs no SASLprep.
_PASSWORD = validate.Regexp(r"^[\x20-\x7e]{8,128}\Z", error="must be 8 to 128 printable ASCII characters")
_HOST = validate.Regexp(r"^[A-Za-z0-9.:%_/-]{1,60}\Z", error="must be an address, a name, or a pattern with `%`")
_WORD = validate.Regexp(r"^[A-Za-z0-9_.@-]{1,60}\Z", error="must be of letters, digits, `_`, `.`, `@` and `-`")
_PATTERN = validate.Regexp(r"^[\x21-\x7e]{1,256}\Z", error="must be 1 to 256 visible ASCII characters")


def _name(words: str) -> fields.String:
    return fields.String(required=True, validate=validate.Length(1, 255), metadata={"description": words})


def _password(words: str) -> fields.String:
    return fields.String(load_default=None, allow_none=True, validate=_PASSWORD, metadata={"description": words})


def _privilege() -> fields.String:
    return fields.String(load_default="all", validate=validate.OneOf(PRIVILEGES))


def _patterns() -> fields.Field[Any]:
    return fields.List(
        fields.String(validate=_PATTERN), load_default=None, allow_none=True, validate=validate.Length(1, 32),
        metadata={"description": "of keys, where there are no databases; without any: all keys"},
    )  # fmt: skip


class DatabaseCreate(Strict):
    """A database that is wanted."""

    name = _name("as the engine allows it, without `/`")
    character_set = fields.String(load_default="", validate=_WORD, metadata={"description": "as in utf8mb4 or UTF8"})
    collate = fields.String(load_default="", validate=_WORD, metadata={"description": "as in utf8mb4_bin or C.UTF-8"})


class DatabaseGrant(Strict):
    """What a user who is wanted may do with a database."""

    name = _name("of the database")
    privilege = _privilege()


class UserCreate(Strict):
    """A user that is wanted."""

    name = _name("as the engine allows it, without `/`")
    password = _password("without one, one is made and shown in the answer, this once")
    host = fields.String(load_default=None, allow_none=True, validate=_HOST,
                         metadata={"description": "of MariaDB: from where; without one from anywhere, `%`"})  # fmt: skip
    databases = fields.List(
        fields.Nested(DatabaseGrant), load_default=list, validate=validate.Length(max=100),
        metadata={"description": "what the user may do with which database"},
    )  # fmt: skip
    privilege = fields.String(load_default=None, allow_none=True, validate=validate.OneOf(PRIVILEGES),
                              metadata={"description": "of Redis: with keys of these patterns; without one `all`"})  # fmt: skip
    patterns = _patterns()


class PasswordChange(Strict):
    """Another password that is wanted."""

    password = _password("without one, one is made and shown in the answer, this once")


class GrantCreate(Strict):
    """A privilege that is wanted, in place of another one on the same database."""

    database = fields.String(load_default=None, allow_none=True, validate=validate.Length(1, 255))
    privilege = _privilege()
    patterns = _patterns()


class UserOf(Plan):
    """Which user of that name."""

    host = fields.String(load_default="", validate=validate.Length(max=60),
                         metadata={"description": "of MariaDB, where several users have the same name"})  # fmt: skip


class GrantOf(UserOf):
    """Which grant."""

    database = fields.String(load_default="", validate=validate.Length(max=255))


class Database(Shown):
    """A database, as the server lists it."""

    name = text()
    character_set = text()
    collate = text()


class Grant(Shown):
    """What a user may do."""

    database = text(null=True, words="null where there are no databases")
    privilege = text(words="read, write, all; or other, which was given by hand")
    patterns = fields.List(fields.String(), required=True)


class User(Shown):
    """A user, as the server lists it."""

    name = text()
    host = text(null=True)
    grants = many(Grant)


class Root(Shown):
    """The superuser."""

    username = text()
    enabled = fields.Boolean(required=True, metadata={"description": "whether it may log in over the network"})
    since = moment(null=True)
    seen_at = moment(null=True)


class Databases(Shown):
    """The databases, when the server was asked last; `seen_at` is null where it never was."""

    databases = many(Database)
    next = text(null=True)
    seen_at = moment(null=True)


class Users(Shown):
    """The users, when the server was asked last."""

    users = many(User)
    next = text(null=True)
    seen_at = moment(null=True)


class Grants(Shown):
    """What a user may, when the server was asked last."""

    grants = many(Grant)
    next = text(null=True)
    seen_at = moment(null=True)


class Accounts(Shown):
    """All of it."""

    databases = many(Database)
    users = many(User)
    root = one(Root)
    seen_at = moment(null=True)


class AccountsChange(OperationBrief):
    """The operation; a password that was made for it is shown here and never again."""

    username = text(null=True)
    password = text(null=True)
