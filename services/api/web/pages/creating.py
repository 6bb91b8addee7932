"""A new cluster: the form, its plan, and only then the wish.

Nothing is validated here: a field that is wrong is said so by the API, and shown beside the field.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from falcon import Request, Response

from services.api.web import moments
from services.api.web.asking import Asking, Refused
from services.api.web.changes.base import number
from services.api.web.console import Console, asks, form, go
from services.api.web.moments import Reach

# What the form has, by the names that the API's errors have.
FIELDS = {"name": "", "datastore": "", "size": "1", "flavor": "", "volume_gb": "", "topology.mode": "",
          "topology.failover": "automatic", "deletion_protection": "", "restore.backup": "", "restore.cluster": "", "restore.time": ""}  # fmt: skip
# What may be wrong with a wish; anything else is a page of its own.
_WRONG = (403, 409, 422)


class NewCluster:
    """`/clusters/new`."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_get(self, request: Request, response: Response) -> None:
        """The form; with `?backup=` or `?cluster=` for one that begins with a backup, or as of a moment of that cluster.

        It needs no less than that one's cluster had.
        """
        given, asking = dict(FIELDS), asks(request)
        if backup_id := request.get_param("backup", default=""):
            given |= _like(asking.get(f"/v1/backups/{backup_id}")) | {"restore.backup": backup_id}
        elif cluster_id := request.get_param("cluster", default=""):
            was = asking.get(f"/v1/clusters/{cluster_id}")
            latest = (was["restorable"] or {"latest": ""})["latest"]
            given |= _like(was) | {"restore.cluster": cluster_id, "restore.time": latest}
        self._show(request, response, given)

    def on_post(self, request: Request, response: Response) -> None:
        """The plan, the form once more, or the cluster: by the button that was pressed."""
        sent = form(request)
        given = FIELDS | {name: value for name, value in sent.items() if name in FIELDS}
        # A box that is not ticked is not sent.
        given["deletion_protection"] = sent.get("deletion_protection", "")
        step = sent.get("step")
        if step == "edit":
            self._show(request, response, given)
            return
        try:
            if step == "create":
                self._create(request, response, given, sent.get("key", ""))
            else:
                self._plan(request, response, given)
        except Refused as error:
            if error.status not in _WRONG:
                raise
            self._show(request, response, given, error)

    def _create(self, request: Request, response: Response, given: dict[str, str], key: str) -> None:
        made = asks(request).send("POST", "/v1/clusters", wish(given), key=key)
        go(response, f"/clusters/{made.body['id']}")

    def _plan(self, request: Request, response: Response, given: dict[str, str]) -> None:
        plan = asks(request).send("POST", "/v1/clusters", wish(given), plan="true").body["plan"]
        chosen = {one["id"]: one["name"] for one in self._choices(request)["datastores"]}
        self._console.pages.show(
            request, response, "create_plan.html", given=given, plan=plan, key=str(uuid4()),
            datastore=chosen.get(given["datastore"], given["datastore"]),
        )  # fmt: skip

    def _show(self, request: Request, response: Response, given: dict[str, str], error: Refused | None = None) -> None:
        wrong = dict(error.errors) if error else {}
        elsewhere = {field: reason for field, reason in wrong.items() if field not in FIELDS}
        self._console.pages.show(
            request, response, "create.html", error.status if error else 200, given=given, wrong=wrong,
            source=_source(asks(request), given), elsewhere=elsewhere, detail=error.detail if error else "", **self._choices(request),
        )  # fmt: skip

    def _choices(self, request: Request) -> dict[str, Any]:
        asking = asks(request)
        return {
            "datastores": asking.get("/v1/datastores")["datastores"],
            "flavors": asking.get("/v1/flavors")["flavors"],
        }


@dataclass(frozen=True)
class Source:
    """What a cluster begins with: a backup, or another cluster as it was at a moment; its name, and which moments there are."""

    backup: dict[str, Any] | None
    cluster: str
    name: str
    reach: Reach | None


def _source(asking: Asking, given: dict[str, str]) -> Source | None:
    try:
        if given["restore.backup"]:
            backup = asking.get(f"/v1/backups/{given['restore.backup']}")
            return Source(backup, backup["cluster"], backup["cluster_name"], moments.of_backup(backup))
        if given["restore.cluster"]:
            was = asking.get(f"/v1/clusters/{given['restore.cluster']}")
            return Source(None, was["id"], was["name"], moments.of_cluster(was["restorable"]))
    except Refused:
        # It went meanwhile, or never was: the API's word on the wish says so.
        return None
    return None


def _like(was: dict[str, Any]) -> dict[str, str]:
    """The fields that a cluster, or a backup, decides for one that begins with its data."""
    return {
        "datastore": was["datastore"]["id"],
        "flavor": was["flavor"]["id"],
        "volume_gb": str(was["volume_gb"] or ""),
    }


def wish(given: dict[str, str]) -> dict[str, Any]:
    """The body of a request for a cluster, as the form has it; what was left empty is not said."""
    several = given["size"] != "1"
    asked: dict[str, Any] = {
        "name": given["name"].strip(), "datastore": given["datastore"], "size": number(given["size"]),
        "flavor": given["flavor"] or None, "deletion_protection": given["deletion_protection"] == "on",
    }  # fmt: skip
    if given["volume_gb"].strip():
        asked["volume_gb"] = number(given["volume_gb"])
    if several:
        asked["topology"] = {"mode": given["topology.mode"] or None, "failover": given["topology.failover"]}
    if given["restore.backup"] or given["restore.cluster"]:
        asked["restore"] = {
            name: value for name, value in (
                ("backup", given["restore.backup"]), ("cluster", given["restore.cluster"]),
                ("time", moments.zoned(given["restore.time"])),
            ) if value
        }  # fmt: skip
    return asked
