"""What every page of the console works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import falcon

from services.api.web.asking import Asking, WsgiApp
from services.api.web.rendering import Pages
from services.api.web.visits import Visit
from shared.clock import Clock


@dataclass(frozen=True)
class Console:
    """The API that is asked, the pages that are made of its answers, and the time."""

    api: WsgiApp
    pages: Pages
    clock: Clock


def asks(request: falcon.Request) -> Asking:
    """The API as the visitor may use it."""
    visit: Visit = request.context.visit
    return visit.asking


def form(request: falcon.Request) -> dict[str, str]:
    """What the visitor has sent."""
    visit: Visit = request.context.visit
    return visit.form


def go(response: falcon.Response, path: str) -> None:
    """Have the browser show another page, once a form has done what it was for."""
    response.status = 303
    response.set_header("Location", path)


def query(url: str | None) -> dict[str, Any]:
    """What stands behind the question mark of the URL of a next page, its `marker` above all; nothing where there is no such page."""
    return dict(falcon.uri.parse_query_string(url.partition("?")[2])) if url else {}
