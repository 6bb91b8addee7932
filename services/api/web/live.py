"""An operation as it goes on: the API's own stream of it, each change as a piece of a page.

The format's source: the HTML standard, "Server-sent events".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from services.api.web.asking import Events
from services.api.web.words import DONE

BEGIN, ALIVE, OVER = b"retry: 1000\n\n", b": still here\n\n", b"event: over\ndata:\n\n"


class Relay(Iterator[bytes]):
    """Messages `operation` with what `render` makes of each change, at the end one `over`; closing it closes the API's stream."""

    def __init__(self, events: Events, render: Callable[[Any], str]) -> None:
        self._events = events
        self._messages = _messages(events, render)

    def __next__(self) -> bytes:
        return next(self._messages)

    def close(self) -> None:
        """As WSGI says."""
        self._events.close()


def message(name: str, html: str) -> bytes:
    """One message; a line of it carries a line of the page."""
    lines = "".join(f"data: {line}\n" for line in html.splitlines())
    return f"event: {name}\n{lines}\n".encode()


def _messages(events: Events, render: Callable[[Any], str]) -> Iterator[bytes]:
    yield BEGIN
    for operation in events:
        if operation is None:
            yield ALIVE
            continue
        yield message("operation", render(operation))
        if operation["status"] in DONE:
            yield OVER
            return
