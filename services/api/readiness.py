"""Readiness: each dependency with its state. A process that runs is not one that can work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import select

from services.api.store import tables
from shared.db import Database
from shared.errors import DtroveError

OK = "ok"
# Whoever asks in a loop, and needs no token for it, must not keep the bus busy.
REMEMBERED_SECONDS = 2.0
Together = Callable[[Sequence[Callable[[], str]]], list[str]]


class Readiness:
    """Asks the database, the other services (over the bus) and whether their catalogues have arrived.

    `others` maps each service to a question that raises DtroveError when it is not answered; `together` runs checks,
    side by side where it can.
    """

    def __init__(self, database: Database, others: Mapping[str, Callable[[], object]], together: Together) -> None:
        self._database = database
        self._others = dict(others)
        self._together = together
        self._known: tuple[float, dict[str, str]] | None = None

    def checks(self) -> dict[str, str]:
        """Each dependency's state: `ok`, or what is missing."""
        now = self._database.clock.monotonic()
        if self._known is None or now - self._known[0] > REMEMBERED_SECONDS:
            self._known = (now, self._ask())
        return self._known[1]

    def _ask(self) -> dict[str, str]:
        states = self._together([_answer_of(question) for question in self._others.values()])
        return self._read_model() | dict(zip(self._others, states, strict=True))

    def _read_model(self) -> dict[str, str]:
        states = {"database": OK}
        try:
            with self._database.read() as connection:
                for name, table in (("datastores", tables.datastores), ("flavors", tables.flavors)):
                    here = connection.execute(select(table.c.id).limit(1)).first() is not None
                    states[name] = OK if here else "not heard of yet"
        except DtroveError as error:
            states["database"] = error.message
        return states


def _answer_of(question: Callable[[], object]) -> Callable[[], str]:
    def check() -> str:
        try:
            question()
        except DtroveError as error:
            return error.message
        return OK

    return check
