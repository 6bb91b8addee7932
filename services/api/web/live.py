"""What goes on, as pieces of a page: the API's own stream of it, each of its messages turned into one for a browser.

The format's source: the HTML standard, "Server-sent events".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from falcon import Response

from services.api.web.asking import Events

EVENT_STREAM = "text/event-stream"
BEGIN, ALIVE, OVER = b"retry: 1000\n\n", b": still here\n\n", b"event: over\ndata:\n\n"
# What a message of the API's becomes, by what it carries and by its place in the stream; and whether it is the last one.
Turn = Callable[[Any, str], tuple[bytes, bool]]


class Relay(Iterator[bytes]):
    """Messages as `turn` makes them, at the end one `over`; closing it closes the API's stream."""

    def __init__(self, events: Events, turn: Turn) -> None:
        self._events = events
        self._messages = _messages(events, turn)

    def __next__(self) -> bytes:
        return next(self._messages)

    def close(self) -> None:
        """As WSGI says."""
        self._events.close()


def stream(response: Response, events: Events, turn: Turn) -> None:
    """Make the response this stream."""
    response.content_type = EVENT_STREAM
    # Proxies that gather answers before they pass them on are told not to.
    response.set_header("X-Accel-Buffering", "no")
    response.stream = Relay(events, turn)


def message(name: str, html: str, place: str = "") -> bytes:
    """One message; a line of it carries a line of the page. A browser whose line broke comes back with the last `place` it had."""
    lines = "".join(f"data: {line}\n" for line in html.splitlines())
    mark = f"id: {place}\n" if place else ""
    return f"{mark}event: {name}\n{lines}\n".encode()


def _messages(events: Events, turn: Turn) -> Iterator[bytes]:
    yield BEGIN
    for carried in events:
        if carried is None:
            yield ALIVE
            continue
        said, last = turn(carried, events.place)
        yield said
        if last:
            yield OVER
            return
