"""Sessions: a caller's right to come in by a secret of its own, for some hours, so that no browser has to keep a token."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import delete, insert, select

from services.api.actions.access import SESSION, Caller, Credential, digest
from services.api.store import tables
from shared.contracts.base import new_id
from shared.db import Database, Tx
from shared.errors import Conflict, Forbidden, Unauthorized
from shared.secrets import Secret

# How long a link that signs in waits for its one use.
LINK = timedelta(minutes=10)
# Open sessions of one caller, the newest: who signs in again and again shuts the oldest.
MOST = 50


class Begun(NamedTuple):
    """A session, this once with what opens it."""

    id: str
    secret: str
    once: bool
    expires_at: datetime


def begin(tx: Tx, who: Caller, credential: Credential, lasts: timedelta, *, once: bool) -> Begun:
    """A session for who asks, `once` for one that is good for nothing but to be exchanged for another, by anybody who has it.

    Raises Forbidden where a session asks, which would so never end; Unauthorized for a link that was used meanwhile.
    """
    t, now = tables.sessions, tx.database.clock.now()
    if who.session and (once or not who.once):
        raise Forbidden("a session makes no other one", what_to_do="ask with the token itself")
    of_keystone = Secret(credential.token) if credential.of_keystone else None
    if who.once:
        of_keystone = _used_up(tx, who.session)
    made = Begun(new_id(), SESSION + secrets.token_urlsafe(32), once, now + (LINK if once else lasts))
    values: dict[str, Any] = {"token_id": who.token_id, "keystone_token": of_keystone, "once": once, "created_at": now}
    tx.connection.execute(insert(t).values(id=made.id, hash=digest(made.secret), expires_at=made.expires_at, **values))
    _shut_oldest(tx, who.token_id)
    return made


def end(tx: Tx, who: Caller) -> None:
    """Sign out: end the session that asks. Raises Conflict where a token asks itself."""
    if not who.session:
        raise Conflict("this is a token and no session", what_to_do="revoke it with DELETE /v1/tokens/{id}")
    tx.remove(tables.sessions.c.id, who.session)


def forget_old(database: Database) -> int:
    """Drop sessions that are over; returns how many."""
    t = tables.sessions
    return database.forget(t, t.c.id, t.c.expires_at < database.clock.now())


def _used_up(tx: Tx, session_id: str) -> Secret | None:
    """Take a link away: of two that use it at the same moment one has it. Returns Keystone's token behind it, if there is one."""
    t = tables.sessions
    row = tx.connection.execute(select(t.c.keystone_token).where(t.c.id == session_id)).first()
    gone = tx.connection.execute(delete(t).where(t.c.id == session_id)).rowcount
    if row is None or gone == 0:
        raise Unauthorized("this session was exchanged already", what_to_do="have another one made by a token")
    found: Secret | None = row.keystone_token
    return found


def _shut_oldest(tx: Tx, token_id: str) -> None:
    t = tables.sessions
    newest = select(t.c.id).where(t.c.token_id == token_id).order_by(t.c.created_at.desc(), t.c.id.desc()).offset(MOST)
    if old := tx.connection.execute(newest).scalars().all():
        tx.connection.execute(delete(t).where(t.c.id.in_(old)))
