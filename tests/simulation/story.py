"""What a user does in one run, over the API's own actions; drawn from the seed, and told again where no answer came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Select, Table, bindparam, select

from services.api.actions import clusters, scaling, steering
from services.api.actions.access import DEFAULT_PROJECT
from services.api.store import tables
from services.provisioner.providers.fake.faults import Fault
from services.scheduler.actions import schedules
from shared.contracts.base import new_id
from shared.contracts.scheduler import BackupDue
from shared.db import Tx
from shared.errors import Conflict, DtroveError, NotFound, Unavailable
from tests.simulation.restores import PLOT as RESTORE_PLOT
from tests.simulation.restores import Restores
from tests.simulation.storage import SimDatabase, rows
from tests.simulation.takeovers import Takeovers
from tests.simulation.weather import FINAL_FAULTS
from tests.simulation.world import World

LOOK_SECONDS = 4.0
# A user gives up on an operation after so long; nothing may take that long once the faults are over.
PATIENCE = 3000.0
REST_SECONDS = 60.0
# What comes to light late is gone after so long.
TIDY_SECONDS = 75.0
PLOTS = ("live and go", "delete early", "cancel early", "perform", "retry", "two", "schedule", "three nodes", "grow",
         "switch over", "fail over")  # fmt: skip
ENDED = ("succeeded", "failed", "cancelled")
GIVEN_UP = "times without an outcome"


# Asked in every run: they are put together once.
_o, _i, _c = tables.operations, tables.instances, tables.clusters
_STATUSES = select(_o.c.id, _o.c.status)
_ENDED_AS = select(_o.c.kind, _o.c.status, _o.c.problem).where(_o.c.id == bindparam("of_id"))
_CLUSTER_STATUS = select(_c.c.status).where(_c.c.id == bindparam("of_id"))
_NODES = select(_i.c.id, _i.c.status).where(
    _i.c.cluster_id == bindparam("of_cluster"), _i.c.status.not_in(("deleting", "deleted"))
)
_OPERATIONS = select(_o.c.id).where(_o.c.cluster_id == bindparam("of_cluster"))
_BACKUPS = select(_o.c.id, _o.c.status).where(_o.c.cluster_id == bindparam("of_cluster"), _o.c.kind == "backup")


@cache
def _due(outbox: Table) -> Select[Any]:
    return select(outbox.c.operation_id).where(outbox.c.routing_key == BackupDue.topic).order_by(outbox.c.id)


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
    """One run's user. `plot` is one of PLOTS; `ended` is set when the last page is read."""

    world: World
    plot: str
    wishes: list[Wish] = field(default_factory=list)
    cluster_ids: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    ended: bool = False
    hopeless: str = ""
    _statuses: dict[str, str] = field(default_factory=dict)
    _seen_at: int = -1

    @property
    def needless(self) -> tuple[str, ...]:
        """Services that nothing of the plot needs: to leave them out makes a run faster."""
        return () if self.plot == "schedule" else ("scheduler",)

    def begin(self) -> None:
        """The user comes."""
        self.world.hub.spawn(self.world.user, self._tell)

    def _tell(self) -> None:
        chance, plot = self.world.chance, self.plot
        self.world.weather.note(f"plot: {plot}")
        if plot == "retry":
            # Its premise: something final strikes the first attempt.
            self.world.weather.final_faults += 1
            self.world.provider.faults.pending.append(Fault("create", chance.choice(FINAL_FAULTS)))
        try:
            if plot == "two":
                first, second = self._create("one"), self._create("two")
                self.wait(first)
                self.wait(second)
            else:
                wish = self._create("only", self._size(plot))
                self._twist(plot, wish)
            self.world.hub.sleep(chance.uniform(0.0, 20.0))
            self.world.weather.clear()
            for wish in list(self.wishes):
                self.wait(wish)
            for cluster_id in self.cluster_ids:
                self.delete(cluster_id)
            for wish in list(self.wishes):
                self.wait(wish)
            # Within a minute of rest all that is held is what is known; there is no rest while a process stands still.
            self.world.hub.sleep(self._awake_in() + REST_SECONDS)
        except Hopeless as error:
            self.hopeless = str(error)
        self.ended = True

    def _size(self, plot: str) -> int:
        several = {
            "three nodes": (3,),
            "grow": (1, 2),
            "switch over": (2, 3),
            "fail over": (2, 3),
            RESTORE_PLOT: (1, 2),
        }
        return int(self.world.chance.choice(several.get(plot, (1,))))

    def _awake_in(self) -> float:
        """Seconds until every process is awake."""
        awake = max(one.process.stopped_until for one in self.world.replicas.values())
        return max(0.0, awake - self.world.hub.now)

    def _twist(self, plot: str, wish: Wish) -> None:
        chance = self.world.chance
        if plot in ("delete early", "cancel early"):
            self.world.hub.sleep(chance.choice((0.0, chance.uniform(0.0, 2.0), chance.uniform(0.0, 60.0))))
            if plot == "delete early":
                self.delete(wish.cluster_id)
            else:
                self.cancel(wish)
            return
        self.wait(wish)
        status = self.status(wish.operation_id)
        if status == "succeeded":
            self._live(plot, wish.cluster_id)
        elif plot == "retry" and status == "failed":
            self._retry(wish)

    def _live(self, plot: str, cluster_id: str) -> None:
        """What happens to a cluster that serves."""
        if plot == "perform":
            self._command(cluster_id)
        elif plot == "schedule":
            self._schedule(cluster_id)
        elif plot == "grow":
            self._grow(cluster_id)
        elif plot == RESTORE_PLOT:
            Restores(self, cluster_id).happen()
        elif plot in ("switch over", "fail over"):
            Takeovers(self, cluster_id).happen(plot)

    def _command(self, cluster_id: str) -> None:
        chance = self.world.chance
        done = self._perform(cluster_id)
        if done and chance.random() < 0.5:
            self.world.hub.sleep(chance.uniform(0.0, 30.0))
            self.cancel(done) if chance.random() < 0.5 else self.delete(cluster_id)
        elif done:
            self.wait(done)

    def _retry(self, wish: Wish) -> None:
        # Where something else struck first, the premise is not to strike now.
        self.world.provider.faults.pending.clear()
        before = self.world.weather.final_faults
        self.ask(lambda tx: steering.retry(tx, DEFAULT_PROJECT, wish.operation_id))
        self.wait(wish)
        # What ends now as a failure has to have a reason of its own.
        if self.status(wish.operation_id) == "failed" and self.world.weather.final_faults == before:
            self.failures.append(f"{wish.operation_id} failed again, though nothing final had struck since")

    def _create(self, name: str, size: int = 1) -> Wish:
        cluster_id = new_id()
        asked = {"id": cluster_id, "name": name, "datastore": "redis 7.0", "flavor": "tiny", "size": size,
                 "volume_gb": self.world.chance.choice((None, 1)), "deletion_protection": False, "topology": None, "parameters": {},
                 "parameter_group": None, "databases": [], "users": [], "restore": None}  # fmt: skip
        self.ask(lambda tx: clusters.create(tx, DEFAULT_PROJECT, dict(asked), size))
        found = rows(self.world.database("api"), _OPERATIONS, of_cluster=cluster_id)
        if not found:
            raise Hopeless("the API never took the wish for a cluster")
        wish = Wish(str(found[0].id), cluster_id, ("succeeded",))
        self.wishes.append(wish)
        self.cluster_ids.append(cluster_id)
        return wish

    def delete(self, cluster_id: str) -> None:
        """Ask for a cluster's end; whatever else was asked for may end as it likes."""
        answer = self.ask(lambda tx: clusters.delete(tx, DEFAULT_PROJECT, cluster_id))
        # Also where it is gone already: an answer may have been lost.
        for wish in self.wishes:
            if wish.cluster_id == cluster_id:
                wish.allowed = ENDED
        if isinstance(answer, NotFound):
            return
        if isinstance(answer, str) and all(wish.operation_id != answer for wish in self.wishes):
            self.wishes.append(Wish(answer, cluster_id, ("succeeded",)))

    def cancel(self, wish: Wish) -> None:
        """Give an operation up, which may have come about already."""
        self.ask(lambda tx: steering.cancel(tx, DEFAULT_PROJECT, wish.operation_id))
        wish.allowed = ("succeeded", "cancelled")

    def _perform(self, cluster_id: str) -> Wish | None:
        i = tables.instances
        found = rows(self.world.database("api"), select(i.c.id).where(i.c.cluster_id == cluster_id))
        commands = ["uptime", "df"][: self.world.chance.randint(1, 2)]
        asked = {"name": "look", "commands": commands}
        return self.wish(lambda tx: clusters.perform(tx, DEFAULT_PROJECT, found[0].id, asked), cluster_id)

    def _grow(self, cluster_id: str) -> None:
        """Add nodes, or take them back half-way; try again what failed; remove one, whatever became of it."""
        chance = self.world.chance
        more = self.wish(
            lambda tx: scaling.add_nodes(tx, DEFAULT_PROJECT, cluster_id, chance.choice((1, 2)), 5), cluster_id
        )
        if more is None:
            return
        if chance.random() < 0.3:
            self.world.hub.sleep(chance.choice((0.0, chance.uniform(0.0, 2.0), chance.uniform(0.0, 60.0))))
            self.cancel(more)
        self.wait(more)
        if self.status(more.operation_id) == "failed" and chance.random() < 0.5:
            self.ask(lambda tx: steering.retry(tx, DEFAULT_PROJECT, more.operation_id))
            self.wait(more)
        replicas = self.replicas(cluster_id)
        if not replicas:
            return
        gone = chance.choice(replicas)
        less = self.wish(lambda tx: scaling.remove_node(tx, DEFAULT_PROJECT, cluster_id, gone), cluster_id)
        if less is None:
            return
        if chance.random() < 0.2:
            self.delete(cluster_id)
            return
        self.wait(less)
        if self.status(less.operation_id) == "failed":
            again = self.wish(lambda tx: scaling.remove_node(tx, DEFAULT_PROJECT, cluster_id, gone), cluster_id)
            less = again or less
            self.wait(less)
        if self.status(less.operation_id) == "succeeded" and gone in self.replicas(cluster_id):
            self.failures.append(f"instance {gone} is still there after its removal")

    def replicas(self, cluster_id: str) -> list[str]:
        """The nodes of a cluster but for its primary, as the API knows them."""
        i, c = tables.instances, tables.clusters
        query = select(i.c.id).join(c, c.c.id == i.c.cluster_id).order_by(i.c.name)
        mine = query.where(c.c.id == cluster_id, i.c.id != c.c.primary_id, i.c.status != "deleted")
        return [str(row.id) for row in rows(self.world.database("api"), mine)]

    def wish(self, work: Callable[[Tx], Any], cluster_id: str) -> Wish | None:
        """An operation that is asked for, if it is taken in."""
        answer = self.ask(work)
        if not isinstance(answer, str):
            return None
        wish = Wish(answer, cluster_id, ("succeeded",))
        self.wishes.append(wish)
        return wish

    def _schedule(self, cluster_id: str) -> None:
        """Have a backup made every minute, until the first has ended: whatever is announced comes about."""
        schedule_id = new_id()
        self._of_scheduler(
            lambda base: schedules.add(base, cluster_id, DEFAULT_PROJECT, "* * * * *", "UTC", "full", schedule_id)
        )
        first, until = "", self.world.hub.now + PATIENCE
        while not first or self._backups(cluster_id).get(first) not in ENDED:
            self.world.hub.sleep(LOOK_SECONDS)
            first = first or self._announced()
            if self.world.hub.now > until:
                raise Hopeless(f"I1: the backup {first} of cluster {cluster_id} was due, and did not end")
        self._of_scheduler(lambda base: schedules.remove(base, schedule_id))
        self.wishes += [Wish(backup, cluster_id, ("succeeded",)) for backup in self._backups(cluster_id)]

    def _announced(self) -> str:
        """The operation of the first backup that the scheduler has announced; empty as long as there is none."""
        database = self.world.database("scheduler")
        found = rows(database, _due(database.outbox))
        return str(found[0].operation_id) if found else ""

    def _backups(self, cluster_id: str) -> dict[str, str]:
        """The backups that the API knows of, each with its status."""
        found = rows(self.world.database("api"), _BACKUPS, of_cluster=cluster_id)
        return {row.id: row.status for row in found}

    def status(self, operation_id: str) -> str:
        """As the API's table has it, which is looked into once it has changed."""
        database = self.world.database("api")
        if self._seen_at != database.file.commits:
            self._seen_at = database.file.commits
            self._statuses = {row.id: row.status for row in rows(database, _STATUSES)}
        return self._statuses[operation_id]

    def wait(self, wish: Wish) -> None:
        """Until it has ended, and as long as that may take."""
        until = self.world.hub.now + PATIENCE
        while self.status(wish.operation_id) not in ENDED:
            self.world.hub.sleep(LOOK_SECONDS)
            if self.world.hub.now > until:
                raise Hopeless(f"I1: operation {wish.operation_id} did not end")
        if self._given_up(wish):
            self.world.weather.final_faults += 1
        else:
            self._count_servers(wish)

    def _given_up(self, wish: Wish) -> bool:
        """Whether so many workers died over one step that it counts as what kills them: its server waits for a retry."""
        row = rows(self.world.database("api"), _ENDED_AS, of_id=wish.operation_id)[0]
        return GIVEN_UP in ((row.problem or {}).get("message") or "")

    def _count_servers(self, wish: Wish) -> None:
        """A node that was made has one server; one that failed for want of a server has none left over.

        Of several nodes the others keep theirs until the cluster is deleted.
        """
        database = self.world.database("api")
        row = rows(database, _ENDED_AS, of_id=wish.operation_id)[0]
        alive = rows(database, _CLUSTER_STATUS, of_id=wish.cluster_id)
        if row.kind != "create_cluster" or not alive or alive[0].status not in ("active", "failed"):
            return
        servers = self.world.provider.cloud.servers
        nodes = rows(database, _NODES, of_cluster=wish.cluster_id)
        for instance in nodes:
            if row.status != "succeeded" and len(nodes) > 1 and instance.status != "failed":
                continue
            wanted = 1 if row.status == "succeeded" else 0
            # A second one is nobody's fault only where the cloud did not show the first, or a worker slept before it asked.
            patience = self._awake_in() + TIDY_SECONDS if self.world.weather.stray_servers else 0.0
            until = self.world.hub.now + patience
            while len(servers(instance.id)) > wanted and self.world.hub.now < until:
                self.world.hub.sleep(LOOK_SECONDS)
            there = len(servers(instance.id))
            if there != wanted:
                self.failures.append(f"I6: {there} servers after a create that has {row.status}")

    def ask(self, work: Callable[[Tx], Any]) -> Any:
        """One request to the API."""

        def serve(database: SimDatabase) -> Any:
            with database.write() as tx:
                return work(tx)

        return self._request("api", serve)

    def _of_scheduler(self, work: Callable[[SimDatabase], Any]) -> Any:
        """One call of the scheduler."""
        return self._request("scheduler", work)

    def _request(self, slot: str, work: Callable[[SimDatabase], Any]) -> Any:
        """Ask again until there is an answer; a refusal is one. Conflict at a second try is success."""
        for _ in range(400):
            answer = self._once(slot, work)
            if not isinstance(answer, (Unavailable, type(None))):
                return answer if not isinstance(answer, Conflict) else None
            self.world.hub.sleep(1.0)
        raise Hopeless(f"{slot} did not answer for minutes")

    def _once(self, slot: str, work: Callable[[SimDatabase], Any]) -> Any:
        """Run it in a thread of the service; None where that died of it."""
        replica = self.world.replicas[slot]
        if not replica.process.alive:
            return None

        def serve() -> Any:
            try:
                answer = work(replica.database)
            except DtroveError as error:
                return error
            return "" if answer is None else answer

        return next(iter(self.world.hub.ask(replica.process, serve)), None)
