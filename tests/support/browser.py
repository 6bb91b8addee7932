"""A browser without a screen: cookies, forms with what their page has hidden in them, and no script."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from werkzeug.test import Client, TestResponse

_CSRF = re.compile(r'name="csrf" value="([^"]*)"')


class Browser:
    """Looks at a site. `page` is what it looks at."""

    def __init__(self, site: Any) -> None:
        self.client = Client(site)
        self.page: TestResponse | None = None
        self.csrf = ""

    def get(self, path: str, **headers: str) -> TestResponse:
        """Look at a page; what it hides goes along with the next form."""
        self.page = self.client.get(path, headers={"Accept": "text/html", **headers})
        if found := _CSRF.search(self.page.text):
            self.csrf = unescape(found[1])
        return self.page

    def post(self, path: str, fields: dict[str, str] | None = None, **headers: str) -> TestResponse:
        """Send a form of the page that is looked at."""
        sent = {"csrf": self.csrf, **(fields or {})}
        return self.client.post(
            path, data=sent, headers={"Accept": "text/html", "Sec-Fetch-Site": "same-origin", **headers}
        )

    def sign_in(self, token: str) -> TestResponse:
        """Sign in by a token."""
        self.get("/sign-in")
        answer = self.post("/sign-in", {"token": token})
        assert answer.status_code == 303, answer.text
        self.get("/")
        return answer


def found(pattern: str, text: str) -> str:
    """What the first group of a pattern is in a page. Raises AssertionError where it is not there."""
    match = re.search(pattern, text)
    assert match is not None, (pattern, text)
    return unescape(match[1])
