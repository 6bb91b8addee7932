"""The logs of instances over HTTP."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from falcon import Request, Response

from services.api.actions import audit, readings
from services.api.actions.readings import Wish
from services.api.following import Stream, message
from services.api.http import Context
from services.api.schemas import queries, shown
from services.api.serving import EVENT_STREAM, serves
from shared.errors import Conflict, FieldError, Invalid, Unavailable

ANSWER_SECONDS, LOOK_SECONDS = 10.0, 0.5
_PLACE = re.compile(r"\d{1,19}:\d{1,19}\+?")


class InstanceLogs:
    """`/v1/instances/{id}/logs`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(role="member", query=queries.Logs, gives=shown.Logs, media=(EVENT_STREAM,), conflicts=True)
    def on_get(self, request: Request, response: Response, instance_id: str) -> None:
        """The last lines of the database's own log; with `?follow=true` what comes after as well, as server-sent events.

        Known secrets are masked; what else a log holds is its database's. A stream is resumed after the header
        `Last-Event-ID`. That it was read is written down.
        """
        asked, who = request.context.query, request.context.caller
        wish = Wish(who.project_id, instance_id, asked["lines"], asked["follow"], _last_place(request))
        with self._context.database.write() as tx:
            reading_id = readings.begin(tx, wish)
            audit.note(tx, who, "logs.read", instance_id)
        reader = Reader(self._context, reading_id, wish)
        if wish.follow:
            Stream(self._context, request.context.credential, reading_id, reader.look, reader.end).answer(response)
        else:
            response.media = reader.whole()


@dataclass
class Reader:
    """One who reads: fetches what has come for him, and asks on for as long as he follows."""

    context: Context
    reading_id: str
    wish: Wish
    sequence: int = 0
    asked_at: float | None = None

    def look(self) -> tuple[list[bytes], bool]:
        """Messages that are new, and whether they are the last. Raises NotFound once the instance is gone."""
        self._ask_on()
        messages: list[bytes] = []
        for piece in self._pieces():
            messages += [message("note", {"message": note}) for note in piece.notes]
            if piece.text:
                messages.append(message("lines", {"lines": _lines(piece.text)}, piece.place))
            if piece.last:
                return [*messages, message("end", {"problem": piece.problem})], True
        return messages, False

    def whole(self) -> dict[str, Any]:
        """The last lines, waited for. Raises Conflict where they cannot be had, Unavailable where they take too long."""
        clock = self.context.database.clock
        until = clock.monotonic() + ANSWER_SECONDS
        try:
            with self.context.changes.following(self.reading_id) as changed:
                while clock.monotonic() < until:
                    changed.clear()
                    for piece in self._pieces():
                        return _answer(piece)
                    changed.wait(LOOK_SECONDS)
        finally:
            self.end()
        raise Unavailable(f"the log was not read within {ANSWER_SECONDS:.0f} s", what_to_do="try again; if that does not help, "
                          "see whether datastore_agentless runs")  # fmt: skip

    def end(self) -> None:
        """Read no more."""
        readings.end(self.context.database, self.reading_id)

    def _pieces(self) -> list[Any]:
        found = readings.take(self.context.database, self.reading_id, self.sequence)
        self.sequence += len(found)
        return found

    def _ask_on(self) -> None:
        now = self.context.database.clock.monotonic()
        if self.asked_at is None:
            self.asked_at = now
        elif now - self.asked_at >= readings.AGAIN_SECONDS:
            self.asked_at = now
            with self.context.database.write() as tx:
                readings.go_on(tx, self.reading_id, self.wish)


def _answer(piece: Any) -> dict[str, Any]:
    if piece.problem is not None:
        raise Conflict(f"the log could not be read: {piece.problem['message']}",
                       what_to_do=piece.problem["what_to_do"])  # fmt: skip
    return {"lines": _lines(piece.text), "notes": list(piece.notes)}


def _lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []


def _last_place(request: Request) -> str:
    raw = request.get_header("Last-Event-ID") or ""
    if raw and not _PLACE.fullmatch(raw):
        raise Invalid("the stream cannot be resumed", (FieldError("Last-Event-ID", "must be the id of an event"),))
    return raw
