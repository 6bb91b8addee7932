"""The HTTP edge: who asks, what a body may be, where a page ends, and how an error reads."""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Protocol

import falcon
from sqlalchemy.exc import IntegrityError

from services.api.actions.access import Caller, Callers, Credential, Judge, digest
from services.api.changes import Changes
from services.api.domain.limits import Limits, TooManyRequests
from services.api.limiting import Traffic
from services.api.metrics import Metrics
from services.api.observer import Observer
from services.api.settings import OPEN_PATHS
from shared.db import Database
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
from shared.secrets import Secret

RETRY_SECONDS = 2
SESSION_PATH = "/v1/session"
STATUS = ((Unauthorized, 401), (Forbidden, 403), (NotFound, 404), (Conflict, 409), (Invalid, 422), (TooManyRequests, 429),
          (Unavailable, 503), (Failure, 422))  # fmt: skip
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
    seal: Callable[[Secret], str]
    unseal: Callable[[str], str]
    max_cluster_size: int
    ready: Callable[[], dict[str, str]]
    reseal: Callable[[], dict[str, Any]] = dict
    changes: Changes = field(default_factory=Changes)
    metrics: Metrics = field(default_factory=Metrics)
    open_paths: tuple[str, ...] = OPEN_PATHS
    observer: Observer | None = None
    limits: Limits = field(default_factory=Limits)
    keystone: Judge | None = None
    keystone_seconds: float = 30.0
    metrics_token_hash: str = ""
    session_lasts: timedelta = timedelta(hours=8)
    callers: Callers = field(init=False)
    traffic: Traffic = field(init=False)

    @property
    def look(self) -> Observer:
        """Who looks at the whole; without one, nothing but the API's own tables is seen."""
        return self.observer or Observer(self.database, {})

    def __post_init__(self) -> None:
        object.__setattr__(self, "callers", Callers(self.database, self.keystone, self.keystone_seconds))
        object.__setattr__(self, "traffic", Traffic(self.limits, self.database.clock))


