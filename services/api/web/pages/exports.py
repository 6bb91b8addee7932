"""Exports: what there is, one of them with the line that restores it, its file, its key, and making one."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

from falcon import Request, Response

from services.api.web.asking import Refused
from services.api.web.console import Console, asks, form, go, query

PER_PAGE, CLUSTERS = 30, 100
# What each engine's tools read, the usual one first. Who has another engine leaves it to the API.
FORMATS = {"pgsql": ("sql", "custom"), "mysql": ("sql",), "redis": ("rdb", "jsonl")}
# What the form has, by the names that the API's errors have.
FIELDS = {"format": "", "databases": "", "tables": "", "encrypted": "on", "store": ""}
# Of a file's headers those that are the browser's, too; and those of its own that the API is asked with.
PASSED = ("content-range", "accept-ranges", "etag", "repr-digest", "content-disposition", "location")
ASKED = ("Range", "If-Range")
_WRONG = (403, 409, 422)


class Exports:
    """`/exports`, and `/clusters/{id}/exports` where one is made."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_get(self, request: Request, response: Response) -> None:
        """A page of the project's exports, all or those of one cluster, also of clusters that are gone."""
        asking, cluster = asks(request), request.get_param("cluster", default="")
        page = asking.get(
            "/v1/exports", limit=PER_PAGE, cluster=cluster, marker=request.get_param("marker", default="")
        )
        clusters = asking.get("/v1/clusters", limit=CLUSTERS, status="active")["clusters"]
        self._console.pages.live(
            request, response, "exports.html", "parts/exports.html", exports=page["exports"], following=query(page["next"]),
            cluster=cluster, clusters=clusters,
        )  # fmt: skip

    def on_get_of_cluster(self, request: Request, response: Response, cluster_id: str) -> None:
        """The form by which data of a cluster are exported now."""
        self._show(request, response, cluster_id, dict(FIELDS))

    def on_post_of_cluster(self, request: Request, response: Response, cluster_id: str) -> None:
        """Export now, once for each form, however often it is sent."""
        sent = form(request)
        # A box that is not ticked is not sent.
        given = {**FIELDS, "encrypted": "", **{name: value for name, value in sent.items() if name in FIELDS}}
        try:
            made = asks(request).send(
                "POST", f"/v1/clusters/{cluster_id}/exports", wish(given), key=sent.get("key", "")
            )
        except Refused as error:
            if error.status not in _WRONG:
                raise
            self._show(request, response, cluster_id, given, error)
            return
        go(response, f"/exports/{made.body['export']['id']}")

    def _show(
        self, request: Request, response: Response, cluster_id: str, given: dict[str, str], error: Refused | None = None
    ) -> None:
        cluster = asks(request).get(f"/v1/clusters/{cluster_id}")
        # What is wrong with one of several names is wrong with the field that has them.
        wrong = {field.partition(".")[0]: why for field, why in (error.errors if error else {}).items()}
        self._console.pages.show(
            request, response, "new_export.html", error.status if error else 200, cluster=cluster, given=given, wrong=wrong,
            elsewhere={field: why for field, why in wrong.items() if field not in FIELDS}, detail=error.detail if error else "",
            formats=FORMATS.get(cluster["datastore"]["manager"], ()), key=str(uuid4()),
        )  # fmt: skip


class Export:
    """`/exports/{id}`, and what is to be had of it."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_get(self, request: Request, response: Response, export_id: str) -> None:
        """What is in it, and how it is restored, with DTrove or without."""
        asking = asks(request)
        export = asking.get(f"/v1/exports/{export_id}")
        clusters = asking.get("/v1/clusters", limit=CLUSTERS, status="active")["clusters"]
        takers = [one for one in clusters if one["datastore"]["manager"] == export["datastore"]["manager"]]
        self._console.pages.live(request, response, "export.html", "parts/export.html", export=export, takers=takers)

    def on_get_content(self, request: Request, response: Response, export_id: str) -> None:
        """Its file, whole or the bytes that the browser lacks; what lies in an object store is had there."""
        asked = {name: value for name in ASKED if (value := request.get_header(name))}
        fetched = asks(request).fetch(f"/v1/exports/{export_id}/content", asked)
        response.status = fetched.status
        response.content_type = fetched.headers.get("content-type", "application/octet-stream")
        response.set_headers({name: fetched.headers[name] for name in PASSED if name in fetched.headers})
        if "content-length" in fetched.headers:
            response.content_length = int(fetched.headers["content-length"])
        response.stream = fetched

    def on_post_key(self, request: Request, response: Response, export_id: str) -> None:
        """What opens it, because somebody has asked for it: the API writes that down."""
        asking = asks(request)
        export, key = asking.get(f"/v1/exports/{export_id}"), asking.get(f"/v1/exports/{export_id}/key")
        self._console.pages.show(request, response, "export_key.html", export=export, key=key)


def wish(given: dict[str, str]) -> dict[str, Any]:
    """The body of a request for an export, as the form has it; names have commas or blanks between them."""
    return {
        "format": given["format"] or None, "databases": names(given["databases"]), "tables": names(given["tables"]),
        "encrypted": given["encrypted"] == "on", "store": given["store"].strip(),
    }  # fmt: skip


def names(text: str) -> list[str]:
    """The names in a field."""
    return [one for one in re.split(r"[,\s]+", text) if one]
