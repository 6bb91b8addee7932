"""What every request leaves behind: an id, a line in the log, a number, and headers that keep browsers careful."""

from __future__ import annotations

import logging
import re
import time
from typing import Any
from uuid import uuid4

import falcon
import structlog

from services.api.metrics import Metrics

log = logging.getLogger("dtrove.access")
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"))
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


class Observing:
    """Middleware; it goes first, so that refused requests are seen as well."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        """Give the request an id (the client's, where it is a sane one) and the answer its usual headers."""
        given = request.get_header("X-Request-ID") or ""
        request.context.id = given if _SANE_ID.fullmatch(given) else str(uuid4())
        request.context.began = time.perf_counter()
        response.set_headers(_HEADERS)
        response.set_header("X-Request-ID", request.context.id)
        # Whatever is logged on the way carries it; a green thread serves one connection and has a context of its own.
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request.context.id)

    def process_response(self, request: falcon.Request, response: falcon.Response, _resource: Any, _ok: bool) -> None:
        """Count, and log one line."""
        seconds = time.perf_counter() - request.context.began
        status = falcon.http_status_to_code(response.status)
        method = request.method if request.method in _METHODS else "other"
        self._metrics.count(request.uri_template or "none", method, status, seconds)
        who = getattr(request.context, "caller", None)
        with structlog.contextvars.bound_contextvars(
            method=method, path=request.path[:500], status=status, ms=round(seconds * 1000, 2),
            token=who.token_id if who else None, project=who.project_id if who else None,
        ):  # fmt: skip
            log.info("request")
