"""Turns a node in a roll into one whose server is of another flavor: its engine stops, the provider changes the server, the engine
starts with what that memory is worth.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.datastore_agentless.domain.instance import GOING, Instance
from services.datastore_agentless.domain.resize import Resize, smaller
from services.datastore_agentless.domain.roll import Action
from services.datastore_agentless.hosts import volumes
from services.datastore_agentless.store import clusters, resizes, rolls
from services.datastore_agentless.workflows import serving
from services.datastore_agentless.workflows.on_host import Hosts
from services.datastore_agentless.workflows.resizing import refuse, superseded
from services.datastore_agentless.workflows.roll import REACH_SECONDS, done
from services.datastore_agentless.workflows.rolling import KINDS, cancelled, failed, is_turn_of, mine
from services.datastore_agentless.workflows.serving import SERVE_SECONDS
from shared.contracts.datastore_agentless import NodeResizeRequested
from shared.contracts.values import Flavor
from shared.db import Tx
from shared.errors import Cancelled
from shared.workflow import Next, Outcome, Step, StepContext, Wait, Workflow

LOOK_SECONDS = 0.5
# The provider gives up before; a server that comes up again takes what it takes.
ANSWER_SECONDS, UP_SECONDS = 3000.0, 600.0


@dataclass(frozen=True)
class ResizeNode:
    """The steps; the task's subject is the node. Whatever fails or is cancelled, the engine runs afterwards."""

    hosts: Hosts

    def workflow(self) -> Workflow:
        """Steps in order. A server that is what it is to be is spared, and only has to serve."""
        steps = (
            Step("stop", self._stop, undo=self._run_on, deadline=REACH_SECONDS),
            Step("resize", self._resize, deadline=ANSWER_SECONDS),
            Step("start", self._start, deadline=UP_SECONDS, backoff_cap=5),
            Step("serve", self._serve, deadline=SERVE_SECONDS + REACH_SECONDS),
        )
        return Workflow(KINDS[Action.RESIZE], steps, on_failure=failed, on_cancelled=cancelled, undo_on_failure=True)

    def _stop(self, context: StepContext) -> Outcome:
        """Stop the engine, which then starts on either server, and ask for the other one."""
        node, resize, flavor = self._whom(context)
        if flavor is None:
            return Next(message=f"{node.name} has its size already")
        manager = self.hosts.manager(node)
        self.hosts.run(context, node, manager.write_configuration(smaller(node, flavor)))
        serving.command(self.hosts, context, node, manager.stop())

        def save(tx: Tx) -> None:
            held, present = mine(tx, context.task), resizes.find(tx.connection, resize.operation_id)
            if held is not None and present is not None:
                present.servers[node.id] = {}
                resizes.save(tx, present)
                tx.emit(NodeResizeRequested(instance_id=node.id, cluster_id=node.cluster_id, flavor=flavor,
                                            project_id=held[0].project_id, operation_id=resize.operation_id))  # fmt: skip

        return Next(save=save, message=f"{node.name} is stopped, to become a {flavor.name}")

    def _resize(self, context: StepContext) -> Outcome:
        """Wait for the provider. Raises Failure with its words where it cannot."""
        node, resize, flavor = self._whom(context)
        if flavor is None:
            return Next()
        answer = resize.servers.get(node.id, {})
        refuse(f"{node.name} does not become a {flavor.name}", answer)
        if "message" not in answer:
            return Wait(LOOK_SECONDS, f"the provider makes {node.name} a {flavor.name}")
        return Next(message=f"{node.name} is a {flavor.name}")

    def _start(self, context: StepContext) -> Outcome:
        """Start the engine with what its memory is worth by now, on a server that may have been started anew."""
        node, _, flavor = self._whom(context)
        if flavor is None:
            return Next()
        manager = self.hosts.manager(node)
        if node.volume_device:
            self.hosts.run(context, node, volumes.mount(node.volume_device, node.data_dir))
        self.hosts.run(context, node, manager.write_configuration(node))
        serving.command(self.hosts, context, node, manager.restart())
        return Next(message=f"{node.name} runs")

    def _serve(self, context: StepContext) -> Outcome:
        node, _, _ = self._whom(context)
        return serving.serves(self.hosts, context, node, lambda lives: done(self.hosts, context, node, lives))

    def _run_on(self, context: StepContext) -> Outcome:
        """Whoever was stopped in order to be resized runs, unless it is to go: with what its server is worth where the provider has
        said so, otherwise with what either server could carry.
        """
        with self.hosts.database.read() as connection:
            node = clusters.instance(connection, context.task.payload["instance_id"])
            resize = resizes.find(connection, context.task.operation_id)
        if node.status in GOING:
            return Next(message=f"{node.name} is {node.status}")
        manager = self.hosts.manager(node)
        if node.volume_device:
            self.hosts.run(context, node, volumes.mount(node.volume_device, node.data_dir))
        if resize is not None and "message" in resize.servers.get(node.id, {}):
            self.hosts.run(context, node, manager.write_configuration(node))
        serving.command(self.hosts, context, node, manager.start())
        return Next(message=f"{node.name} runs")

    def _whom(self, context: StepContext) -> tuple[Instance, Resize, Flavor | None]:
        """Whom the task is about, and what its server is to be, None for what it is.

        Raises Cancelled where its turn is over, Failure where another size is wanted by now.
        """
        node = self.hosts.instance(context)
        with self.hosts.database.read() as connection:
            roll = rolls.get(connection, context.task.operation_id)
            resize = resizes.find(connection, context.task.operation_id)
        if not is_turn_of(roll, context.task):
            raise Cancelled(f"the roll has gone on without {node.name}")
        if resize is None:
            raise superseded()
        return node, resize, None if resize.spares(node) else resize.flavor
