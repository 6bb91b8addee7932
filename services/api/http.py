"""The HTTP edge: who asks, what a body may be, and how an error reads."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import falcon
from sqlalchemy import insert, select

from services.api.actions.access import Caller, caller_of
from services.api.store import tables
from shared.db import Database, Tx
from shared.errors import (
    Conflict,
    DtroveError,
    Failure,
    FieldError,
    Forbidden,
    Invalid,
    NotFound,
    Unauthorized,
    Unavailable,
)

MAX_BODY = 256 * 1024
MAX_LIMIT, DEFAULT_LIMIT = 100, 20
OPEN_PATHS = ("/healthz", "/readyz", "/metrics")
STATUS = ((Unauthorized, 401), (Forbidden, 403), (NotFound, 404), (Conflict, 409), (Invalid, 422), (Unavailable, 503),
          (Failure, 422))  # fmt: skip
log = logging.getLogger(__name__)


class RpcPort(Protocol):
    """How the API asks another service; shared.bus.RpcCaller is the real one."""

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call and return the JSON-ready answer. Raises DtroveError."""


@dataclass(frozen=True)
class Context:
    """What the resources work with."""

    database: Database
    databases: RpcPort
    provisioner: RpcPort
    unseal: Callable[[str], str]
    max_cluster_size: int
    ready: Callable[[], dict[str, str]]


class Authentication:
    """Every route but the open ones needs a token; the caller is left in the request's context."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        """Find the caller. Raises Unauthorized."""
        if request.path in OPEN_PATHS:
            return
        header = request.get_header("Authorization") or ""
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthorized("no token was given", what_to_do="send the header `Authorization: Bearer <token>`")
        request.context.caller = caller_of(self._database, token.strip())


def caller(request: falcon.Request, role: str = "reader") -> Caller:
    """Who asks, if the role suffices. Raises Forbidden."""
    found: Caller = request.context.caller
    found.need(role)
    return found


def body(request: falcon.Request) -> dict[str, Any]:
    """The JSON object in the request; an empty one for no body. Raises HTTPError 400 or 413, Invalid."""
    if (request.content_length or 0) > MAX_BODY:
        raise falcon.HTTPContentTooLarge(title="The body is too large", description=f"send at most {MAX_BODY} bytes")
    raw = request.bounded_stream.read(MAX_BODY + 1)
    if len(raw) > MAX_BODY:
        raise falcon.HTTPContentTooLarge(title="The body is too large", description=f"send at most {MAX_BODY} bytes")
    request.context.raw = raw
    try:
        parsed = json.loads(raw) if raw.strip() else {}
    except (ValueError, RecursionError) as error:
        raise falcon.HTTPBadRequest(title="The body is not JSON", description=str(error)[:200]) from error
    if not isinstance(parsed, dict):
        raise Invalid("the body must be a JSON object", (FieldError("", "is not an object"),))
    return parsed


def once(
    context: Context, request: falcon.Request, response: falcon.Response, work: Callable[[Tx], tuple[int, Any, str]]
) -> None:
    """Do a POST's work in one transaction; the same Idempotency-Key and body give the first answer again.

    `work` returns status, body and Location. Raises Invalid where the key came with another body before.
    """
    key = request.get_header("Idempotency-Key") or ""
    if len(key) > 255:
        raise Invalid("the Idempotency-Key is too long", (FieldError("Idempotency-Key", "at most 255 characters"),))
    project = request.context.caller.project_id
    digest = hashlib.sha256(f"{request.method} {request.relative_uri} ".encode() + request.context.raw).hexdigest()
    t = tables.idempotency
    with context.database.write() as tx:
        known = None
        if key:
            known = tx.connection.execute(select(t).where(t.c.project_id == project, t.c.key == key)).first()
        if known is not None:
            if known.request_hash != digest:
                reason = (FieldError("Idempotency-Key", "was used with another request"),)
                raise Invalid("this Idempotency-Key belongs to another request", reason, what_to_do="use a new key")
            status, answer, location = known.status, known.body, known.location
        else:
            status, answer, location = work(tx)
            if key:
                tx.connection.execute(
                    insert(t).values(project_id=project, key=key, request_hash=digest, status=status, body=answer,
                                     location=location, created_at=tx.database.clock.now())
                )  # fmt: skip
    response.status, response.media = status, answer
    if location:
        response.set_header("Location", location)


def page(request: falcon.Request) -> tuple[int, str]:
    """`limit` and `marker` of a list. Raises Invalid."""
    raw = request.get_param("limit") or str(DEFAULT_LIMIT)
    if not raw.isdigit() or not 1 <= int(raw) <= MAX_LIMIT:
        raise Invalid("the page is not valid", (FieldError("limit", f"must be a number from 1 to {MAX_LIMIT}"),))
    return int(raw), request.get_param("marker") or ""


def next_url(request: falcon.Request, limit: int, rows: list[Any]) -> str | None:
    """The URL of the next page, when this one is full."""
    if len(rows) < limit:
        return None
    kept = {name: value for name, value in request.params.items() if name not in ("marker", "limit")}
    return f"{request.path}{falcon.to_query_str({**kept, 'limit': limit, 'marker': rows[-1].id})}"


def problem(error: DtroveError) -> tuple[int, dict[str, Any]]:
    """An error as RFC 9457 problem details."""
    status = next((code for kind, code in STATUS if isinstance(error, kind)), 500)
    detail = f"{error.message}; {error.what_to_do}" if error.what_to_do else error.message
    errors = [vars(one) for one in error.errors] if isinstance(error, Invalid) else []
    return status, {
        "type": "about:blank",
        "title": type(error).__name__,
        "status": status,
        "detail": detail,
        "errors": errors,
    }


def handle_known(request: falcon.Request, response: falcon.Response, error: DtroveError, _params: Any) -> None:
    """Answer an error of ours."""
    _answer(response, *problem(error))


def handle_http(request: falcon.Request, response: falcon.Response, error: falcon.HTTPError, _params: Any) -> None:
    """Answer an error of the framework (no such route, method not allowed, bad JSON) in the same shape."""
    document = {"type": "about:blank", "title": error.title, "status": error.status_code,
                "detail": error.description or error.title, "errors": []}  # fmt: skip
    response.set_headers(dict(error.headers or {}))
    _answer(response, error.status_code, document)


def handle_unknown(request: falcon.Request, response: falcon.Response, error: Exception, _params: Any) -> None:
    """Answer a bug without showing it; the log has the rest."""
    log.exception("unexpected error on %s %s", request.method, request.path)
    document = {"type": "about:blank", "title": "Internal error", "status": 500, "errors": [],
                "detail": "DTrove met an error of its own; its log has the details"}  # fmt: skip
    _answer(response, 500, document)


def _answer(response: falcon.Response, status: int, document: dict[str, Any]) -> None:
    response.status, response.media = status, document
    response.content_type = "application/problem+json"
    if status == 401:
        response.set_header("WWW-Authenticate", "Bearer")
