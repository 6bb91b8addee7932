"""One run's world: the disk, the broker, the cloud, the hosts, and replicas of each service that come and go."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import services.api.dependencies
import services.datastore_agentless.dependencies
import services.provisioner.dependencies
import services.scheduler.dependencies
from services.api.service import ApiService
from services.api.store.tables import metadata as api_tables
from services.datastore_agentless.datastores import load_manager
from services.datastore_agentless.domain.age_key import AgeKey
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.key import Key
from services.datastore_agentless.hosts.base import Target
from services.datastore_agentless.hosts.driver import Driver
from services.datastore_agentless.hosts.ssh import SshPool
from services.datastore_agentless.service import DatastoreService
from services.datastore_agentless.settings import Settings as DatastoreSettings
from services.datastore_agentless.store.tables import metadata as datastore_tables
from services.datastore_agentless.workflows.on_host import Hosts, _Recorder
from services.provisioner.providers.clouds import Clouds
from services.provisioner.providers.watch import ProviderWatch
from services.provisioner.service import ProvisionerService
from services.provisioner.settings import Settings as ProvisionerSettings
from services.provisioner.store.tables import metadata as provisioner_tables
from services.scheduler.service import SchedulerService
from services.scheduler.settings import Settings as SchedulerSettings
from services.scheduler.store.tables import metadata as scheduler_tables
from shared import clock, engine
from shared.bus import events
from shared.bus.publisher import Outgoing
from shared.bus.rpc import RpcCaller
from shared.contracts.base import Event
from shared.contracts.values import TranscriptEntry
from shared.db import Sealed, Tx, tasks
from shared.errors import DtroveError, Unavailable
from shared.secrets import Keyring, Secret
from tests.simulation.broker import Binding, Broker
from tests.simulation.chance import Plan
from tests.simulation.claims import REAL_CLAIM, Claims
from tests.simulation.cloud import SimProvider
from tests.simulation.hosts import Fleet, SimRunner
from tests.simulation.keeping import SimStore
from tests.simulation.replica import Kind, Replica
from tests.simulation.storage import Disk, SimDatabase
from tests.simulation.virtual import FOR_EVER, Hub, Process, VirtualClock
from tests.simulation.weather import WEIGHTS, Weather
from tests.support.keeping import MemoryStores

API = Kind("api", ApiService, services.api.dependencies, {
    "reminder": "select 1 from operations where status in ('pending', 'running', 'cancelling') limit 1"
})  # fmt: skip
PROVISIONER = Kind("provisioner", ProvisionerService, services.provisioner.dependencies,
                   {"flavors_ticker": "", "sweeper": ""})  # fmt: skip
DATABASES = Kind("datastore_agentless", DatastoreService, services.datastore_agentless.dependencies,
                 {"catalogue_ticker": ""})  # fmt: skip
SCHEDULER = Kind("scheduler", SchedulerService, services.scheduler.dependencies,
                 {"due_ticker": "select 1 from schedules limit 1"})  # fmt: skip
TABLES = {"api": api_tables, "provisioner": provisioner_tables, "datastore_agentless": datastore_tables,
          "scheduler": scheduler_tables}  # fmt: skip
# Two of those that work, so that one can take over from the other while that one still believes to be at it.
SLOTS = (("api", API), ("provisioner-1", PROVISIONER), ("provisioner-2", PROVISIONER), ("databases-1", DATABASES),
         ("databases-2", DATABASES), ("scheduler", SCHEDULER))  # fmt: skip
MANAGERS = (("tests.simulation.hosts.SimManager", "redis"),)
HOST_KEY = (Secret("simulated"), "ssh-ed25519 born")
RESTART = (0.2, 20.0)
RPC_SECONDS = 10.0
ANNOUNCING = ("flavors_ticker", "catalogue_ticker")
REPORTS = ("operation.progressed", "transcript.recorded")
AGE_KEY = partial(AgeKey, public="age1simulated", private=Secret("AGE-SECRET-KEY-SIMULATED"))
KEY = Key("simulated", Secret("simulated"), Secret("simulated"), "ssh-ed25519 simulated")


class World(logging.Handler):
    """Lives for one run. `here` is the replica whose code runs. What the code logs as an error is one."""

    def __init__(self, disk: Disk, clock_: VirtualClock, plan: Plan, chance: random.Random) -> None:
        super().__init__(logging.ERROR)
        self.chance = chance
        self.hub = clock_.hub = Hub(chance)
        self.weather = Weather(self.hub, plan, chance)
        self.clock = clock_
        self.broker = Broker(self.hub, self.weather, chance)
        # Reports are most of the messages, and decide nothing: in most runs nobody makes them.
        self.mute = chance.random() < 0.9
        self.provider = SimProvider(clock_, chance.choice((0.2, 1.0, 4.0)), self.weather)
        self.fleet = Fleet(self.weather, self.provider.answers_at, self.who, lambda: self.hub.now,
                           chance.choice((0.5, 3.0, 15.0)))  # fmt: skip
        self.provider.unplugged = self.fleet.roles.stop
        self.store = SimStore(self.weather)
        self.claims = Claims(self.hub, self.weather)
        self.pool = SshPool()
        self.user = Process("user")
        self.replicas: dict[str, Replica] = {}
        self.restarts = 0
        # Where no reminder brings back what was lost, either all queues are there or none: what is said then waits for them.
        self.together = WEIGHTS.get("lost") == 0
        self._disk = disk
        for slot, _ in SLOTS:
            self.database(slot)
        disk.renew()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep an error that the code under test met and lived on with."""
        error = record.exc_info[1] if record.exc_info else None
        self.hub.errors.append((record.name, error or RuntimeError(record.getMessage())))

    def start(self, *left_out: str) -> None:
        """Every replica begins, but for those of services that this run can do without."""
        for slot, kind in SLOTS:
            if kind.name in left_out:
                continue
            # Queues outlive processes. Only at the very first start, which some runs are, is nobody bound yet: what is said
            # then is lost to some, and only reminders bring it back.
            if self.mute and not self.together:
                self.broker.bind(list(kind.handlers))
            self._start(slot, kind)
        if self.together:
            bindings = [binding for slot, kind in SLOTS if slot in self.replicas for binding in kind.handlers]
            self.hub.spawn(Process("administrator"), lambda: self._bind_late(bindings))

    def _bind_late(self, bindings: list[Binding]) -> None:
        self.hub.sleep(self.chance.choice((0.0, self.chance.uniform(0.0, 20.0))))
        self.broker.bind(bindings)

    def database(self, slot: str) -> SimDatabase:
        """A replica's database."""
        service = dict(SLOTS)[slot].name
        database = self._disk.database(slot, service, TABLES[service])
        database.weather = self.weather
        database.carrier = self.carry
        return database

    def who(self) -> str:
        """The process that runs, by its name and its life."""
        thread = self.hub.running
        return f"{thread.process.name} (life {thread.process.life})" if thread else "-"

    def carry(self, message: Outgoing) -> None:
        """Send a message past every outbox."""
        self.broker.send([message])

    def tickers(self, replica: Replica) -> tuple[str, ...]:
        """What time itself starts in a replica; what both of two would do is left to the first, to make a run faster."""
        if replica.slot.endswith("-2"):
            return ()
        return tuple(name for name in replica.kind.tickers if not (self.mute and name in ANNOUNCING))

    @property
    def here(self) -> Replica:
        """The replica whose thread runs."""
        thread = self.hub.running
        assert thread is not None
        return self.replicas[thread.process.name]

    def call(self, caller: RpcCaller, method: str, *args: Any, **kwargs: Any) -> Any:
        """RPC between replicas: an answer, the other side's error, or Unavailable after the caller's patience."""
        there = self.broker.living(caller.service)
        self.weather.at_line()
        if not there:
            self.hub.sleep(RPC_SECONDS)
            raise Unavailable(f"{caller.service} did not answer")
        replica = self.chance.choice(there)
        assert isinstance(replica, Replica)

        def serve() -> tuple[Any, DtroveError | None] | None:
            try:
                outcome = getattr(replica.service, method)(*args, **kwargs), None
            except DtroveError as error:
                outcome = None, error
            return None if self.weather.at_rpc() else outcome

        until = self.hub.now + caller.timeout
        answer = next(iter(self.hub.ask(replica.process, serve, caller.timeout)), None)
        if answer is None:
            self.hub.sleep(until - self.hub.now)
            raise Unavailable(f"{caller.service} did not answer within {caller.timeout:.0f} s")
        value, error = answer
        if error is not None:
            raise error
        return value

    def _start(self, slot: str, kind: Kind) -> None:
        replica = self.replicas[slot] = Replica(self, kind, slot, self.database(slot))
        replica.process.life = self.restarts
        replica.start()
        self.hub.spawn(Process("supervisor"), lambda: self._watch(replica))

    def _watch(self, replica: Replica) -> None:
        """Start a replica again once it has died, like a supervisor."""
        thread = self.hub.running
        assert thread is not None
        replica.process.mourners[thread] = None
        while replica.process.alive:
            self.hub.park(FOR_EVER)
        self.restarts += 1
        self.hub.sleep(self.chance.uniform(*RESTART))
        self._start(replica.slot, replica.kind)


