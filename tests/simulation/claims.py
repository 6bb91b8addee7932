"""Watches who takes which task: a lease that holds keeps others away, and a worker that lives keeps its lease."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Select, Table, bindparam, select

from shared.db import tasks
from shared.db.engine import Tx
from shared.workflow import Task
from tests.simulation.virtual import Hub, Process
from tests.simulation.weather import Weather

# A database that was away, or a process that stood still, excuses a lease that ran out for so many seconds after.
EXCUSE_SECONDS = 15.0


@dataclass
class Claims:
    """All claims of a run; `breaches` are those that should not have been possible."""

    hub: Hub
    weather: Weather
    breaches: list[str] = field(default_factory=list)
    _holders: dict[str, Process] = field(default_factory=dict)

    def claim(self, real: Any, tx: Tx, task_id: str, *given: Any) -> Task | None:
        """The real claim, judged by what stood in the row before it."""
        before = tx.connection.execute(_lease(tx.database.tasks), {"of_id": task_id}).first()
        taken: Task | None = real(tx, task_id, *given)
        if taken is not None and self.hub.running is not None:
            now, process = tx.database.clock.now(), self.hub.running.process
            self.weather.note(f"took {task_id} at {taken.step or 'its first step'}, epoch {taken.epoch}")
            if before is not None and before.lease_until is not None:
                if before.lease_until > now:
                    self.breaches.append(f"I3: {task_id} was taken while the lease of another held")
                # Whose subject another task had meanwhile was to be had for as long.
                elif self._is_at_it(task_id, process, tx.database.service, (now - before.lease_until).total_seconds()):
                    self.breaches.append(f"I3: {task_id} was taken from a worker that lives")
            self._holders[task_id] = process
        return taken

    def _is_at_it(self, task_id: str, taker: Process, service: str, since: float) -> bool:
        """Whether the last holder of a lease that ran out `since` seconds ago had no reason to let it."""
        holder = self._holders.get(task_id)
        if holder is None or holder is taker or not holder.alive:
            return False
        return not self.weather.troubled(holder, service, EXCUSE_SECONDS + since)


@cache
def _lease(t: Table) -> Select[Any]:
    return select(t.c.lease_until).where(t.c.id == bindparam("of_id"))


REAL_CLAIM = tasks.claim
