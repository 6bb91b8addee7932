"""The console's WSGI application: its routes, and what becomes of errors."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import falcon

from services.api.web.asking import Refused, WsgiApp
from services.api.web.assets import Assets
from services.api.web.console import Console
from services.api.web.pages import (
    accounts,
    admin,
    backups,
    catalogue,
    changing,
    clusters,
    creating,
    events,
    exports,
    health,
    imports,
    leaving,
    logs,
    operations,
    overview,
    parameters,
    plots,
    schedules,
    signing,
)
from services.api.web.rendering import Pages
from services.api.web.visits import Forged, SignInNeeded, Visit, Visiting, forget_cookie, sign_in_url
from shared.clock import Clock

Route = tuple[str, type[Any], str]
ROUTES: tuple[Route, ...] = (
    ("/", overview.Overview, ""),
    ("/sign-in", signing.SignIn, ""),
    ("/sign-out", signing.SignOut, ""),
    ("/clusters", clusters.Clusters, ""),
    ("/clusters/new", creating.NewCluster, ""),
    ("/clusters/{cluster_id}", clusters.Cluster, ""),
    ("/clusters/{cluster_id}/credentials", clusters.Cluster, "credentials"),
    ("/clusters/{cluster_id}/protection", clusters.Cluster, "protection"),
    ("/clusters/{cluster_id}/backups", backups.Backups, "of_cluster"),
    ("/clusters/{cluster_id}/exports", exports.Exports, "of_cluster"),
    ("/clusters/{cluster_id}/delete", leaving.DeleteCluster, ""),
    ("/clusters/{cluster_id}/change/{change}", changing.Change, ""),
    ("/clusters/{cluster_id}/health", health.Health, ""),
    ("/clusters/{cluster_id}/day", plots.LastDay, ""),
    ("/clusters/{cluster_id}/parameters", parameters.Parameters, ""),
    ("/clusters/{cluster_id}/parameters/history", parameters.Parameters, "history"),
    ("/clusters/{cluster_id}/accounts", accounts.Accounts, ""),
    ("/clusters/{cluster_id}/schedules", schedules.Schedules, ""),
    ("/clusters/{cluster_id}/schedules/new", schedules.Schedules, "new"),
    ("/clusters/{cluster_id}/schedules/{schedule_id}", schedules.Schedules, "one"),
    ("/clusters/{cluster_id}/schedules/{schedule_id}/pause", schedules.Schedules, "pause"),
    ("/clusters/{cluster_id}/schedules/{schedule_id}/remove", schedules.Schedules, "remove"),
    ("/operations", operations.Operations, ""),
    ("/operations/{operation_id}", operations.Operation, ""),
    ("/operations/{operation_id}/live", operations.Operation, "live"),
    ("/operations/{operation_id}/transcript", operations.Operation, "transcript"),
    ("/operations/{operation_id}/cancel", operations.Operation, "cancel"),
    ("/operations/{operation_id}/retry", operations.Operation, "retry"),
    ("/backups", backups.Backups, ""),
    ("/backups/{backup_id}", backups.Backup, ""),
    ("/backups/{backup_id}/verify", backups.Backup, "verify"),
    ("/backups/{backup_id}/delete", leaving.DeleteBackup, ""),
    ("/exports", exports.Exports, ""),
    ("/exports/{export_id}", exports.Export, ""),
    ("/exports/{export_id}/content", exports.Export, "content"),
    ("/exports/{export_id}/key", exports.Export, "key"),
    ("/exports/{export_id}/delete", leaving.DeleteExport, ""),
    ("/imports", imports.Imports, ""),
    ("/imports/{import_id}", imports.Imports, "one"),
    ("/instances/{instance_id}/logs", logs.Logs, ""),
    ("/instances/{instance_id}/logs/last", logs.Logs, "last"),
    ("/instances/{instance_id}/logs/live", logs.Logs, "live"),
    ("/events", events.Events, ""),
    ("/events/live", events.Events, "live"),
    ("/datastores", catalogue.Catalogue, ""),
    ("/admin", admin.Checks, ""),
    ("/admin/audit", admin.Audit, ""),
    ("/admin/projects", admin.Projects, ""),
    ("/admin/projects/{project_id}", admin.Projects, "one"),
    ("/admin/tokens", admin.Tokens, ""),
    ("/admin/tokens/{token_id}/revoke", admin.Tokens, "revoke"),
)
OWNED = frozenset(path.split("/")[1] for path, *_ in ROUTES) | {"static"}
log = logging.getLogger(__name__)


def make_console(api: WsgiApp, clock: Clock, middleware: Iterable[Any] = ()) -> falcon.App[Any, Any]:
    """The console over an API. `middleware` goes before its own."""
    assets = Assets()
    console = Console(api, Pages(clock, assets), clock)
    app = falcon.App(middleware=(*middleware, Visiting(api)))
    app.req_options.strip_url_path_trailing_slash = True
    errors = _Errors(console.pages)
    app.add_error_handler(Exception, errors.unknown)
    app.add_error_handler(falcon.HTTPError, errors.of_http)
    app.add_error_handler(Refused, errors.refused)
    app.add_error_handler(Forged, errors.forged)
    app.add_error_handler(SignInNeeded, errors.sign_in)
    for path, resource, suffix in ROUTES:
        app.add_route(path, resource(console), suffix=suffix or None)
    app.add_route("/static/{name}", assets)
    return app


@dataclass(frozen=True)
class _Errors:
    """Every error is a page that says what to do."""

    pages: Pages

    def sign_in(self, request: falcon.Request, response: falcon.Response, _error: Any, _params: Any) -> None:
        """To the page that signs in; a part of a page cannot go there by itself and takes the whole along."""
        forget_cookie(response)
        if request.get_header("HX-Request"):
            response.status = 401
            response.set_header("HX-Redirect", sign_in_url(request))
            return
        response.status = 303
        response.set_header("Location", sign_in_url(request))

    def refused(self, request: falcon.Request, response: falcon.Response, error: Refused, params: Any) -> None:
        """What the API has refused, in its words."""
        if error.status == falcon.http_status_to_code(falcon.HTTP_401):
            self.sign_in(request, response, error, params)
            return
        self._show(request, response, error.status, error.detail, error.errors)

    def forged(self, request: falcon.Request, response: falcon.Response, _error: Any, _params: Any) -> None:
        """Nothing was done."""
        self._show(request, response, 403, "This form was not made for this session, so nothing was done. Load the page that it "
                                           "is on again, and send it from there.")  # fmt: skip

    def of_http(
        self, request: falcon.Request, response: falcon.Response, error: falcon.HTTPError, _params: Any
    ) -> None:
        """No such page, or a form sent where none is taken."""
        detail = error.description or error.title or "The request cannot be answered."
        if isinstance(error, falcon.HTTPRouteNotFound):
            detail = "There is no such page. Begin at the overview."
        elif isinstance(error, falcon.HTTPMethodNotAllowed):
            detail = "This page is not there for that. Begin at the overview."
        response.set_headers(dict(error.headers or {}))
        self._show(request, response, error.status_code, detail)

    def unknown(self, request: falcon.Request, response: falcon.Response, _error: Any, _params: Any) -> None:
        """A bug, without showing it; the log has the rest."""
        log.exception("unexpected error on %s %s", request.method, request.path)
        self._show(request, response, 500, "DTrove met an error of its own, and its log has the details. Try again; if it comes "
                                           "back, tell whoever runs DTrove.")  # fmt: skip

    def _show(
        self, request: falcon.Request, response: falcon.Response, status: int, detail: str,
        errors: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        visit: Visit | None = getattr(request.context, "visit", None)
        # Who it is may be the very thing that cannot be found out.
        who = visit.known if visit else None
        self.pages.plain(
            response, "error.html", status, who=who, csrf=visit.csrf if visit else "", path=request.path, code=status,
            detail=detail, errors=errors or {}, request_id=getattr(request.context, "id", ""),
        )  # fmt: skip