@dataclass
class Ring:
    """A keyring that seals and opens nothing twice: rows are read and written many times, and this takes longer than the rest."""

    real: Keyring
    sealed: dict[str, str] = field(default_factory=dict)
    opened: dict[str, Secret] = field(default_factory=dict)

    def seal(self, secret: Secret) -> str:
        """As the real one; what it has sealed is kept in mind."""
        text = secret.reveal()
        if text not in self.sealed:
            self.sealed[text] = self.real.seal(secret)
        return self.sealed[text]

    def open(self, token: str) -> Secret:
        """As the real one; what it has opened is kept in mind."""
        if token not in self.opened:
            self.opened[token] = self.real.open(token)
        return self.opened[token]


class SimHosts(Hosts):
    """The way to the fleet instead of over SSH."""

    fleet: Fleet

    def _driver(self, target: Target, **options: Any) -> Driver:
        return SimRunner(fleet=_WORLD[-1].fleet, target=target, clock=self.database.clock, **options)


_WORLD: list[World] = []


def _here() -> SimDatabase:
    return _WORLD[-1].here.database


def _hosts() -> Hosts:
    return SimHosts(_here(), _WORLD[-1].pool, _manager)


def _manager(datastore: Datastore) -> Any:
    manager = load_manager(datastore.manager_class, datastore, MANAGERS)
    manager.clock = _WORLD[-1].clock
    return manager


