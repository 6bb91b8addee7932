"""Looks at the whole of DTrove: asks every service for its state, side by side, and its own tables for the rest.

A ticker looks every few seconds and keeps what it saw, for readiness and metrics: neither waits for anybody. Whoever
wants to know how things are at this moment has it look anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import marshmallow as ma
from sqlalchemy import func, select

from services.api.actions import proving, stuck
from services.api.domain.checks import Check, judge
from services.api.domain.seen import Answer, Seen, Stuck
from services.api.store import tables
from shared.contracts.base import load
from shared.contracts.state import ServiceState
from shared.db import Database
from shared.errors import DtroveError

# Whoever asks in a loop must not keep the bus busy.
REMEMBERED_SECONDS = 1.0
Ask = Callable[[list[str]], Mapping[str, Any]]
Together = Callable[[Sequence[Callable[[], Any]]], list[Any]]


def one_by_one(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """For where nothing can run side by side."""
    return [call() for call in calls]


class Observer:
    """`services` maps each service's name to how it is asked for its state, with the operations whose work is wanted.

    `broker` raises DtroveError where RabbitMQ does not answer; `stuck_after` is how many seconds of silence are too many.
    """

    def __init__(
        self,
        database: Database,
        services: Mapping[str, Ask],
        broker: Callable[[], object] = lambda: None,
        together: Together = one_by_one,
        stuck_after: float = 600.0,
    ) -> None:
        self._database, self._services, self._broker = database, dict(services), broker
        self._together, self._stuck_after = together, stuck_after
        self._looked: float | None = None
        self.last: Seen | None = None

    def look(self) -> Seen:
        """Look now, and keep what was seen."""
        clock = self._database.clock
        if self.last is None or self._looked is None or clock.monotonic() - self._looked > REMEMBERED_SECONDS:
            self.last, self._looked = self._look(), clock.monotonic()
        return self.last

    def checks(self) -> list[Check]:
        """Look now, and judge."""
        return judge(self.look())

    def notices(self) -> dict[str, str]:
        """What was last seen, each check as `ok` or a sentence that gives nothing of any project away."""
        if self.last is None:
            return {}
        return {one.name: one.summary if one.status != "ok" else "ok" for one in judge(self.last)}

    def _look(self) -> Seen:
        found = Seen(at=self._database.clock.now(), stuck_after=self._stuck_after)
        found = self._own_tables(found)
        wanted = [one.id for one in found.stuck]
        questions = [self._question(ask, wanted) for ask in self._services.values()]
        broker, *answers = self._together([self._of_broker, *questions])
        return replace(found, broker=broker, services=dict(zip(self._services, answers, strict=True)))

    def _own_tables(self, found: Seen) -> Seen:
        try:
            with self._database.read() as connection:
                silent: tuple[Stuck, ...] = stuck.find(connection, self._database, self._stuck_after)
                parked = connection.execute(select(func.count()).select_from(tables.parked)).scalar_one()
                unproven = proving.unproven(connection)
        except DtroveError as error:
            return replace(found, database=error.message)
        return replace(found, stuck=silent, parked=parked, unproven=unproven)

    def _of_broker(self) -> str:
        try:
            self._broker()
        except DtroveError as error:
            return error.message
        return ""

    def _question(self, ask: Ask, operations: list[str]) -> Callable[[], Answer]:
        def question() -> Answer:
            clock = self._database.clock
            before = clock.now()
            try:
                state = load(ServiceState, ask(operations))
            except DtroveError as error:
                return Answer(trouble=error.message)
            except ma.ValidationError as error:
                return Answer(
                    trouble=f"it answers in words that are not known here, and may be of another version: {error}"
                )
            return _with_clock(Answer(state=state), before, clock.now())

        return question


def _with_clock(answer: Answer, before: datetime, after: datetime) -> Answer:
    """How far a clock is off that was read between two moments: known to half of what lies between. Source: RFC 5905."""
    assert answer.state is not None
    middle = before + (after - before) / 2
    return replace(answer, ahead=(answer.state.now - middle).total_seconds(),
                   within=(after - before).total_seconds() / 2)  # fmt: skip
