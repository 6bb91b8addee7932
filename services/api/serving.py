"""What each method of a route takes and gives: declared once, checked on every request, shown in OpenAPI."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

import falcon
import marshmallow as ma

from services.api.http import body, caller
from services.api.schemas import Empty, accept, accept_query, queries
from services.api.schemas.base import NO_TEXT
from shared.errors import NotFound

Responder = Callable[..., None]
EVENT_STREAM, HTML, BYTES = "text/event-stream", "text/html; charset=utf-8", "application/octet-stream"


@dataclass(frozen=True)
class Call:
    """One method of a route.

    `role` is the least that is needed, empty for a route that may be open; `takes` the body's schema; `gives` the
    answer's, with `status`; `also` further answers by status; `media` kinds of answer that are not JSON; with `ranges` some bytes
    of it can be asked for, and it may be had elsewhere.
    """

    role: str = "reader"
    takes: type[ma.Schema] | None = None
    query: type[ma.Schema] = queries.Nothing
    gives: type[ma.Schema] | None = None
    status: int = 200
    also: dict[int, type[ma.Schema]] = field(default_factory=dict)
    media: tuple[str, ...] = ()
    conflicts: bool = False
    ranges: bool = False


def serves(**declared: Any) -> Callable[[Responder], Responder]:
    """Declare a responder with the fields of Call.

    It runs only after role, ids, query and body have been found good; it finds the query in `request.context.query` and
    the body in `request.context.asked`.
    """
    call = Call(**declared)
    defaults = accept(call.query, {})

    def decorate(responder: Responder) -> Responder:
        @functools.wraps(responder)
        def checked(resource: Any, request: falcon.Request, response: falcon.Response, **ids: str) -> None:
            # Also a refusal is written down with what it was about.
            request.context.ids = ids
            if call.role:
                caller(request, call.role)
            known = {name: _known(name, value) for name, value in ids.items()}
            request.context.query = accept_query(call.query, request.params) if request.params else defaults
            if call.takes is not None:
                request.context.asked = accept(call.takes, body(request))
            response.status = call.status
            responder(resource, request, response, **known)

        cast("Any", checked).call = call
        return checked

    return decorate


def call_of(responder: Any) -> Call | None:
    """What was declared of a responder; None where nothing was."""
    found: Call | None = getattr(responder, "call", None)
    return found


def action(**declared: Any) -> Callable[[Responder], Responder]:
    """Declare a POST that needs no body."""
    return serves(takes=Empty, **declared)


def _known(name: str, value: str) -> str:
    """What stands in the path: an id, or a thing's own name. Raises NotFound for what can be neither."""
    return _uuid(name, value) if name.endswith("_id") else _named(name, value)


def _named(name: str, value: str) -> str:
    if NO_TEXT.search(value):
        raise NotFound(f"there is no {name} of that name")
    return value


def _uuid(name: str, value: str) -> str:
    """An id from the path in its usual form. Raises NotFound: what has no such form cannot be there."""
    try:
        if len(value) == 36:
            return str(UUID(value))
    except ValueError:
        pass
    raise NotFound(f"there is no {name.removesuffix('_id')} {value[:64]}")
