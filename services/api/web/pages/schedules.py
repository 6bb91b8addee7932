"""Schedules of backups: when a cluster is backed up, what became of that last, and for how long backups are kept."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from falcon import Request, Response

from services.api.web.asking import Refused
from services.api.web.changes.base import number
from services.api.web.console import Console, asks, form, go

# What the form has, by the names that the API's errors have.
FIELDS = {"cron": "30 3 * * *", "timezone": "UTC", "kind": "full", "full_days": "7", "store": "", "retention.count": "", "retention.days": "7",
          "verify_days": "", "enabled": "on"}  # fmt: skip
_WRONG = (403, 409, 422)


class Schedules:
    """`/clusters/{id}/schedules`, and each of them."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_get(self, request: Request, response: Response, cluster_id: str) -> None:
        """All of a cluster's, each with its next five times."""
        asking = asks(request)
        cluster = asking.get(f"/v1/clusters/{cluster_id}")
        found = asking.get(f"/v1/clusters/{cluster_id}/schedules")["schedules"]
        self._console.pages.live(
            request, response, "schedules.html", "parts/schedules.html", cluster=cluster, schedules=found
        )

    def on_get_new(self, request: Request, response: Response, cluster_id: str) -> None:
        """The form for another one."""
        self._show(request, response, cluster_id, "", dict(FIELDS))

    def on_post_new(self, request: Request, response: Response, cluster_id: str) -> None:
        """Have backups made at these times, once for each form, however often it is sent."""
        self._save(request, response, cluster_id, "")

    def on_get_one(self, request: Request, response: Response, cluster_id: str, schedule_id: str) -> None:
        """The form with one as it is."""
        found = asks(request).get(f"/v1/clusters/{cluster_id}/schedules/{schedule_id}")
        self._show(request, response, cluster_id, schedule_id, filled(found))

    def on_post_one(self, request: Request, response: Response, cluster_id: str, schedule_id: str) -> None:
        """Change one."""
        self._save(request, response, cluster_id, schedule_id)

    def on_post_pause(self, request: Request, response: Response, cluster_id: str, schedule_id: str) -> None:
        """Pause one, or let it go on: by the button that was pressed."""
        wanted = form(request).get("enabled")
        if wanted not in ("on", "off"):
            raise Refused(422, {"detail": "the form does not say whether to pause; load the page again"})
        asks(request).send("PATCH", f"/v1/clusters/{cluster_id}/schedules/{schedule_id}", {"enabled": wanted == "on"})
        go(response, f"/clusters/{cluster_id}/schedules")

    def on_get_remove(self, request: Request, response: Response, cluster_id: str, schedule_id: str) -> None:
        """What becomes of its backups, and the button."""
        asking = asks(request)
        cluster = asking.get(f"/v1/clusters/{cluster_id}")
        found = asking.get(f"/v1/clusters/{cluster_id}/schedules/{schedule_id}")
        self._console.pages.show(request, response, "remove_schedule.html", cluster=cluster, schedule=found)

    def on_post_remove(self, request: Request, response: Response, cluster_id: str, schedule_id: str) -> None:
        """Remove it."""
        asks(request).send("DELETE", f"/v1/clusters/{cluster_id}/schedules/{schedule_id}")
        go(response, f"/clusters/{cluster_id}/schedules")

    def _save(self, request: Request, response: Response, cluster_id: str, schedule_id: str) -> None:
        sent = form(request)
        # A box that is not ticked is not sent.
        given = {**FIELDS, "enabled": "", **{name: value for name, value in sent.items() if name in FIELDS}}
        method, place = ("PATCH", f"/{schedule_id}") if schedule_id else ("POST", "")
        try:
            asks(request).send(
                method, f"/v1/clusters/{cluster_id}/schedules{place}", wish(given), key=sent.get("key", "")
            )
        except Refused as error:
            if error.status not in _WRONG:
                raise
            self._show(request, response, cluster_id, schedule_id, given, error)
            return
        go(response, f"/clusters/{cluster_id}/schedules")

    def _show(
        self, request: Request, response: Response, cluster_id: str, schedule_id: str, given: dict[str, str],
        error: Refused | None = None,
    ) -> None:  # fmt: skip
        wrong = dict(error.errors) if error else {}
        cluster = asks(request).get(f"/v1/clusters/{cluster_id}")
        self._console.pages.show(
            request, response, "schedule.html", error.status if error else 200, cluster=cluster, schedule=schedule_id, given=given,
            wrong=wrong, elsewhere={field: why for field, why in wrong.items() if field not in FIELDS},
            detail=error.detail if error else "", key=str(uuid4()),
        )  # fmt: skip


def wish(given: dict[str, str]) -> dict[str, Any]:
    """The body of a request for a schedule, as the form has it; what was left empty is none."""
    return {
        "cron": given["cron"], "timezone": given["timezone"].strip(), "kind": given["kind"],
        "full_days": number(given["full_days"]), "store": given["store"].strip() or None,
        "retention": {"count": _or_none(given["retention.count"]), "days": _or_none(given["retention.days"])},
        "verify_days": _or_none(given["verify_days"]), "enabled": given["enabled"] == "on",
    }  # fmt: skip


def filled(schedule: dict[str, Any]) -> dict[str, str]:
    """The form's fields as a schedule has them."""
    kept = schedule["retention"]
    values = {
        **schedule,
        "retention.count": kept["count"],
        "retention.days": kept["days"],
        "enabled": "on" if schedule["enabled"] else "",
    }
    return {name: "" if values[name] is None else str(values[name]) for name in FIELDS}


def _or_none(text: str) -> int | str | None:
    return number(text) if text.strip() else None
