"""Makes pages of templates, and keeps the part of them that lives up to date."""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import falcon
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from services.api.web import words
from services.api.web.assets import Assets
from services.api.web.visits import Visit
from shared.clock import Clock

HTML = "text/html; charset=utf-8"
# Names of parameters that say: not the page but its living part, where that is not what was seen.
PART, SEEN = "part", "seen"


class Pages:
    """The console's templates. Everything that stands in them is escaped but for what `Markup` has made."""

    def __init__(self, clock: Clock, assets: Assets) -> None:
        self._clock = clock
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True, auto_reload=False,
        )  # fmt: skip
        self._templates.filters |= {"badge": words.badge, "moment": words.moment, "ago": words.ago, "size": words.size,
                                    "kind": words.kind, "span": words.span, "json": words.indented}  # fmt: skip
        self._templates.globals |= {"asset": assets.url, "may": words.may, "done": words.DONE}

    def show(
        self, request: falcon.Request, response: falcon.Response, template: str, status: int = 200, **values: Any
    ) -> None:
        """Answer with a page for who is signed in. Raises Refused."""
        visit: Visit = request.context.visit
        self.plain(response, template, status, who=visit.who, csrf=visit.csrf, path=request.path, **values)

    def live(
        self,
        request: falcon.Request,
        response: falcon.Response,
        template: str,
        part: str,
        status: int = 200,
        **values: Any,
    ) -> None:
        """Answer with a page whose `live` is a part that asks for itself again and again, or with that part alone.

        Who has seen it as it is gets 204, and nothing on his page moves: neither the focus, nor a screen reader's place.
        """
        visit: Visit = request.context.visit
        body = self.text(part, who=visit.who, csrf=visit.csrf, **values)
        digest = hashlib.sha256(body.encode()).hexdigest()[:16]
        if request.get_param(SEEN) == digest:
            response.status = 204
            return
        kept = {name: one for name, one in request.params.items() if name not in (PART, SEEN)}
        url = request.path + falcon.to_query_str({**kept, PART: "live", SEEN: digest})
        wrapped = Markup(self.text("parts/live.html", url=url, body=Markup(body)))  # noqa: S704
        if request.get_param(PART):
            response.content_type, response.text = HTML, wrapped
            return
        self.show(request, response, template, status, live=wrapped, **values)

    def plain(self, response: falcon.Response, template: str, status: int = 200, **values: Any) -> None:
        """Answer with a page for whoever it is."""
        response.status, response.content_type = status, HTML
        response.text = self.text(template, **values)

    def text(self, template: str, **values: Any) -> str:
        """A template with what stands in it."""
        now = self._clock.now()
        return self._templates.get_template(template).render(
            took=partial(words.took, now=now), since=partial(_since, now), **values
        )


def _since(now: datetime, stamp: str) -> str:
    return words.ago(max(0.0, (now - datetime.fromisoformat(stamp)).total_seconds()))
