"""Deliberate breaks: each takes one safeguard away, and the simulation has to notice. A suite that cannot fail proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import services.provisioner.actions as provisioner_actions
from services.api.actions import reminding
from services.datastore_agentless.actions import clusters as database_actions
from services.datastore_agentless.domain.takeover import State
from services.datastore_agentless.store import takeovers
from services.datastore_agentless.workflows.hand_over import HandOver
from services.datastore_agentless.workflows.take_over import file_take_over
from services.provisioner import powering, reconciler
from services.provisioner.domain.instance import Instance
from services.provisioner.providers.fake.provider import Provider
from services.scheduler.actions import running
from shared.bus.publisher import Outgoing
from shared.contracts.provisioner import InstanceFenced
from shared.db import tasks
from shared.db.engine import Tx
from shared.db.outbox import Batch
from shared.engine import StepEngine
from shared.workflow import Next, Workflow
from tests.simulation import hosts, run
from tests.simulation.broker import Broker
from tests.simulation.chance import Plan
from tests.simulation.restores import PLOT as RESTORE_PLOT
from tests.simulation.storage import SimDatabase
from tests.simulation.weather import WEIGHTS

Break = Callable[[ExitStack], None]


def _put(owner: Any, name: str, value: Any) -> Break:
    return lambda stack: stack.enter_context(patch.object(owner, name, value))


def _without_reminders(one: Break) -> Break:
    """For a break that reminders would heal: without them, and without the messages that only they bring back."""

    def apply(stack: ExitStack) -> None:
        one(stack)
        stack.enter_context(patch.object(reminding, "_silent", lambda _database: []))
        stack.enter_context(patch.dict(WEIGHTS, {"lost": 0.0}))

    return apply


def _where(kinds: tuple[str, ...], one: Break, most: int = 6, plots: tuple[str, ...] = run.PLOTS) -> Break:
    """For a break that only some faults bring to light, or some plots: runs with many of these, and no others."""

    def apply(stack: ExitStack) -> None:
        one(stack)
        draw = classmethod(lambda cls, chance: Plan(chance.randint(2, most), 0.1, kinds))
        stack.enter_context(patch.object(Plan, "draw", draw))
        stack.enter_context(patch.object(run, "PLOTS", plots))

    return apply


def _relay_forgets(self: Batch, row_id: int, why: str) -> None:
    """A message that nobody took is dropped."""
    self.sent(row_id)


def _claim_without_lease(stack: ExitStack) -> None:
    """Whoever comes takes a task, though another one has it."""
    always = tasks.or_(True)
    stack.enter_context(patch.object(tasks, "_unleased", lambda _table, _now: always))
    stack.enter_context(patch.object(tasks, "_ready_at", lambda table: table.c.due_at))
    for made in (tasks._ahead, tasks._claim):
        made.cache_clear()
        stack.callback(made.cache_clear)


def _epoch_stands_still(stack: ExitStack) -> None:
    """A claim has the same epoch as the one before."""
    real = tasks._lock_fence
    stack.enter_context(patch.object(tasks, "_lock_fence", lambda tx, subject: real(tx, subject) and 0))


def _publish_before_commit(stack: ExitStack) -> None:
    """An event goes out at once, whatever becomes of its transaction."""
    real = Tx._put

    def put(self: Tx, **values: Any) -> None:
        if not values.get("exchange"):
            real(self, **values)
            return
        database = self.database
        assert isinstance(database, SimDatabase)
        database.carrier(Outgoing(values["body"], values["routing_key"], values["exchange"]))

    stack.enter_context(patch.object(Tx, "_put", put))


def _create_blindly(self: Provider, instance: Instance) -> None:
    """A server is made without a look for one that is there."""
    instance.user, instance.addr = self.user, f"sim-{instance.id[:8]}.invalid"
    server = self._struck("create", lambda fault: self._make(instance, fault))
    instance.server = instance.local_id = server.id


def _no_undo(stack: ExitStack) -> None:
    """A failure or a cancel leaves what was made."""
    stack.enter_context(patch.object(Workflow, "to_undo", lambda *_: ()))


def _deleted_unknown_is_forgotten(stack: ExitStack) -> None:
    """A delete that overtakes its create is forgotten."""
    stack.enter_context(patch.object(provisioner_actions, "_remember_deleted", lambda *_: None))


def _job_begins_again(stack: ExitStack) -> None:
    """A job is started without a look for one that runs."""
    real = hosts.SimRunner._start

    def start(self: hosts.SimRunner, name: str, command: Any) -> None:
        self.fleet.host(self.target.addr).running.pop(name, None)
        real(self, name, command)

    stack.enter_context(patch.object(hosts.SimRunner, "_start", start))


def _host_takes_any_epoch(stack: ExitStack) -> None:
    """A host does what an old worker says."""
    # Each fleet is told of its own: an attribute of the class alone would be passed over.
    never = property(lambda _self: False, lambda _self, _value: None)
    stack.enter_context(patch.object(hosts.Fleet, "fenced", never))


def _off_by_hearsay(database: Any, event: Any) -> bool:
    """A server is called off without being switched off."""
    with database.write() as tx:
        if tx.first_seen(event.event_id, "fence_instance"):
            tx.emit(InstanceFenced(instance_id=event.instance_id, cluster_id=event.cluster_id,
                                   operation_id=event.operation_id, server_status="SHUTOFF"))  # fmt: skip
    return True


def _takes_over_at_once(self: Any, context: Any) -> Any:
    """A replica takes over whatever it lacks."""
    takeover, _, _ = self._whom(context)

    def save(tx: Tx) -> None:
        takeover.become(State.TAKING)
        takeovers.save(tx, takeover)
        file_take_over(tx, takeover)

    return Next(save=save)


BREAKS: dict[str, Break] = {
    "no inbox": _put(Tx, "first_seen", lambda *_: True),
    "no epoch": _epoch_stands_still,
    "no lease": _claim_without_lease,
    "lease not renewed": _put(StepEngine, "heartbeat", lambda _self: None),
    "host not fenced": _where(("stop",), _host_takes_any_epoch),
    "publish before commit": _publish_before_commit,
    "acknowledged first": _without_reminders(_put(Broker, "acknowledges_first", True)),
    "unroutable dropped": _without_reminders(_put(Batch, "postponed", _relay_forgets)),
    "create without a look": _where(("cloud", "kill"), _put(Provider, "create", _create_blindly)),
    "no undo": _no_undo,
    "job without a look": _job_begins_again,
    "late delete forgotten": _deleted_unknown_is_forgotten,
    "nobody reminded": _put(reminding, "_silent", lambda _database: []),
    "due said once": _where(("lost",), _put(running, "say_again", lambda _database: 0), 30, ("schedule",)),
    "nobody reconciles": _where(("cloud",), _put(reconciler, "reconcile", lambda *_: [])),
    "nobody sweeps": _where(("cloud",), _put(provisioner_actions, "sweep", lambda *_: [])),
    "off by hearsay": _where((), _put(powering, "fence_instance", _off_by_hearsay), plots=("fail over",)),
    "nobody catches up": _where((), _put(HandOver, "_catch_up", _takes_over_at_once), plots=("switch over",)),
    "key kept": _put(database_actions.catalogue, "forget_key", lambda *_: None),
}

# A seed by which each was noticed once: tried first, for a search takes minutes. `--notice` finds them anew.
NOTICED = {
    "no inbox": 8,
    "no epoch": 3,
    "no lease": 1,
    "lease not renewed": 5,
    "host not fenced": 15,
    "publish before commit": 1,
    "acknowledged first": 42,
    "unroutable dropped": 1,
    "create without a look": 67,
    "no undo": 8,
    "job without a look": 48,
    "late delete forgotten": 18,
    "nobody reminded": 15,
    "due said once": 15,
    "nobody reconciles": 38,
    "nobody sweeps": 35,
    "off by hearsay": 1,
    "nobody catches up": 1,
    "key kept": 1,
}


# Not a break: reminders only bring back what a broker has lost, so without losses nothing may depend on them.
UNREMINDED = "unreminded"
# Nor is this: nothing but restores in place, which are no plot of the others, so that those stay what their seeds have made them.
IN_PLACE = "in place"


@contextmanager
def broken_by(name: str) -> Iterator[None]:
    """Take a safeguard away for a while; an empty name takes none."""
    with ExitStack() as stack:
        if name == UNREMINDED:
            _without_reminders(lambda _stack: None)(stack)
        elif name == IN_PLACE:
            stack.enter_context(patch.object(run, "PLOTS", (RESTORE_PLOT,)))
        elif name:
            BREAKS[name](stack)
        yield
