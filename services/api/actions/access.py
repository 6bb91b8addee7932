"""Tokens and projects: who may do what."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from services.api.domain.backups import COUNTED
from services.api.store import tables
from shared.contracts.base import new_id
from shared.db import Database, Tx
from shared.errors import Conflict, FieldError, Forbidden, Invalid, NotFound, Unauthorized

ROLES = ("reader", "member", "admin")
# Every installation has this project, under one id, whichever replica makes it.
DEFAULT_PROJECT, DEFAULT_NAME = str(uuid5(NAMESPACE_URL, "dtrove:project:default")), "default"
CACHE_SECONDS, CACHE_SIZE = 1.0, 1000
# By this the secret of a session is told from a token.
SESSION = "dts_"
# Asked for whatever is made in a project: it is put together once.
_LOCKED = select(tables.projects.c.id).where(tables.projects.c.id == bindparam("of_id")).with_for_update()


class Credential(NamedTuple):
    """What a request brings to say who asks: a token of DTrove's own, or one of Keystone's."""

    token: str
    of_keystone: bool = False


@dataclass(frozen=True)
class Caller:
    """Who asks: a token's id, its project, its role; the user behind it, from where, and in which request.

    `session` is the id of the session by which the token is used, `once` whether that is good for nothing but an exchange.
    """

    token_id: str
    project_id: str
    role: str
    user: str = ""
    address: str = ""
    request_id: str = ""
    session: str = ""
    once: bool = False

    def need(self, role: str) -> None:
        """Raise Forbidden for a lower role than `role`."""
        if ROLES.index(self.role) < ROLES.index(role):
            raise Forbidden(f"this needs the role {role}; the token has {self.role}",
                            what_to_do="use a token with a higher role")  # fmt: skip


def digest(token: str) -> str:
    """What is stored of a token: tokens are random, so a plain SHA-256 cannot be guessed back."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


# Says who is behind a token, and when that ends. Raises Unauthorized, Forbidden, Unavailable.
Judge = Callable[[str], tuple[Caller, datetime | None]]


class Callers:
    """The callers behind tokens, remembered for a second: a revocation that another replica made takes so long here.

    What Keystone said, where there is a `keystone`, counts for `keystone_seconds`.
    """

    def __init__(self, database: Database, keystone: Judge | None = None, keystone_seconds: float = 0.0) -> None:
        self._database = database
        self._keystone, self._keystone_seconds = keystone, keystone_seconds
        self._known: dict[str, tuple[Caller, datetime | None, float]] = {}

    def of(self, credential: Credential, *, exchanging: bool = False) -> Caller:
        """The caller behind a token. Raises Unauthorized, Forbidden, Unavailable.

        A session that is to be exchanged counts only for who is `exchanging`.
        """
        found = self._found(credential)
        if found.once and not exchanging:
            raise Unauthorized(
                "this session does nothing but be exchanged for another one",
                what_to_do="exchange it with POST /v1/session",
            )
        return found

    def _found(self, credential: Credential) -> Caller:
        clock = self._database.clock
        key = f"{credential.of_keystone} {digest(credential.token)}"
        found = self._known.get(key)
        if found is not None and clock.monotonic() < found[2]:
            caller, expires_at, _ = found
            if expires_at is None or clock.now() < expires_at:
                return caller
        seconds: float = CACHE_SECONDS
        judge: Judge = partial(_look_up, self._database)
        if not credential.of_keystone and credential.token.startswith(SESSION):
            judge = self._of_session
        if credential.of_keystone:
            if self._keystone is None:
                raise Unauthorized("tokens of Keystone are not taken here", what_to_do="set DTROVE_KEYSTONE_URL")
            seconds, judge = self._keystone_seconds, self._keystone
        caller, expires_at = judge(credential.token)
        if len(self._known) >= CACHE_SIZE:
            self._known.clear()
        self._known[key] = (caller, expires_at, clock.monotonic() + seconds)
        return caller

    def _of_session(self, secret: str) -> tuple[Caller, datetime | None]:
        """By hash as well; whoever stands behind it is judged anew each time, so that a session outlives no token."""
        t, database = tables.sessions, self._database
        with database.read() as connection:
            row = connection.execute(select(t).where(t.c.hash == digest(secret))).first()
        if row is None or row.expires_at <= database.clock.now():
            raise Unauthorized("the session is over", what_to_do="sign in again")
        if row.keystone_token is not None:
            caller, expires_at = self._found(Credential(row.keystone_token.reveal(), of_keystone=True)), row.expires_at
        else:
            caller, ends = _by_id(database, row.token_id)
            expires_at = min(row.expires_at, ends or row.expires_at)
        return replace(caller, session=row.id, once=row.once), expires_at

    def forget(self) -> None:
        """Ask the database again from now on: a token was revoked here."""
        self._known.clear()


def caller_of(database: Database, token: str) -> Caller:
    """The caller behind a token, asked of the database. Raises Unauthorized."""
    return _look_up(database, token)[0]


