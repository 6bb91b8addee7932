"""Goes to every page that a link leads to, one of each kind, and looks closely at it."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

from tests.browser.visitor import Visitor

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# The HTTP API's own page is no part of the console; what is sent to a browser as a file is no page.
LEFT_OUT = re.compile(r"^/(docs|v1|static)(/|$)|/content$")
# No site of ours has as many kinds of pages: a tour that does not end says so.
MOST = 120


def kind(url: str) -> str:
    """What pages of the same template have in common: the path with ids left out, and the names of what is asked."""
    parts = urlsplit(url)
    asked = "&".join(sorted({name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}))
    return f"{_ID.sub('ID', parts.path)}?{asked}".rstrip("?")


def tour(visitor: Visitor, *start: str) -> list[str]:
    """Begin at some pages; the kinds that there were, in order. What is wrong with a page is noted with the visitor."""
    waiting, seen = list(start), dict[str, str]()
    while waiting:
        path = waiting.pop(0)
        if kind(path) in seen:
            continue
        seen[kind(path)] = path
        assert len(seen) < MOST, list(seen)
        visitor.go(path)
        # What is asked for by a query is a page that is pictured already, in another state.
        visitor.is_sound("" if "?" in kind(path) else re.sub(r"\W+", "-", kind(path)).strip("-") or "overview")
        waiting += [
            link for link in links(visitor) if kind(link) not in seen and not LEFT_OUT.search(urlsplit(link).path)
        ]
    return list(seen)


def links(visitor: Visitor) -> list[str]:
    """Paths of this site that the page leads to."""
    found = visitor.page.locator("a[href]").evaluate_all("all => all.map(one => one.getAttribute('href'))")
    return [str(one) for one in found if str(one).startswith("/")]
