"""Tokens and projects: who may do what."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from services.api.store import tables
from shared.contracts.base import new_id
from shared.db import Database, Tx
from shared.errors import Conflict, FieldError, Forbidden, Invalid, NotFound, Unauthorized

ROLES = ("reader", "member", "admin")
DEFAULT_PROJECT = "default"


@dataclass(frozen=True)
class Caller:
    """Who asks: a token's id, its project, its role."""

    token_id: str
    project_id: str
    role: str

    def need(self, role: str) -> None:
        """Raise Forbidden for a lower role than `role`."""
        if ROLES.index(self.role) < ROLES.index(role):
            raise Forbidden(f"this needs the role {role}; the token has {self.role}",
                            what_to_do="use a token with a higher role")  # fmt: skip


def digest(token: str) -> str:
    """What is stored of a token: tokens are random, so a plain SHA-256 cannot be guessed back."""
    return hashlib.sha256(token.encode()).hexdigest()


def caller_of(database: Database, token: str) -> Caller:
    """The caller behind a token. Raises Unauthorized. The look-up is by hash, so its time says nothing of the token."""
    t = tables.tokens
    with database.read() as connection:
        row = connection.execute(select(t).where(t.c.hash == digest(token))).first()
    now = database.clock.now()
    if row is None or row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
        raise Unauthorized("the token is unknown, expired or revoked", what_to_do="ask an administrator for a new one")
    return Caller(row.id, row.project_id, row.role)


def bootstrap(database: Database, token_hash: str) -> None:
    """Make the default project, and take in the first administrator's token by its hash."""
    now = database.clock.now()
    with database.write() as tx:
        p, t = tables.projects, tables.tokens
        if tx.connection.execute(select(p.c.id).where(p.c.id == DEFAULT_PROJECT)).first() is None:
            tx.connection.execute(insert(p).values(id=DEFAULT_PROJECT, name=DEFAULT_PROJECT, created_at=now))
        if token_hash and tx.connection.execute(select(t.c.id).where(t.c.hash == token_hash)).first() is None:
            tx.connection.execute(
                insert(t).values(id=new_id(), hash=token_hash, name="first administrator", project_id=DEFAULT_PROJECT,
                                 role="admin", created_at=now)
            )  # fmt: skip


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
    p = tables.projects
    if tx.connection.execute(select(p.c.id).where(p.c.name == name)).first():
        raise Conflict(f"a project called {name!r} exists", what_to_do="choose another name")
    project_id = new_id()
    tx.connection.execute(insert(p).values(id=project_id, name=name, created_at=tx.database.clock.now()))
    return project_id


def find_project(connection: Connection, wanted: str) -> str:
    """A project's id by id or name. Raises Invalid."""
    p = tables.projects
    row = connection.execute(select(p.c.id).where((p.c.id == wanted) | (p.c.name == wanted))).first()
    if row is None:
        raise Invalid("unknown project", (FieldError("project", f"there is no project {wanted[:80]!r}"),))
    return str(row.id)
