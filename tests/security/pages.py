"""Visits of every kind to the console, by every role: Schemathesis makes them from a document of its routes and its forms' fields."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import requests
from schemathesis import Case, GenerationMode, openapi
from schemathesis.schemas import APIOperation

import services.api.web
from services.api.web.app import ROUTES
from services.api.web.changes import KINDS
from services.api.web.visits import HEADERS, SESSION_COOKIE, SIGN_IN, csrf_of
from tests.security.calls import HOSTILE, REAL, SECONDS, STREAM, each_of
from tests.security.cast import ROLES, WORTHLESS, Cast
from tests.security.judge import CLIENT_ERROR, INSIDES, SERVER_ERROR, Docket

TEMPLATES = Path(services.api.web.__file__).parent / "templates"
# What pages look at behind the question mark.
QUERY = ("backup", "cluster", "code", "marker", "next", "out", "search", "since", "status", "step")
FORM = "application/x-www-form-urlencoded"
# What a form may be when it is none.
ROUGH = (
    b"",
    b"\xff\xfe",
    b"csrf=",
    b"=&=&=",
    b"a" * 70_000,
    b"%zz=%",
    b"x=1&" * 200,
    b'{"name": 1}',
    b"name=\x00",
    b"csrf=%E2%98%83",
)
STEPS = ("plan", "create", "change", "search", "edit", "x")
SCRIPT = "<script>alert(1)</script>"


def words() -> list[str]:
    """The names of all fields of all forms."""
    found = {
        name
        for page in TEMPLATES.rglob("*.html")
        for name in re.findall(r'(?:name=|\b\w+\()"([a-z_.]+)"', page.read_text())
    }
    return sorted((found | {one.name for kind in KINDS.values() for one in kind.fields}) - {"csrf", "viewport"})


def document() -> dict[str, Any]:
    """The console as OpenAPI has it: a page may be looked at with any query, and be sent any field of any form."""
    text = {"type": "string", "maxLength": 300}
    fields = {"type": "object", "properties": dict.fromkeys(words(), text)}
    paths: dict[str, Any] = {}
    for path, resource, suffix in ROUTES:
        for verb in ("get", "post"):
            if not hasattr(resource, f"on_{verb}_{suffix}" if suffix else f"on_{verb}"):
                continue
            known = [
                {"name": one, "in": "path", "required": True, "schema": text} for one in re.findall(r"{(\w+)}", path)
            ]
            asked = [{"name": one, "in": "query", "schema": text} for one in QUERY]
            paths.setdefault(path, {})[verb] = {
                "parameters": known + asked, "responses": {"default": {"description": "a page"}},
                **({"requestBody": {"content": {FORM: {"schema": fields}}}} if verb == "post" else {}),
            }  # fmt: skip
    return {"openapi": "3.0.3", "info": {"title": "console", "version": "0"}, "paths": paths}


class PageJudge(Docket):
    """Sees the pages of the console."""

    def hear(self, role: str, what: str, answer: requests.Response, text: str, sent: str) -> None:
        """A visit of `role` was answered by a page, or by something else; `sent` is all that the visitor said."""
        kinds = (*self._of_all(answer, text, sent), *self._of_role(role, what, answer, text, sent))
        self.enter(role, what, answer, text, [(kind, sent[:300]) for kind in kinds])

    def _of_all(self, answer: requests.Response, text: str, sent: str) -> Iterable[str]:
        kind = answer.headers.get("Content-Type", "").partition(";")[0]
        if answer.status_code >= SERVER_ERROR:
            yield "server error"
        if answer.status_code >= CLIENT_ERROR and text and kind != "text/html":
            yield "bare"
        if any(answer.headers.get(name) != value for name, value in HEADERS.items() if name != "Cache-Control"):
            yield "without its headers"
        if kind == "text/html" and SCRIPT in text:
            yield "unescaped"
        if any(one in text and one not in sent for one in (*self.secrets, *INSIDES)):
            yield "revealed"

    def _of_role(self, role: str, what: str, answer: requests.Response, text: str, sent: str) -> Iterable[str]:
        open_to_all = what.split()[1] == SIGN_IN
        if role in WORTHLESS and not open_to_all and answer.status_code < CLIENT_ERROR and not _leads_out(answer):
            yield "let in"
        # What an administrator sees there is the whole installation's.
        if (
            role == "stranger"
            and not what.split()[1].startswith("/admin")
            and any(one in text and one not in sent for one in self.owned)
        ):
            yield "revealed"


def _leads_out(answer: requests.Response) -> bool:
    return answer.status_code == requests.codes.see_other and answer.headers["Location"].startswith(SIGN_IN)


@dataclass
class Crowd:
    """Visits pages; a judge sees each. `seed` makes the same visits again, as far as the answers allow."""

    cast: Cast
    judge: PageJudge
    seed: int
    chance: Random = field(init=False)
    cookies: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chance = Random(self.seed)

    def come(self, visits: int) -> None:
        """Make so many visits or a few more, spread over all pages and roles."""
        operations = [found.ok() for found in openapi.from_dict(document()).get_all_operations()]
        count = max(1, -(-visits // (len(operations) * len(ROLES))))
        for operation in operations:
            self.cast.stay()
            self.judge.owned |= self.cast.owned
            self.cookies = {role: self._session(role) for role in ROLES}
            for role in ROLES:
                self._described(operation, role, count)

    def _session(self, role: str) -> str:
        """What a browser of that role keeps as its cookie; of who has no good token the token itself."""
        token = self.cast.tokens[role]
        if role in WORTHLESS:
            return token
        made = requests.post(f"{self.cast.installation.url}/v1/session", json={}, timeout=SECONDS,
                             headers={"Authorization": f"Bearer {token}"})  # fmt: skip
        assert made.status_code == requests.codes.created, made.text
        self.judge.secrets |= {made.json()["token"]}
        return str(made.json()["token"])

    def _described(self, operation: APIOperation, role: str, count: int) -> None:
        for mode, some in ((GenerationMode.POSITIVE, count - count // 3), (GenerationMode.NEGATIVE, count // 3)):
            if some:
                each_of(operation.as_strategy(generation_mode=mode), some, self.chance.randrange(2**32),
                        lambda case: self._visit(role, case))  # fmt: skip

    def _visit(self, role: str, case: Case) -> None:
        url = self.cast.installation.url + case.path
        for name, made in (case.path_parameters or {}).items():
            known = list(KINDS) if name == "change" else self.cast.ids.get(name, [])
            chosen = self.chance.choice(known) if known and self.chance.random() < 0.7 else str(made)
            url = url.replace(f"{{{name}}}", requests.utils.quote(chosen, safe=""))
        asked = dict(case.query) if isinstance(case.query, dict) else {}
        headers = {"HX-Request": "true"} if self.chance.random() < 0.2 else {}
        told: dict[str, Any] = {"params": self._some(asked), "headers": headers}
        if case.method.upper() == "POST":
            headers["Content-Type"] = FORM
            told["data"] = self._form(role, case)
        cookies = {SESSION_COOKIE: self.cookies[role]} if self.cookies[role] else {}
        try:
            answer = requests.request(case.method.upper(), url, cookies=cookies, stream=True, timeout=SECONDS,
                                      allow_redirects=False, **told)  # fmt: skip
        except (ValueError, requests.exceptions.InvalidURL, UnicodeError):
            # What the client's own library cannot send is no visit.
            return
        with answer:
            text = "" if answer.headers.get("Content-Type", "").startswith(STREAM) else answer.text
        sent = f"{url} {told.get('params')} {told.get('data')} {self.cookies[role]}"
        self.judge.hear(role, f"{case.method.upper()} {case.path}", answer, text, sent)

    def _form(self, role: str, case: Case) -> dict[str, str] | bytes:
        if self.chance.random() < 0.15:
            return self.chance.choice(ROUGH)
        made = self._some(case.body if isinstance(case.body, dict) else {})
        made |= {name: str(value) for name, value in REAL.items() if name in made and self.chance.random() < 0.7}
        if self.chance.random() < 0.5:
            made["step"] = self.chance.choice(STEPS)
        if self.chance.random() < 0.9:
            made["csrf"] = csrf_of(self.cookies[role])
        return made

    def _some(self, given: dict[str, Any]) -> dict[str, str]:
        """A handful of them, some with a text that a shell, SQL, a template or a browser would obey."""
        names = self.chance.sample(sorted(given), min(len(given), self.chance.randrange(9)))
        return {one: self.chance.choice(HOSTILE) if self.chance.random() < 0.4 else str(given[one]) for one in names}