_REAL_EMIT, _REAL_RECORD = Tx.emit, _Recorder.__call__


def _record(recorder: _Recorder, entry: TranscriptEntry) -> None:
    if not _WORLD[-1].mute:
        _REAL_RECORD(recorder, entry)


def _emit(tx: Tx, event: Event, world: World) -> None:
    if not (world.mute and event.topic in REPORTS):
        _REAL_EMIT(tx, event)


@contextmanager
def composed(world: World) -> Iterator[None]:
    """Let the services' composition roots find this world's parts where they would make the real ones."""
    api, provisioner, databases, scheduler = (kind.dependencies for kind in (API, PROVISIONER, DATABASES, SCHEDULER))
    ring = Ring(Keyring(("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",)))
    parts: list[tuple[Any, str, Any]] = [
        (api, "database", _here), (api, "changes", lambda: None), (api, "keyring", lambda: ring),
        (provisioner, "database", _here), (provisioner, "keyring", lambda: ring),
        (provisioner, "provider", lambda: world.provider),
        (provisioner, "settings", lambda: ProvisionerSettings(database_url="", amqp_uri="", keyring="", home="")),
        (provisioner, "clouds", lambda: Clouds(world.provider)),
        (provisioner, "watch", lambda: ProviderWatch("fake", Clouds(world.provider), world.clock)),
        (provisioner, "make_host_key", lambda _name: HOST_KEY),
        (databases, "database", _here), (databases, "keyring", lambda: ring), (databases, "hosts", _hosts),
        (databases, "manager_for", _manager), (scheduler, "database", _here),
        (scheduler, "settings", lambda: SchedulerSettings(database_url="", amqp_uri="")),
        (databases, "stores", lambda: MemoryStores(world.store)),
        (databases, "settings", lambda: DatastoreSettings(database_url="", amqp_uri="", keyring="", home="",
                                                          managers=MANAGERS)),
        (tasks, "claim", partial(world.claims.claim, REAL_CLAIM)),
        (Key, "create", lambda _name: KEY), (AgeKey, "create", AGE_KEY),
        (RpcCaller, "call", lambda caller, *args, **kwargs: world.call(caller, *args, **kwargs)),
        (Tx, "emit", lambda tx, event: _emit(tx, event, world)), (_Recorder, "__call__", _record),
        (Sealed, "keyring", ring), (clock, "SYSTEM", world.clock),
        # Nobody reads of what a line speaks that nobody writes.
        (engine, "about", lambda _: nullcontext()), (events, "about", lambda _: nullcontext()),
    ]  # fmt: skip
    kept = [(owner, name, vars(owner)[name]) for owner, name, _ in parts]
    _WORLD.append(world)
    logging.getLogger().addHandler(world)
    try:
        for owner, name, value in parts:
            setattr(owner, name, value)
        yield
    finally:
        with suppress(Exception):
            world.hub.close()
        for owner, name, value in kept:
            setattr(owner, name, value)
        logging.getLogger().removeHandler(world)
        _WORLD.pop()
