"""PostgreSQL answers in time, or counts as away: a line that fell silent would hold its caller for as long as it is silent."""

from __future__ import annotations

from typing import Any

from eventlet.hubs import trampoline
from psycopg2 import OperationalError, extensions

# The server itself ends a statement after ten seconds (shared.db.engine): silence beyond that is the line's, or a dead server's.
ANSWER_SECONDS = 12.0


class Silent(OperationalError):
    """No answer in time; what came of the statement is not known."""

    def __str__(self) -> str:
        return f"no answer within {ANSWER_SECONDS:g} s"


def be_patient() -> None:
    """Let green threads wait for PostgreSQL so long and no longer; in place of eventlet's own wait, which has no end.

    Source: psycopg2's documentation, "Support for coroutine libraries".
    """

    def wait(connection: Any) -> None:
        while (state := connection.poll()) != extensions.POLL_OK:
            reading = state == extensions.POLL_READ
            # The connection is closed by psycopg2 when this raises.
            trampoline(connection.fileno(), read=reading, write=not reading, timeout=ANSWER_SECONDS, timeout_exc=Silent)

    extensions.set_wait_callback(wait)