def _look_up(database: Database, token: str) -> tuple[Caller, datetime | None]:
    """By hash, so that the time it takes says nothing of the token; what was found is compared in constant time as well."""
    t, key = tables.tokens, digest(token)
    with database.read() as connection:
        row = connection.execute(select(t).where(t.c.hash == key)).first()
    known = row is not None and hmac.compare_digest(row.hash, key)
    return _good(row if known else None, database.clock.now())


def _by_id(database: Database, token_id: str) -> tuple[Caller, datetime | None]:
    t = tables.tokens
    with database.read() as connection:
        row = connection.execute(select(t).where(t.c.id == token_id)).first()
    return _good(row, database.clock.now())


def _good(row: Row[Any] | None, now: datetime) -> tuple[Caller, datetime | None]:
    if row is None or row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
        raise Unauthorized("the token is unknown, expired or revoked", what_to_do="ask an administrator for a new one")
    return Caller(row.id, row.project_id, row.role, user=row.name), row.expires_at


def bootstrap(database: Database, token_hash: str) -> None:
    """Make the default project, and take in the first administrator's token by its hash."""
    now = database.clock.now()
    with database.write() as tx:
        tx.insert_new(tables.projects, id=DEFAULT_PROJECT, name=DEFAULT_NAME, created_at=now)
        if token_hash:
            tx.insert_new(tables.tokens, id=new_id(), hash=token_hash, name="first administrator",
                          project_id=DEFAULT_PROJECT, role="admin", created_at=now)  # fmt: skip


def create_token(tx: Tx, asked: dict[str, Any]) -> tuple[str, str]:
    """Make a token; returns its id and, this once, the token itself. Raises Invalid for an unknown project."""
    project = find_project(tx.connection, asked["project"])
    token, token_id = secrets.token_urlsafe(32), new_id()
    tx.connection.execute(
        insert(tables.tokens).values(
            id=token_id, hash=digest(token), name=asked["name"], project_id=project, role=asked["role"],
            created_at=tx.database.clock.now(), expires_at=asked["expires_at"],
        )
    )  # fmt: skip
    return token_id, token


def revoke_token(tx: Tx, token_id: str) -> None:
    """End a token at once. Raises NotFound."""
    t = tables.tokens
    done = tx.connection.execute(update(t).where(t.c.id == token_id).values(revoked_at=tx.database.clock.now()))
    if done.rowcount == 0:
        raise NotFound(f"there is no token {token_id[:64]}")


def create_project(tx: Tx, name: str) -> str:
    """Make a project; returns its id. Raises Conflict."""
    project_id = new_id()
    if not tx.insert_new(tables.projects, id=project_id, name=name, created_at=tx.database.clock.now()):
        raise Conflict(f"a project called {name!r} exists", what_to_do="choose another name")
    return project_id


def delete_project(tx: Tx, project_id: str) -> None:
    """Delete an empty project, and its tokens and parameter groups with it. Raises NotFound, Conflict."""
    g = tables.parameter_groups
    # Groups before their project, as everybody locks.
    tx.connection.execute(select(g.c.id).where(g.c.project_id == project_id).with_for_update()).all()
    lock_project(tx, project_id)
    if project_id == DEFAULT_PROJECT:
        raise Conflict("the project `default` stays: every installation has it")
    c = tables.clusters
    count = select(c.c.name).where(c.c.project_id == project_id, c.c.deleted_at.is_(None)).limit(3)
    if names := [row.name for row in tx.connection.execute(count)]:
        raise Conflict(f"the project still has clusters: {', '.join(names)}", what_to_do="delete them first")
    # Of a failed one something may be kept where it could not be removed.
    for noun, t in (("backups", tables.backups), ("exports", tables.exports)):
        there = select(t.c.id).where(t.c.project_id == project_id, t.c.status.in_(COUNTED) | (t.c.counted_bytes > 0))
        if tx.connection.execute(there.limit(1)).first() is not None:
            raise Conflict(f"the project still has {noun}", what_to_do="delete them first")
    for table in (tables.tokens, tables.quotas, tables.parameter_groups, tables.backups, tables.exports,
                  tables.imports):  # fmt: skip
        tx.remove(table.c.project_id, project_id)
    tx.remove(tables.projects.c.id, project_id)


def lock_project(tx: Tx, project_id: str) -> None:
    """Let nobody else make or delete things of a project until this transaction ends. Raises NotFound."""
    if tx.connection.execute(_LOCKED, {"of_id": project_id}).first() is None:
        raise NotFound(f"there is no project {project_id[:64]}")


def find_project(connection: Connection, wanted: str) -> str:
    """A project's id by id or name. Raises Invalid."""
    p = tables.projects
    row = connection.execute(select(p.c.id).where((p.c.id == wanted) | (p.c.name == wanted))).first()
    if row is None:
        raise Invalid("unknown project", (FieldError("project", f"there is no project {wanted[:80]!r}"),))
    return str(row.id)
