"""Clusters: the list, and one of them with all that there is of it."""

from __future__ import annotations

from falcon import Request, Response

from services.api.web import snippets, topology
from services.api.web.asking import Refused
from services.api.web.console import Console, asks, form, go, query
from services.api.web.pages.looking import with_health

PER_PAGE, LATEST, SIGNED_OUT = 20, 10, 401
STATUSES = ("requested", "building", "active", "degraded", "updating", "stopped", "failed", "deleting")


class Clusters:
    """`/clusters`."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_get(self, request: Request, response: Response) -> None:
        """A page of the project's clusters, all or those of one state."""
        asking, status = asks(request), request.get_param("status", default="")
        page = asking.get("/v1/clusters", limit=PER_PAGE, status=status, marker=request.get_param("marker", default=""))
        self._console.pages.live(
            request, response, "clusters.html", "parts/clusters.html", clusters=with_health(asking, page["clusters"]),
            following=query(page["next"]), state=status, states=STATUSES,
        )  # fmt: skip


class Cluster:
    """`/clusters/{id}` and what is done there."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_get(self, request: Request, response: Response, cluster_id: str) -> None:
        """State, health, nodes, endpoint, the running operation, what was done lately."""
        asking = asks(request)
        cluster = asking.get(f"/v1/clusters/{cluster_id}")
        operations = asking.get("/v1/operations", cluster=cluster_id, limit=LATEST)["operations"]
        backups = asking.get(f"/v1/clusters/{cluster_id}/backups", limit=1)["backups"]
        seen = {one["instance"]: one for one in (cluster["health"] or {"nodes": ()})["nodes"]}
        self._console.pages.live(
            request, response, "cluster.html", "parts/cluster.html", cluster=cluster, operations=operations, seen=seen,
            picture=topology.drawn(cluster["instances"], seen), snippets=snippets.of(cluster),
            last_backup=backups[0] if backups else None,
        )  # fmt: skip

    def on_post_credentials(self, request: Request, response: Response, cluster_id: str) -> None:
        """The administrator's login, because somebody has asked for it: the API writes that down."""
        is_part = bool(request.get_header("HX-Request"))
        try:
            login = asks(request).get(f"/v1/clusters/{cluster_id}/credentials")
        except Refused as error:
            if not is_part or error.status == SIGNED_OUT:
                raise
            # What is put into a page is good for it, or nobody would see it.
            self._console.pages.plain(response, "parts/refused.html", detail=error.detail)
            return
        if is_part:
            self._console.pages.plain(response, "parts/credentials.html", login=login)
            return
        cluster = asks(request).get(f"/v1/clusters/{cluster_id}")
        self._console.pages.show(request, response, "credentials.html", cluster=cluster, login=login)

    def on_post_protection(self, request: Request, response: Response, cluster_id: str) -> None:
        """Guard it against deletion, or no more."""
        wanted = form(request).get("protect")
        if wanted not in ("on", "off"):
            raise Refused(422, {"detail": "the form does not say whether to protect; load the page again"})
        asks(request).send("PATCH", f"/v1/clusters/{cluster_id}", {"deletion_protection": wanted == "on"})
        go(response, f"/clusters/{cluster_id}")
