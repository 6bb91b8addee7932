"""The WSGI application: every route in one table."""

from __future__ import annotations

import falcon

from services.api import http
from services.api.resources import catalogue, clusters, operations
from shared.errors import DtroveError


def make_app(context: http.Context) -> falcon.App[falcon.Request, falcon.Response]:
    """Put routes, authentication and error handlers together."""
    app = falcon.App(middleware=[http.Authentication(context.database)])
    app.req_options.strip_url_path_trailing_slash = True
    app.add_error_handler(Exception, http.handle_unknown)
    app.add_error_handler(falcon.HTTPError, http.handle_http)
    app.add_error_handler(DtroveError, http.handle_known)
    routes = {
        "/v1/clusters": clusters.Clusters,
        "/v1/clusters/{cluster_id}": clusters.Cluster,
        "/v1/clusters/{cluster_id}/credentials": clusters.Credentials,
        "/v1/clusters/{cluster_id}/instances": clusters.ClusterInstances,
        "/v1/clusters/{cluster_id}/backups": clusters.Backups,
        "/v1/instances/{instance_id}": clusters.Instance,
        "/v1/instances/{instance_id}/perform": clusters.Perform,
        "/v1/operations": operations.Operations,
        "/v1/operations/{operation_id}": operations.Operation,
        "/v1/operations/{operation_id}/transcript": operations.Transcript,
        "/v1/operations/{operation_id}/cancel": operations.Cancel,
        "/v1/operations/{operation_id}/retry": operations.Retry,
        "/v1/events": operations.Events,
        "/v1/datastores": catalogue.Datastores,
        "/v1/datastores/{datastore_id}": catalogue.Datastore,
        "/v1/flavors": catalogue.Flavors,
        "/v1/tokens": catalogue.Tokens,
        "/v1/projects": catalogue.Projects,
        "/healthz": catalogue.Health,
    }
    for path, resource in routes.items():
        app.add_route(path, resource(context))
    app.add_route("/v1/tokens/{token_id}", catalogue.Tokens(context), suffix="one")
    app.add_route("/readyz", catalogue.Health(context), suffix="ready")
    app.add_route("/metrics", catalogue.Health(context), suffix="metrics")
    return app
