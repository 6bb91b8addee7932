"""The WSGI application: routes, what every request goes through, and what becomes of errors."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

import falcon
from sqlalchemy.exc import IntegrityError

from services.api import http
from services.api.auditing import Auditing
from services.api.limiting import ByAddress, ByToken
from services.api.observing import Observing
from services.api.openapi import document
from services.api.resources.system import Description
from services.api.routes import ROUTES
from services.api.web.app import OWNED, make_console
from services.api.web.front import Front
from shared.errors import DtroveError


def make_app(context: http.Context) -> falcon.App[falcon.Request, falcon.Response]:
    """Put routes, authentication and error handlers together."""
    by_address, by_token = ByAddress(context.traffic), ByToken(context.traffic)
    app = falcon.App(middleware=(Observing(context.metrics), by_address, http.Authentication(context), by_token,
                                 Auditing(context.database)))  # fmt: skip
    app.req_options.strip_url_path_trailing_slash = True
    app.add_error_handler(Exception, http.handle_unknown)
    app.add_error_handler(IntegrityError, http.handle_clash)
    app.add_error_handler(falcon.HTTPError, http.handle_http)
    app.add_error_handler(DtroveError, http.handle_known)
    description = Description(_document())
    for path, resource, suffix in ROUTES:
        served = description if resource is Description else resource(context)
        app.add_route(path, served, suffix=suffix or None)
    return app


def make_site(context: http.Context) -> Front:
    """The API with the console before it, which is a client of it like any other."""
    api = make_app(context)
    console = make_console(api, context.database.clock, (Observing(context.metrics),))
    return Front(api, console, {path.split("/")[1] for path, *_ in ROUTES}, OWNED)


@cache
def _document() -> dict[str, Any]:
    """What all of this is, in OpenAPI: it takes a while to put together, and depends on nothing."""
    return document(ROUTES, version("dtrove"))
