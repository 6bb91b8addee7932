"""What deletes: each asks for the name, and says before what is lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from falcon import Request, Response

from services.api.web.asking import Refused
from services.api.web.console import Console, asks, form, go

WRONG_NAME = "This is not the name. Type it as it stands above; nothing was deleted."
# What the API may say of a deletion that is possible later, or once something else was done.
_NOT_NOW = (409, 422)


class DeleteCluster:
    """`/clusters/{id}/delete`."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_get(self, request: Request, response: Response, cluster_id: str) -> None:
        """The plan, and the form."""
        self._show(request, response, asks(request).get(f"/v1/clusters/{cluster_id}"))

    def on_post(self, request: Request, response: Response, cluster_id: str) -> None:
        """Delete it, if the name is right."""
        asking, given = asks(request), form(request)
        cluster = asking.get(f"/v1/clusters/{cluster_id}")
        if given.get("name") != cluster["name"]:
            self._show(request, response, cluster, WRONG_NAME, 422)
            return
        last = {"final_backup": "true"} if given.get("final_backup") else {}
        try:
            sent = asking.send("DELETE", f"/v1/clusters/{cluster_id}", **last)
        except Refused as error:
            if error.status not in _NOT_NOW:
                raise
            self._show(request, response, cluster, error.detail, error.status)
            return
        go(response, f"/operations/{sent.operation}")

    def _show(
        self, request: Request, response: Response, cluster: dict[str, Any], wrong: str = "", status: int = 200
    ) -> None:
        plan = asks(request).send("DELETE", f"/v1/clusters/{cluster['id']}", plan="true").body["plan"]
        self._console.pages.show(request, response, "delete_cluster.html", status, cluster=cluster, plan=plan, wrong=wrong,
                                 given=form(request))  # fmt: skip


class DeleteBackup:
    """`/backups/{id}/delete`."""

    def __init__(self, console: Console) -> None:
        self._kept = _Kept(console, "backup", "a backup")

    def on_get(self, request: Request, response: Response, backup_id: str) -> None:
        """What goes, and the form."""
        self._kept.ask(request, response, backup_id)

    def on_post(self, request: Request, response: Response, backup_id: str) -> None:
        """Delete it, if the name of its cluster is right."""
        self._kept.delete(request, response, backup_id)


class DeleteExport:
    """`/exports/{id}/delete`."""

    def __init__(self, console: Console) -> None:
        self._kept = _Kept(console, "export", "an export")

    def on_get(self, request: Request, response: Response, export_id: str) -> None:
        """What goes, and the form."""
        self._kept.ask(request, response, export_id)

    def on_post(self, request: Request, response: Response, export_id: str) -> None:
        """Delete it, if the name of its cluster is right."""
        self._kept.delete(request, response, export_id)


@dataclass(frozen=True)
class _Kept:
    """What is kept of clusters, and goes by the name of the one that it is of."""

    console: Console
    word: str
    named: str

    def ask(self, request: Request, response: Response, kept_id: str) -> None:
        """The form."""
        self._show(request, response, asks(request).get(f"/v1/{self.word}s/{kept_id}"))

    def delete(self, request: Request, response: Response, kept_id: str) -> None:
        """Delete it, or show the form again, which says why not."""
        asking = asks(request)
        kept = asking.get(f"/v1/{self.word}s/{kept_id}")
        if form(request).get("name") != kept["cluster_name"]:
            self._show(request, response, kept, WRONG_NAME, 422)
            return
        try:
            sent = asking.send("DELETE", f"/v1/{self.word}s/{kept_id}")
        except Refused as error:
            if error.status not in _NOT_NOW:
                raise
            self._show(request, response, kept, error.detail, error.status)
            return
        go(response, f"/operations/{sent.operation}")

    def _show(
        self, request: Request, response: Response, kept: dict[str, Any], wrong: str = "", status: int = 200
    ) -> None:
        self.console.pages.show(request, response, "delete_kept.html", status, kept=kept, word=self.word, named=self.named,
                                wrong=wrong)  # fmt: skip
