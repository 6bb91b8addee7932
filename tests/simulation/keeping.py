"""A store of backups that is away now and then, and whose callers die; and what must be in it when a run has come to rest."""

from __future__ import annotations

from collections.abc import Iterator

from services.datastore_agentless.domain.backup import Backup, State
from shared.errors import Retryable
from tests.simulation.weather import Weather
from tests.support.keeping import MemoryStore


class SimStore(MemoryStore):
    """A store in memory, in this weather."""

    def __init__(self, weather: Weather) -> None:
        super().__init__()
        self._weather = weather

    def _ask(self, what: str) -> None:
        if not self._weather.at_store(what):
            raise Retryable("the store does not answer")

    def _after(self, what: str) -> None:
        self._ask(what)


def misplaced(store: SimStore, catalogue: list[Backup]) -> Iterator[str]:
    """A backup is completed with every part of it, or nothing is kept of it."""
    whole = {one.key: one for one in catalogue if one.state == State.COMPLETED}
    for key in [*store.begun, *(key for key in store.kept if key not in whole)]:
        yield f"I6: the store keeps {key}, which is no backup"
    for key, backup in whole.items():
        if key not in store.kept:
            yield f"I8: the store has nothing of {key}, which is {backup.state}"
        elif store.kept[key].manifest != backup.manifest_bytes:
            yield f"I8: the manifest beside {key} is not the catalogue's"
    for backup in catalogue:
        if backup.state in (State.MAKING, State.DELETING):
            yield f"I1: backup {backup.id} is {backup.state} at rest"
