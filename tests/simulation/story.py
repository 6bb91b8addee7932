"""What a user does in one run, over the API's own actions; drawn from the seed, and told again where no answer came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from services.api.actions import clusters
from services.api.actions.access import DEFAULT_PROJECT
from services.api.store import tables
from services.provisioner.providers.fake.faults import Fault
from shared.contracts.base import new_id
from shared.db import Tx
from shared.errors import Conflict, DtroveError, NotFound, Unavailable
from tests.simulation.storage import rows
from tests.simulation.weather import FINAL_FAULTS
from tests.simulation.world import World

LOOK_SECONDS = 4.0
# A user gives up on an operation after so long; nothing may take that long once the faults are over.
PATIENCE = 3000.0
REST_SECONDS = 40.0
PLOTS = ("live and go", "delete early", "cancel early", "perform", "retry", "two")
ENDED = ("succeeded", "failed", "cancelled")


class Hopeless(Exception):
    """The user has waited longer than anything may take."""


@dataclass
class Wish:
    """An operation that was accepted, and what must become of it where nothing final has struck."""

    operation_id: str
    cluster_id: str
    allowed: tuple[str, ...]


@dataclass
class Story:
    """One run's user. `plot` is drawn where none is given; `ended` is set when the last page is read."""

    world: World
    plot: str = ""
    wishes: list[Wish] = field(default_factory=list)
    cluster_ids: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    ended: bool = False
    hopeless: str = ""

    def begin(self) -> None:
        """The user comes."""
        self.world.hub.spawn(self.world.user, self._tell)

    def _tell(self) -> None:
        chance, plot = self.world.chance, self.plot or self.world.chance.choice(PLOTS)
        self.world.weather.note(f"plot: {plot}")
        if plot == "retry":
            # Its premise: something final strikes the first attempt.
            self.world.weather.final_faults += 1
            self.world.provider.faults.pending.append(Fault("create", chance.choice(FINAL_FAULTS)))
        try:
            if plot == "two":
                first, second = self._create("one"), self._create("two")
                self._wait(first)
                self._wait(second)
            else:
                wish = self._create("only")
                self._twist(plot, wish)
            self.world.hub.sleep(chance.uniform(0.0, 20.0))
            self.world.weather.clear()
            for wish in list(self.wishes):
                self._wait(wish)
            for cluster_id in self.cluster_ids:
                self._delete(cluster_id)
            for wish in list(self.wishes):
                self._wait(wish)
            # Within a minute of rest all that is held is what is known; there is no rest while a process stands still.
            awake = max(one.process.stopped_until for one in self.world.replicas.values())
            self.world.hub.sleep(max(0.0, awake - self.world.hub.now) + REST_SECONDS)
        except Hopeless as error:
            self.hopeless = str(error)
        self.ended = True

    def _twist(self, plot: str, wish: Wish) -> None:
        chance = self.world.chance
        if plot in ("delete early", "cancel early"):
            self.world.hub.sleep(chance.choice((0.0, chance.uniform(0.0, 2.0), chance.uniform(0.0, 60.0))))
            if plot == "delete early":
                self._delete(wish.cluster_id)
            else:
                self._cancel(wish)
            return
        self._wait(wish)
        if plot == "perform" and self.status(wish.operation_id) == "succeeded":
            done = self._perform(wish.cluster_id)
            if done and chance.random() < 0.5:
                self.world.hub.sleep(chance.uniform(0.0, 30.0))
                self._cancel(done) if chance.random() < 0.5 else self._delete(wish.cluster_id)
            elif done:
                self._wait(done)
        if plot == "retry" and self.status(wish.operation_id) == "failed":
            before = self.world.weather.final_faults
            self._ask(lambda tx: clusters.retry(tx, DEFAULT_PROJECT, wish.operation_id))
            self._wait(wish)
            # What ends now as a failure has to have a reason of its own.
            if self.status(wish.operation_id) == "failed" and self.world.weather.final_faults == before:
                self.failures.append(f"{wish.operation_id} failed again, though nothing final had struck since")

    def _create(self, name: str) -> Wish:
        cluster_id = new_id()
        asked = {"id": cluster_id, "name": name, "datastore": "redis 7.0", "flavor": "tiny", "size": 1,
                 "volume_gb": self.world.chance.choice((None, 1)), "deletion_protection": False}  # fmt: skip
        self._ask(lambda tx: clusters.create(tx, DEFAULT_PROJECT, dict(asked), 1))
        found = rows(self.world.database("api"),
                     select(tables.operations.c.id).where(tables.operations.c.cluster_id == cluster_id))  # fmt: skip
        if not found:
            raise Hopeless("the API never took the wish for a cluster")
        wish = Wish(str(found[0].id), cluster_id, ("succeeded",))
        self.wishes.append(wish)
        self.cluster_ids.append(cluster_id)
        return wish

    def _delete(self, cluster_id: str) -> None:
        answer = self._ask(lambda tx: clusters.delete(tx, DEFAULT_PROJECT, cluster_id))
        # Also where it is gone already: an answer may have been lost.
        for wish in self.wishes:
            if wish.cluster_id == cluster_id:
                wish.allowed = ENDED
        if isinstance(answer, NotFound):
            return
        if isinstance(answer, str) and all(wish.operation_id != answer for wish in self.wishes):
            self.wishes.append(Wish(answer, cluster_id, ("succeeded",)))

    def _cancel(self, wish: Wish) -> None:
        self._ask(lambda tx: clusters.cancel(tx, DEFAULT_PROJECT, wish.operation_id))
        wish.allowed = ("succeeded", "cancelled")

    def _perform(self, cluster_id: str) -> Wish | None:
        i = tables.instances
        found = rows(self.world.database("api"), select(i.c.id).where(i.c.cluster_id == cluster_id))
        commands = ["uptime", "df"][: self.world.chance.randint(1, 2)]
        asked = {"name": "look", "commands": commands}
        answer = self._ask(lambda tx: clusters.perform(tx, DEFAULT_PROJECT, found[0].id, asked))
        if not isinstance(answer, str):
            return None
        wish = Wish(answer, cluster_id, ("succeeded",))
        self.wishes.append(wish)
        return wish

    def status(self, operation_id: str) -> str:
        """As the API's table has it."""
        o = tables.operations
        return str(rows(self.world.database("api"), select(o.c.status).where(o.c.id == operation_id))[0].status)

    def _wait(self, wish: Wish) -> None:
        until = self.world.hub.now + PATIENCE
        while self.status(wish.operation_id) not in ENDED:
            self.world.hub.sleep(LOOK_SECONDS)
            if self.world.hub.now > until:
                raise Hopeless(f"I1: operation {wish.operation_id} did not end")
        self._count_servers(wish)

    def _count_servers(self, wish: Wish) -> None:
        """A cluster that was made has one server; one that failed for want of a server has none left over."""
        o, i = tables.operations, tables.instances
        database = self.world.database("api")
        row = rows(database, select(o.c.kind, o.c.status, o.c.problem).where(o.c.id == wish.operation_id))[0]
        alive = rows(database, select(tables.clusters.c.status).where(tables.clusters.c.id == wish.cluster_id))
        if row.kind != "create_cluster" or not alive or alive[0].status not in ("active", "failed"):
            return
        for instance in rows(database, select(i.c.id).where(i.c.cluster_id == wish.cluster_id)):
            there = len(self.world.provider.cloud.servers(instance.id))
            wanted = 1 if row.status == "succeeded" else 0
            if there != wanted:
                self.failures.append(f"I6: {there} servers after a create that has {row.status}")

    def _ask(self, work: Callable[[Tx], Any]) -> Any:
        """One request to the API, again until there is an answer; a refusal is one. Conflict at a second try is success."""
        for _ in range(400):
            answer = self._once(work)
            if not isinstance(answer, (Unavailable, type(None))):
                return answer if not isinstance(answer, Conflict) else None
            self.world.hub.sleep(1.0)
        raise Hopeless("the API did not answer for minutes")

    def _once(self, work: Callable[[Tx], Any]) -> Any:
        """Run it in a thread of the API; None where the API died of it."""
        replica = self.world.replicas["api"]
        if not replica.process.alive:
            return None

        def serve() -> Any:
            try:
                with replica.database.write() as tx:
                    answer = work(tx)
            except DtroveError as error:
                return error
            return "" if answer is None else answer

        return next(iter(self.world.hub.ask(replica.process, serve)), None)
