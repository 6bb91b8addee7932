"""The watch: takes clusters that are due, has them looked at, and files what was seen.

Replicas of the service share the clusters by leases. There are two lanes: where a node does not answer a look takes seconds,
and all who are in such trouble together must not keep the others waiting.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from services.datastore_agentless.domain.health import Judgement
from services.datastore_agentless.rounds import Rounds
from services.datastore_agentless.store import watches
from services.datastore_agentless.store.watches import Watched
from services.datastore_agentless.watching.filing import Consider, Filing, Seen, nothing
from services.datastore_agentless.watching.hands import Hands
from services.datastore_agentless.watching.pace import Pace
from shared.db import Database, Tx
from shared.errors import DtroveError

Look = Callable[[Watched, Hands], Mapping[str, Judgement]]
ENROL_SECONDS, FLUSH_SECONDS = 2.0, 1.0
# So many clusters that begin to be watched at once are spread over a second.
ENROL_PER_SECOND = 20
log = logging.getLogger(__name__)


@dataclass
class Lane:
    """Clusters that are looked at side by side, at most `room` of them; `held` are those that are under way."""

    slow: bool
    room: int
    hands: Hands
    held: set[str] = field(default_factory=set)


def lanes() -> tuple[Lane, Lane]:
    """The usual two."""
    return Lane(False, 192, Hands(192, 8)), Lane(True, 96, Hands(96, 8))


class Watch(Rounds):
    """`look` judges a cluster's nodes; `consider` is called when something is wrong (see Filing)."""

    name, rest = "the watch", 0.25

    def __init__(
        self, database: Database, look: Look, pace: Pace | None = None, consider: Consider = nothing, worker: str = ""
    ) -> None:
        super().__init__(database, worker)
        self._look, self._pace = look, pace or Pace()
        self._filing = Filing(database, self._worker, self._pace, consider)
        self._lanes = lanes()
        self._seen: deque[Seen] = deque()
        self._enrol_at = self._renew_at = self._flush_at = 0.0

    def release(self, tx: Tx) -> None:
        watches.release(tx, self._worker)

    def tick(self) -> None:
        """Do what is to be done now; looks go on meanwhile."""
        now = self._database.clock.monotonic()
        if now >= self._enrol_at:
            self._enrol_at = now + ENROL_SECONDS
            self._enrol()
        if now >= self._renew_at:
            self._renew_at = now + self._pace.lease / 3
            self._renew()
        if now >= self._flush_at or len(self._seen) >= self._filing.batch or any(one.loud for one in list(self._seen)):
            self._flush_at = now + FLUSH_SECONDS
            self.flush()
        for lane in self._lanes:
            if not self._stopping:
                self._take(lane)

    def flush(self) -> None:
        """File what was seen."""
        ready = []
        while self._seen:
            ready.append(self._seen.popleft())
        try:
            self._filing.file(ready)
        finally:
            # What could not be filed is looked at again once its lease has run out.
            for lane in self._lanes:
                lane.held.difference_update(one.watched.cluster.id for one in ready)

    @property
    def busy(self) -> int:
        """How many clusters are in its hands."""
        return sum(len(lane.held) for lane in self._lanes)

    def _enrol(self) -> None:
        with self._database.read() as connection:
            new = watches.unwatched(connection)
        if new:
            over = min(self._pace.seconds, len(new) / ENROL_PER_SECOND)
            with self._database.write() as tx:
                watches.enrol(tx, {one: random.uniform(0.0, over) for one in new})  # noqa: S311 - spreads load

    def _renew(self) -> None:
        held = set().union(*(lane.held for lane in self._lanes))
        if held:
            with self._database.write() as tx:
                watches.renew(tx, held, self._worker, self._pace.lease)

    def _take(self, lane: Lane) -> None:
        room = lane.room - len(lane.held)
        if room <= 0:
            return
        with self._database.read() as connection:
            due = watches.due(connection, self._database.clock.now(), lane.slow, room)
        if not due:
            return
        with self._database.write() as tx:
            mine = watches.claim(tx, due, self._worker, self._pace.lease)
        with self._database.read() as connection:
            found = watches.load(connection, mine)
        self._filing.drop(set(mine) - {one.cluster.id for one in found})
        for watched in found:
            lane.held.add(watched.cluster.id)
            threading.Thread(target=partial(self._work, lane, watched), daemon=True).start()

    def _work(self, lane: Lane, watched: Watched) -> None:
        judged: Mapping[str, Judgement] = {}
        try:
            judged = self._look(watched, lane.hands)
        except DtroveError as error:
            log.warning("cluster %s could not be looked at: %s", watched.cluster.id, error)
        except Exception:
            log.exception("cluster %s could not be looked at", watched.cluster.id)
        seen = Seen(watched, judged, self._database.clock.now())
        self._seen.append(seen)
        if seen.loud:
            self._bell.set()
