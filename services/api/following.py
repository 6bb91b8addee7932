"""Server-sent events: what changes is sent as soon as it has changed, and a heartbeat while nothing does.

The format's source: the HTML standard, "Server-sent events".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import falcon

from services.api.actions.access import Credential
from services.api.domain.limits import TooManyRequests
from services.api.http import Context
from services.api.serving import EVENT_STREAM
from shared.errors import DtroveError, Unauthorized, Unavailable

# A change that this replica heard of wakes the follower; one that another replica heard of is found by looking.
LOOK_SECONDS, BEAT_SECONDS, FOLLOW_SECONDS = 1.0, 15.0, 3600.0
# A subject that changes all the time is shown this often, no more.
PAUSE_SECONDS = 0.05


@dataclass
class Stream:
    """One follower's view of one subject. `look` gives the messages that are new, and whether they are the last; `over` is
    called once he is gone.
    """

    context: Context
    credential: Credential
    subject: str
    look: Callable[[], tuple[list[bytes], bool]]
    over: Callable[[], None] = lambda: None

    def answer(self, response: falcon.Response) -> None:
        """Make the response this stream. Raises TooManyRequests."""
        response.content_type = EVENT_STREAM
        response.set_header("Cache-Control", "no-cache")
        # Proxies that gather answers before they pass them on are told not to.
        response.set_header("X-Accel-Buffering", "no")
        token_id = self.context.callers.of(self.credential).token_id
        try:
            response.stream = self.context.traffic.stream(token_id, self._until_over())
        except TooManyRequests:
            self.over()
            raise

    def _until_over(self) -> Iterator[bytes]:
        try:
            yield from self._messages()
        finally:
            self.over()

    def _messages(self) -> Iterator[bytes]:
        clock = self.context.database.clock
        until = clock.monotonic() + FOLLOW_SECONDS
        beat = clock.monotonic()
        yield b"retry: 1000\n\n"
        with self.context.changes.following(self.subject) as changed:
            while clock.monotonic() < until:
                changed.clear()
                try:
                    # A token that was revoked meanwhile ends the stream.
                    self.context.callers.of(self.credential)
                    messages, last = self.look()
                except Unavailable:
                    messages, last = [], False
                except (Unauthorized, DtroveError):
                    return
                for message in messages:
                    beat = clock.monotonic()
                    yield message
                if last:
                    return
                if clock.monotonic() - beat >= BEAT_SECONDS:
                    beat = clock.monotonic()
                    yield b": still here\n\n"
                clock.sleep(PAUSE_SECONDS)
                changed.wait(LOOK_SECONDS)


def message(kind: str, data: Any, event_id: int | str | None = None) -> bytes:
    """One message of the stream."""
    mark = "" if event_id is None else f"id: {event_id}\n"
    return f"{mark}event: {kind}\ndata: {json.dumps(data)}\n\n".encode()
