"""Parameters of a cluster: search, fields with the API's word beside them, what would change, and only then the change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from falcon import Request, Response

from services.api.web.asking import Asking, Refused, Sent
from services.api.web.changes.parameters import at_once
from services.api.web.console import Console, asks, form, go

# Fields of the form that are parameters, and how many of them fit on a page.
PREFIX, SHOWN = "p.", 40
NOTHING = "Nothing is changed: the fields are as they were. Write another value into one of them."
UNKNOWN = 409
_WRONG = (403, 409, 422)


@dataclass(frozen=True)
class Sheet:
    """A cluster's parameters, what is known of them, and what the form has: values by name, empty for none of its own."""

    cluster: dict[str, Any]
    present: dict[str, Any]
    known: dict[str, dict[str, Any]]
    engine: str
    unknown: str
    given: dict[str, str]

    @property
    def own(self) -> dict[str, str]:
        """What the cluster has set by itself."""
        return {one["name"]: one["value"] for one in self.present["parameters"] if one["source"] == "cluster"}

    @property
    def typed(self) -> dict[str, str]:
        """What the form has for each parameter that is in it."""
        names = ((field.removeprefix(PREFIX), value) for field, value in self.given.items() if field.startswith(PREFIX))
        return {name: value.strip() for name, value in names}

    @property
    def edits(self) -> dict[str, str | None]:
        """What is another than before; None for none of its own any more."""
        own = self.own
        return {name: value or None for name, value in self.typed.items() if value != own.get(name, "")}

    def rows(self, search: str) -> tuple[list[dict[str, Any]], int]:
        """The fields to show: what was edited, then what is found, or what is set where nothing is searched for; and how many more
        there are.
        """
        word = search.strip().casefold()
        found = (
            [name for name, one in self.known.items() if word in f"{name} {one['description']}".casefold()]
            if word
            else list(self.own)
        )
        names = list(dict.fromkeys([*self.edits, *found]))
        return [self._row(name) for name in names[:SHOWN]], max(0, len(names) - SHOWN)

    def changes(self) -> list[dict[str, Any]]:
        """What changes: each parameter now and then, and when it is taken in."""
        found = []
        for name, value in self.edits.items():
            then = self._instead(name) if value is None else value
            found.append({"name": name, "before": self.own.get(name) or self._instead(name), "after": then, "sent": value or "",
                          "applies": self.known.get(name, {}).get("applies", "")})  # fmt: skip
        return found

    def _row(self, name: str) -> dict[str, Any]:
        one = self.known.get(name) or {"description": "", "default": "", "applies": "", "refused": None}
        wanted = self.typed.get(name, self.own.get(name, ""))
        return {**one, "name": name, "wanted": wanted, "takes": takes(one), "instead": self._instead(name)}

    def _instead(self, name: str) -> str:
        """What it is where the cluster has not set it: its group's value, or the default."""
        of_group = [
            one["value"] for one in self.present["parameters"] if one["name"] == name and one["source"] == "group"
        ]
        default = self.known.get(name, {}).get("default") or ""
        return str(of_group[0]) if of_group else f"default ({default})" if default else "default"


class Parameters:
    """`/clusters/{id}/parameters`."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_get(self, request: Request, response: Response, cluster_id: str) -> None:
        """What is set and what runs; with `?search=` the parameters that there are."""
        given = {"search": request.get_param("search") or ""}
        self._show(request, response, _sheet(asks(request), cluster_id, given))

    def on_post(self, request: Request, response: Response, cluster_id: str) -> None:
        """Another search, what would change, or the change: by the button that was pressed."""
        sheet = _sheet(asks(request), cluster_id, form(request))
        step = sheet.given.get("step")
        try:
            if step == "change":
                # As the plan had it, also where the button is pressed twice and it is so by now.
                wanted = {name: value or None for name, value in sheet.typed.items()}
                sent = _send(asks(request), sheet, wanted, key=sheet.given.get("key", ""))
                go(response, f"/operations/{sent.operation}")
            elif step == "plan":
                self._plan(request, response, sheet)
            else:
                self._show(request, response, sheet)
        except Refused as error:
            if error.status not in _WRONG:
                raise
            self._show(request, response, sheet, error)

    def on_get_history(self, request: Request, response: Response, cluster_id: str) -> None:
        """What was ever set, who wanted it, and the way back."""
        asking = asks(request)
        cluster = asking.get(f"/v1/clusters/{cluster_id}")
        versions = asking.get(f"/v1/clusters/{cluster_id}/parameters/history")["versions"]
        self._console.pages.live(
            request,
            response,
            "parameters_history.html",
            "parts/parameters_history.html",
            cluster=cluster,
            versions=versions,
        )

    def _plan(self, request: Request, response: Response, sheet: Sheet) -> None:
        plan = _send(asks(request), sheet, sheet.edits, plan="true").body["plan"]
        self._console.pages.show(
            request, response, "parameters_plan.html", cluster=sheet.cluster, plan=plan, changes=sheet.changes(),
            restart=bool(at_once(sheet.given)), search=sheet.given.get("search", ""), key=str(uuid4()),
        )  # fmt: skip

    def _show(self, request: Request, response: Response, sheet: Sheet, error: Refused | None = None) -> None:
        search, wrong = sheet.given.get("search", ""), dict(error.errors) if error else {}
        rows, more = sheet.rows(search)
        here = {f"parameters.{row['name']}" for row in rows}
        self._console.pages.live(
            request, response, "parameters.html", "parts/parameters.html", error.status if error else 200,
            cluster=sheet.cluster, present=sheet.present, rows=rows, more=more, search=search, wrong=wrong,
            elsewhere={field: reason for field, reason in wrong.items() if field not in here}, engine=sheet.engine,
            detail=error.detail if error else "", restart=bool(at_once(sheet.given)), unknown=sheet.unknown, known=len(sheet.known),
        )  # fmt: skip


def takes(one: dict[str, Any]) -> str:
    """What a parameter may be, in a sentence; empty where nothing is known of it."""
    if one.get("values"):
        return f"One of {', '.join(one['values'])}."
    if not one.get("type"):
        return ""
    unit = f" in {one['unit']}" if one["unit"] else ""
    least, most = one["minimum"], one["maximum"]
    limits = (
        f" from {least} to {most}"
        if least and most
        else f" of at least {least}"
        if least
        else f" up to {most}"
        if most
        else ""
    )
    return f"{one['type'].capitalize()}{limits}{unit}."


def _sheet(asking: Asking, cluster_id: str, given: dict[str, str]) -> Sheet:
    """Raises Refused."""
    cluster = asking.get(f"/v1/clusters/{cluster_id}")
    present = asking.get(f"/v1/clusters/{cluster_id}/parameters")
    try:
        told = asking.get(f"/v1/datastores/{cluster['datastore']['id']}/parameters")
    except Refused as error:
        if error.status != UNKNOWN:
            raise
        return Sheet(cluster, present, {}, "", error.detail, given)
    return Sheet(cluster, present, {one["name"]: one for one in told["parameters"]}, told["engine"], "", given)


def _send(asking: Asking, sheet: Sheet, wanted: dict[str, str | None], key: str = "", **query: str) -> Sent:
    """Have the API change these, or with `plan` say what that would do. Raises Refused."""
    if not wanted:
        raise Refused(422, {"detail": NOTHING})
    where = f"/v1/clusters/{sheet.cluster['id']}/parameters"
    return asking.send("PATCH", where, {"parameters": wanted}, key=key, **at_once(sheet.given), **query)
