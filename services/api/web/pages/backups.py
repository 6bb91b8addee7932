"""Backups: what there is, one of them with its proof, and making one."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from falcon import Request, Response

from services.api.web import timeline
from services.api.web.asking import Asking, Refused
from services.api.web.console import Console, asks, form, go, query

PER_PAGE, CLUSTERS, NOT_THERE = 30, 100, 404


class Backups:
    """`/backups`, and `/clusters/{id}/backups` where one is made."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_get(self, request: Request, response: Response) -> None:
        """A page of the project's backups, all or those of one cluster, also of clusters that are gone."""
        asking, cluster = asks(request), request.get_param("cluster", default="")
        page = asking.get(
            "/v1/backups", limit=PER_PAGE, cluster=cluster, marker=request.get_param("marker", default="")
        )
        clusters = asking.get("/v1/clusters", limit=CLUSTERS, status="active")["clusters"]
        restorable = _restorable(asking, cluster) if cluster else None
        self._console.pages.live(
            request, response, "backups.html", "parts/backups.html", backups=page["backups"], following=query(page["next"]),
            cluster=cluster, clusters=clusters, restorable=restorable,
            timeline=timeline.drawn(page["backups"], restorable) if cluster else None,
        )  # fmt: skip

    def on_get_of_cluster(self, request: Request, response: Response, cluster_id: str) -> None:
        """The form by which a cluster is backed up now."""
        cluster = asks(request).get(f"/v1/clusters/{cluster_id}")
        self._console.pages.show(request, response, "back_up.html", cluster=cluster, key=str(uuid4()))

    def on_post_of_cluster(self, request: Request, response: Response, cluster_id: str) -> None:
        """Back up now, once for each form, however often it is sent."""
        given = form(request)
        wish = {name: given[name] for name in ("kind", "store") if given.get(name)}
        sent = asks(request).send("POST", f"/v1/clusters/{cluster_id}/backups", wish, key=given.get("key", ""))
        go(response, f"/operations/{sent.operation}")


class Backup:
    """`/backups/{id}`."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_get(self, request: Request, response: Response, backup_id: str) -> None:
        """One backup: of what, how large, where, and whether it was proved."""
        backup = asks(request).get(f"/v1/backups/{backup_id}")
        self._console.pages.live(request, response, "backup.html", "parts/backup.html", backup=backup)

    def on_post_verify(self, request: Request, response: Response, backup_id: str) -> None:
        """Prove it by a restore to a server of its own, which goes again."""
        sent = asks(request).send("POST", f"/v1/backups/{backup_id}/verify", {})
        go(response, f"/operations/{sent.operation}")


def _restorable(asking: Asking, cluster_id: str) -> Any:
    """Which moments of a cluster can be restored; None also where it is gone, and has left backups alone."""
    try:
        return asking.get(f"/v1/clusters/{cluster_id}")["restorable"]
    except Refused as error:
        if error.status != NOT_THERE:
            raise
        return None
