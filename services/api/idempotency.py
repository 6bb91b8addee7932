"""Idempotency-Key: the same key and body give the first answer again; the work is done once.

The key's row is written before the work, in the same transaction: a second request with the key waits at it, and finds
the answer. Answers are kept sealed, for one of them shows a token, and for a day.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import falcon
from sqlalchemy import delete, select, update

from services.api.http import Context
from services.api.store import tables
from shared.db import Database, Tx
from shared.errors import Conflict, FieldError, Invalid
from shared.secrets import Secret

Answer = tuple[int, Any, str]
KEPT = timedelta(hours=24)
# No RPC takes longer: a claim this old belongs to a process that died.
ABANDONED = timedelta(seconds=60)
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def once(context: Context, request: falcon.Request, response: falcon.Response, work: Callable[[Tx], Answer]) -> None:
    """Do a POST's work in one transaction, once for each key. `work` returns status, body and Location.

    Raises Invalid where the key came with another body before.
    """
    key, project = key_of(request), request.context.caller.project_id
    with context.database.write() as tx:
        known = _claim(tx, project, key, _digest(request)) if key else None
        answer = known or work(tx)
        if key and known is None:
            _keep(tx, project, key, answer)
    give(context, request, response, answer)


def once_elsewhere(
    context: Context, request: falcon.Request, response: falcon.Response, work: Callable[[], Answer]
) -> None:
    """The same for work that another service does, which no transaction may wait for: claimed, done, kept.

    Raises Conflict while the first request with the key is under way.
    """
    key, project = key_of(request), request.context.caller.project_id
    if not key:
        give(context, request, response, work())
        return
    with context.database.write() as tx:
        known = _claim(tx, project, key, _digest(request))
    if known is None:
        try:
            known = work()
        except Exception:
            with context.database.write() as tx:
                tx.connection.execute(delete(tables.idempotency).where(*_at(project, key)))
            raise
        with context.database.write() as tx:
            _keep(tx, project, key, known)
    give(context, request, response, known)


def give(context: Context, request: falcon.Request, response: falcon.Response, answer: Answer) -> None:
    """Answer, and wake those who follow the operation."""
    response.status, response.media, location = answer
    if location:
        response.set_header("Location", location)
    context.changes.touch(request.context.caller.project_id, location.rpartition("/")[2])


def key_of(request: falcon.Request) -> str:
    """The Idempotency-Key, empty for none. Raises Invalid."""
    key = request.get_header("Idempotency-Key") or ""
    if key and not _KEY.fullmatch(key):
        words = "must be 1 to 255 visible ASCII characters; a UUID is a good one"
        raise Invalid("the Idempotency-Key cannot be used", (FieldError("Idempotency-Key", words),))
    return key


def forget_old(database: Database) -> int:
    """Drop keys that are older than a day; returns how many."""
    t = tables.idempotency
    return database.forget(t, t.c.key, t.c.created_at < database.clock.now() - KEPT)


def _claim(tx: Tx, project: str, key: str, digest: str) -> Answer | None:
    """Take the key; or the answer that it has. Raises Invalid for another request's key, Conflict for one under way."""
    t, now = tables.idempotency, tx.database.clock.now()
    old = (t.c.created_at < now - KEPT) | (t.c.body.is_(None) & (t.c.created_at < now - ABANDONED))
    tx.connection.execute(delete(t).where(*_at(project, key), old))
    fresh = {"request": Secret(digest), "request_hash": "", "status": 0, "location": "", "created_at": now}
    if tx.insert_new(t, project_id=project, key=key, **fresh):
        return None
    row = tx.connection.execute(select(t).where(*_at(project, key))).first()
    if row is not None and (row.request or Secret(row.request_hash)) != Secret(digest):
        reason = (FieldError("Idempotency-Key", "was used with another request"),)
        raise Invalid("this Idempotency-Key belongs to another request", reason, what_to_do="use a new key")
    if row is None or row.body is None:
        raise Conflict("the first request with this Idempotency-Key is under way", what_to_do="try again shortly")
    return row.status, json.loads(row.body.reveal()), row.location


def _keep(tx: Tx, project: str, key: str, answer: Answer) -> None:
    status, body, location = answer
    kept = Secret(json.dumps(body))
    tx.connection.execute(
        update(tables.idempotency).where(*_at(project, key)).values(status=status, body=kept, location=location)
    )


def _at(project: str, key: str) -> tuple[Any, Any]:
    t = tables.idempotency
    return t.c.project_id == project, t.c.key == key


def _digest(request: falcon.Request) -> str:
    # A DELETE has no body that anybody has read.
    raw: bytes = getattr(request.context, "raw", b"")
    return hashlib.sha256(f"{request.method} {request.relative_uri} ".encode() + raw).hexdigest()
