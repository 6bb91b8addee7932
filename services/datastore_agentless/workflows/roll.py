"""Turns a wish to start, stop or restart a cluster into the same of each of its nodes, one after the other."""

from __future__ import annotations

from dataclasses import dataclass

from services.datastore_agentless.domain.instance import GOING, Instance
from services.datastore_agentless.domain.roll import Action, Roll
from services.datastore_agentless.store import clusters, rolls
from services.datastore_agentless.workflows import serving
from services.datastore_agentless.workflows.nodes_asked import members
from services.datastore_agentless.workflows.on_host import Hosts
from services.datastore_agentless.workflows.rolling import (
    KINDS,
    ROLL,
    advance_for,
    cancelled,
    failed,
    is_turn_of,
    mine,
    through,
)
from services.datastore_agentless.workflows.seen_parameters import learn, see
from services.datastore_agentless.workflows.serving import SERVE_SECONDS
from shared.db import Tx
from shared.errors import Cancelled
from shared.workflow import Next, Outcome, Save, Step, StepContext, Workflow

# Longer than an outage that no operation may fail for.
REACH_SECONDS = 120.0


@dataclass(frozen=True)
class RollNodes:
    """Four workflows: a first look at all nodes, and what becomes of one. The subject is the cluster, or the node."""

    hosts: Hosts

    def workflows(self) -> tuple[Workflow, ...]:
        """All of them. A step that is cancelled in the middle of a restart leaves the engine running."""
        restart = Step("restart", self._restart, undo=self._run_on, deadline=REACH_SECONDS)
        start, stop = (
            Step(name, run, deadline=REACH_SECONDS) for name, run in (("start", self._start), ("stop", self._stop))
        )
        serve = Step("serve", self._serve, deadline=SERVE_SECONDS + REACH_SECONDS)
        return (
            _workflow(ROLL, Step("look", self._look, deadline=REACH_SECONDS)),
            _workflow(KINDS[Action.RESTART], restart, serve),
            _workflow(KINDS[Action.START], start, serve),
            _workflow(KINDS[Action.STOP], stop),
        )

    def _look(self, context: StepContext) -> Outcome:
        """See since when each engine lives, before anything is touched: so each is restarted once, whatever happens."""
        _, nodes = members(self.hosts, context)
        roll = self._roll(context)
        lived = {node.id: serving.lives_since(self.hosts, context, node) for node in roll.of(nodes)}

        def save(tx: Tx) -> None:
            if (held := mine(tx, context.task)) is not None:
                cluster, present = held
                present.lived = lived
                advance_for(tx, context.task, cluster, present)

        return Next(save=save, message=f"{len(lived)} nodes are restarted one after the other")

    def _restart(self, context: StepContext) -> Outcome:
        node, roll = self._node(context), self._roll(context)
        serving.restart(self.hosts, context, node, roll.lived.get(node.id, ""))
        return Next(message=f"{node.name} was restarted")

    def _run_on(self, context: StepContext) -> Outcome:
        """Whoever was stopped in order to be restarted runs; unless it is to go."""
        with self.hosts.database.read() as connection:
            node = clusters.instance(connection, context.task.payload["instance_id"])
        if node.status not in GOING:
            serving.command(self.hosts, context, node, self.hosts.manager(node).start())
        return Next(message=f"{node.name} runs")

    def _start(self, context: StepContext) -> Outcome:
        """Start the engine; a node that is alone also starts with its host from now on."""
        node = self._node(context)
        manager = self.hosts.manager(node)
        serving.command(self.hosts, context, node, manager.start())
        with self.hosts.database.read() as connection:
            there = [one for one in clusters.instances(connection, node.cluster_id) if one.status not in GOING]
        if len(there) == 1:
            self.hosts.run(context, node, manager.at_boot(starts=True))
        return Next(message=f"{node.name} runs")

    def _stop(self, context: StepContext) -> Outcome:
        """Stop the engine; nor does it start with its host any more."""
        node = self._node(context)
        manager = self.hosts.manager(node)
        self.hosts.run(context, node, manager.at_boot(starts=False))
        serving.command(self.hosts, context, node, manager.stop())
        return Next(save=lambda tx: through(tx, context.task), message=f"{node.name} is stopped")

    def _serve(self, context: StepContext) -> Outcome:
        node = self._node(context)
        starts = self._roll(context).action == Action.START
        return serving.serves(
            self.hosts, context, node, lambda lives: done(self.hosts, context, node, lives), thaws=starts
        )

    def _roll(self, context: StepContext) -> Roll:
        with self.hosts.database.read() as connection:
            return rolls.get(connection, context.task.operation_id)

    def _node(self, context: StepContext) -> Instance:
        """Whom the task is about. Raises Cancelled where its turn is over."""
        node = self.hosts.instance(context)
        if not is_turn_of(self._roll(context), context.task):
            raise Cancelled(f"the roll has gone on without {node.name}")
        return node


def done(hosts: Hosts, context: StepContext, node: Instance, lives: str) -> Save:
    """A node serves: what waited for a restart is seen to have it behind it, and the next one's turn comes."""
    learned, seen = learn(hosts, node), see(hosts, context, node)

    def save(tx: Tx) -> None:
        learned(tx)
        seen(tx)
        through(tx, context.task, lives)

    return save


def _workflow(name: str, *steps: Step) -> Workflow:
    return Workflow(name, steps, on_failure=failed, on_cancelled=cancelled)
