"""A change of a cluster: what is asked for it, its plan, and only then the change. Which there are, `changes` has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import falcon
from falcon import Request, Response

from services.api.web.asking import Asking, Refused, Sent
from services.api.web.changes import KINDS
from services.api.web.changes.base import Kind
from services.api.web.console import Console, asks, form, go

PLAN, WRONG_NAME = "plan", "This is not the name. Type it as it stands below; nothing was done."
# What may be wrong with a wish; anything else is a page of its own.
_WRONG = (403, 409, 422)


@dataclass(frozen=True)
class Turn:
    """A change of one cluster, as far as it was filled in."""

    kind: Kind
    slug: str
    cluster: dict[str, Any]
    given: dict[str, str]

    @property
    def asks(self) -> bool:
        """Whether there is anything to say before there can be a plan."""
        return any(not one.fixed for one in self.kind.fields_of(self.cluster))

    @property
    def path(self) -> str:
        """Its page."""
        return f"/clusters/{self.cluster['id']}/change/{self.slug}"

    @property
    def back(self) -> str:
        """The page that shows what came of it."""
        return f"/clusters/{self.cluster['id']}/{self.kind.back}".rstrip("/")

    @property
    def name(self) -> str:
        """What has to be typed before it is done; empty for nothing."""
        return self.kind.named(self.cluster, self.given) if self.kind.named else ""

    def words(self, template: str) -> str:
        """A title or a button, with the names that stand in it."""
        return template.format(cluster=self.cluster["name"], **self.given)

    def send(self, asking: Asking, key: str = "", **query: str) -> Sent:
        """Have the API do it, or with `plan` say what it would do. Raises Refused."""
        call = self.kind.call(self.given)
        where = f"/v1/clusters/{self.cluster['id']}/{call.path}"
        return asking.send(call.method, where, call.body, key=key, **call.query, **query)


class Change:
    """`/clusters/{id}/change/{kind}`."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_get(self, request: Request, response: Response, cluster_id: str, change: str) -> None:
        """The form, or with `?step=plan` the plan; the plan at once where nothing is to be chosen."""
        turn = _turn(
            asks(request), cluster_id, change, {name: request.get_param(name) or "" for name in request.params}
        )
        if turn.asks and request.get_param("step") != PLAN:
            self._ask(request, response, turn)
        else:
            self._plan(request, response, turn)

    def on_post(self, request: Request, response: Response, cluster_id: str, change: str) -> None:
        """Do it, if the name is right where one is asked."""
        given = form(request)
        turn = _turn(asks(request), cluster_id, change, given)
        if turn.name and given.get("typed") != turn.name:
            self._plan(request, response, turn, WRONG_NAME)
            return
        try:
            sent = turn.send(asks(request), given.get("key", ""))
        except Refused as error:
            if error.status not in _WRONG:
                raise
            self._ask(request, response, turn, error)
            return
        if sent.body.get("password"):
            self._console.pages.show(
                request, response, "password.html", turn=turn, login=sent.body, operation=sent.operation
            )
        else:
            go(response, f"/operations/{sent.operation}")

    def _plan(self, request: Request, response: Response, turn: Turn, wrong: str = "") -> None:
        try:
            plan = turn.send(asks(request), plan="true").body["plan"]
        except Refused as error:
            if error.status not in _WRONG:
                raise
            self._ask(request, response, turn, error)
            return
        chosen = [(one.label, _read(asks(request), turn, one)) for one in turn.kind.fields_of(turn.cluster)]
        again = turn.path + falcon.to_query_str(turn.given)
        self._console.pages.show(
            request, response, "change_plan.html", 422 if wrong else 200, turn=turn, plan=plan, chosen=chosen, wrong=wrong,
            key=str(uuid4()), again=again,
        )  # fmt: skip

    def _ask(self, request: Request, response: Response, turn: Turn, error: Refused | None = None) -> None:
        asking, wrong = asks(request), dict(error.errors) if error else {}
        fields = [
            (one, one.choices(asking, turn.cluster) if one.choices else ()) for one in turn.kind.fields_of(turn.cluster)
        ]
        here = {one.name for one, _ in fields if not one.fixed}
        elsewhere = {field: reason for field, reason in wrong.items() if field not in here}
        self._console.pages.show(
            request, response, "change.html", error.status if error else 200, turn=turn, fields=fields, wrong=wrong,
            elsewhere=elsewhere, detail=error.detail if error else "",
        )  # fmt: skip


def _turn(asking: Asking, cluster_id: str, slug: str, sent: dict[str, str]) -> Turn:
    """What was filled in so far. Raises Refused where there is no such cluster, and falcon's error where no such change."""
    if slug not in KINDS:
        raise falcon.HTTPRouteNotFound
    cluster = asking.get(f"/v1/clusters/{cluster_id}")
    begun = "step" in sent or "key" in sent
    # A box that is not ticked is not sent.
    given = {one.name: sent.get(one.name, "" if begun else one.default) for one in KINDS[slug].fields_of(cluster)}
    return Turn(KINDS[slug], slug, cluster, given)


def _read(asking: Asking, turn: Turn, field: Any) -> str:
    """How what was chosen reads."""
    value = turn.given[field.name]
    if field.is_box:
        return "yes" if value else "no"
    return dict(field.choices(asking, turn.cluster)).get(value, value) if field.choices else value