class Authentication:
    """Every route but the open ones needs a token; the caller is left in the request's context."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        """Find the caller. Raises Unauthorized."""
        request.context.most_bytes = self._context.limits.body_bytes
        if request.path in self._context.open_paths:
            return
        request.context.credential = _credential(request)
        exchanging = request.method == "POST" and request.path == SESSION_PATH
        found = self._context.callers.of(request.context.credential, exchanging=exchanging)
        asked = request.context
        asked.caller = replace(found, address=asked.address, request_id=asked.id)


def _credential(request: falcon.Request) -> Credential:
    """The token in the request's headers; one of DTrove's own goes before one of Keystone's. Raises Unauthorized."""
    scheme, _, token = (request.get_header("Authorization") or "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return Credential(token.strip())
    if of_keystone := (request.get_header("X-Auth-Token") or "").strip():
        return Credential(of_keystone, of_keystone=True)
    raise Unauthorized("no token was given", what_to_do="send the header `Authorization: Bearer <token>`, or a Keystone "
                                                        "token in `X-Auth-Token`")  # fmt: skip


def nodes_seen_by(context: Context, request: falcon.Request) -> str | None:
    """The project whose nodes are shown to who asks, where anybody may ask: empty for all, None for somebody without a token.

    Raises Unauthorized for a bad token.
    """
    if not (request.get_header("Authorization") or request.get_header("X-Auth-Token")):
        return None
    credential, reader = _credential(request), context.metrics_token_hash
    if reader and not credential.of_keystone and hmac.compare_digest(digest(credential.token), reader):
        return ""
    found = context.callers.of(credential)
    return "" if found.role == "admin" else found.project_id


def caller(request: falcon.Request, role: str = "reader") -> Caller:
    """Who asks, if the role suffices. Raises Forbidden."""
    found: Caller = request.context.caller
    found.need(role)
    return found


def body(request: falcon.Request) -> dict[str, Any]:
    """The JSON object in the request; an empty one for no body. Raises HTTPError 400, 408, 413 or 415, Invalid."""
    raw = request.context.raw = _raw(request)
    if not raw.strip():
        return {}
    kind = (request.content_type or falcon.MEDIA_JSON).partition(";")[0].strip().lower()
    if kind != falcon.MEDIA_JSON and not kind.endswith("+json"):
        raise falcon.HTTPUnsupportedMediaType(
            title="The body is not JSON", description="send the header `Content-Type: application/json`, and JSON"
        )
    try:
        parsed = json.loads(raw.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise falcon.HTTPBadRequest(title="The body is not JSON", description=str(error)[:200]) from error
    if not isinstance(parsed, dict):
        raise Invalid("the body must be a JSON object", (FieldError("", "is not an object"),))
    return parsed


def _raw(request: falcon.Request) -> bytes:
    """The body's bytes, not too many, whether their number was announced or they come in chunks."""
    most: int = request.context.most_bytes
    too_large = falcon.HTTPContentTooLarge(
        title="The body is too large", description=f"send at most {most} bytes", headers={"Connection": "close"}
    )
    if (request.content_length or 0) > most:
        raise too_large
    chunked = (request.get_header("Transfer-Encoding") or "").lower() == "chunked"
    stream = request.stream if chunked else request.bounded_stream
    try:
        raw: bytes = stream.read(most + 1)
    except TimeoutError as error:
        raise falcon.HTTPError(
            408, title="The body took too long", description="send it again, faster", headers={"Connection": "close"}
        ) from error
    except (OSError, ValueError) as error:
        raise falcon.HTTPBadRequest(title="The body broke off", description="send it again, whole") from error
    if len(raw) > most:
        raise too_large
    return raw


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def next_url(request: falcon.Request, limit: int, following: str | None) -> str | None:
    """The URL of the next page, which begins after the id `following`; None where there is no such page."""
    if following is None:
        return None
    kept = {name: value for name, value in request.params.items() if name not in ("marker", "limit")}
    return f"{request.path}{falcon.to_query_str({**kept, 'limit': limit, 'marker': following})}"


def problem(error: DtroveError) -> tuple[int, dict[str, Any]]:
    """An error as RFC 9457 problem details."""
    status = next((code for kind, code in STATUS if isinstance(error, kind)), 500)
    detail = f"{error.message}; {error.what_to_do}" if error.what_to_do else error.message
    errors = [vars(one) for one in error.errors] if isinstance(error, Invalid) else []
    return status, _document(type(error).__name__, status, detail, errors)


def handle_known(request: falcon.Request, response: falcon.Response, error: DtroveError, _params: Any) -> None:
    """Answer an error of ours."""
    if isinstance(error, TooManyRequests):
        response.set_header("Retry-After", str(error.seconds))
    _answer(response, *problem(error))


def handle_http(request: falcon.Request, response: falcon.Response, error: falcon.HTTPError, _params: Any) -> None:
    """Answer an error of the framework (no such route, method not allowed, bad JSON) in the same shape."""
    title, detail = error.title or "Error", error.description or error.title or "Error"
    if isinstance(error, falcon.HTTPRouteNotFound):
        title, detail = "NotFound", "there is no such path; /v1/openapi.json lists those that there are"
    elif isinstance(error, falcon.HTTPMethodNotAllowed):
        allowed = dict(error.headers or {}).get("Allow", "")
        title, detail = "MethodNotAllowed", f"{request.method} is not possible here; try one of {allowed}"
    response.set_headers(dict(error.headers or {}))
    _answer(response, error.status_code, _document(title, error.status_code, detail))


def handle_clash(request: falcon.Request, response: falcon.Response, error: IntegrityError, _params: Any) -> None:
    """Answer a write that another one has just ruled out."""
    log.warning("two writes met on %s %s: %s", request.method, request.path, error.orig)
    _answer(response, 409, _document("Conflict", 409, "another request changed the same thing just now; try again"))


def handle_unknown(request: falcon.Request, response: falcon.Response, error: Exception, _params: Any) -> None:
    """Answer a bug without showing it; the log has the rest."""
    log.exception("unexpected error on %s %s", request.method, request.path)
    _answer(response, 500, _document("InternalError", 500, "DTrove met an error of its own; its log has the details"))


def _document(title: str, status: int, detail: str, errors: list[dict[str, str]] | None = None) -> dict[str, Any]:
    return {"type": "about:blank", "title": title, "status": status, "detail": detail, "errors": errors or []}


def _answer(response: falcon.Response, status: int, document: dict[str, Any]) -> None:
    response.status, response.data = status, json.dumps(document).encode()
    response.content_type = "application/problem+json"
    if status == falcon.http_status_to_code(falcon.HTTP_401):
        response.set_header("WWW-Authenticate", "Bearer")
    if status == falcon.http_status_to_code(falcon.HTTP_503):
        response.set_header("Retry-After", str(RETRY_SECONDS))
