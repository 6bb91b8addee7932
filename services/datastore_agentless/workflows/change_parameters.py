"""Turns a wish for other parameters into engines that run with them, a replica before all others, or into the old ones again.

Each node is brought to the wanted set from whatever it has: its file is written, its engine takes what it can while it runs,
and is asked what it made of it. So a second run changes nothing, and one that was broken off goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import cast

from services.datastore_agentless.datastores.base.parameters import Definitions, Parameters
from services.datastore_agentless.domain.cluster import GOING, Cluster
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.domain.parameters import State, Version
from services.datastore_agentless.hosts.base import CommandFailed, HostUnreachable, Script
from services.datastore_agentless.store import clusters, parameters, takeovers
from services.datastore_agentless.workflows import serving
from services.datastore_agentless.workflows.nodes_asked import members
from services.datastore_agentless.workflows.on_host import Hosts
from shared.contracts.operations import OperationEnded
from shared.contracts.parameters import RESTART, NodeParameters, moved
from shared.contracts.values import Problem
from shared.db import Tx
from shared.errors import Failure
from shared.workflow import Next, Outcome, Step, StepContext, Task, TaskDraft, Wait, Workflow, task_id

CHANGE = "change_parameters"
LOOK_SECONDS = 0.5
# A host that cannot be reached is waited for so long; engines that are restarted take what they take.
TRY_SECONDS, SPREAD_SECONDS = 600.0, 3600.0


@dataclass(frozen=True)
class Setting:
    """What a task is to bring about: a version, over what is there, on these nodes in this order; `back` where it is what was."""

    version: Version
    cluster: Cluster
    nodes: Sequence[Instance]
    known: Definitions
    names: frozenset[str]
    back: bool = False

    def wanted(self, node: Instance) -> Instance:
        """A node with what is wanted."""
        return replace(node, parameters=self.version.wanted)


@dataclass(frozen=True)
class ChangeParameters:
    """The steps; the task's subject is the cluster."""

    hosts: Hosts

    def workflow(self) -> Workflow:
        """Steps in order. What fails anywhere is taken back everywhere."""
        steps = (
            Step("check", self._check, deadline=TRY_SECONDS, backoff_cap=2),
            Step("try", self._try, undo=self._revert, deadline=TRY_SECONDS, backoff_cap=5),
            Step("spread", self._spread, deadline=SPREAD_SECONDS, backoff_cap=5),
        )
        return Workflow(CHANGE, steps, on_failure=_failed, on_cancelled=_cancelled, undo_on_failure=True)

    def _check(self, context: StepContext) -> Outcome:
        """See that all is known that is to be set, before anything is touched."""
        with self.hosts.database.read() as connection:
            moving = takeovers.under_way(connection, context.task.cluster_id)
        if moving is not None:
            return Wait(LOOK_SECONDS, "another node is about to become the primary")
        setting = self._setting(context)
        strange = sorted(set(setting.version.wanted) - set(setting.known))
        if strange or not setting.nodes:
            what = f"nothing is known of {', '.join(strange)}" if strange else "no node of it is ready"
            raise Failure(f"the parameters of {setting.cluster.name} are not changed: {what}",
                          what_to_do="correct them, or wait until the cluster is well")  # fmt: skip
        # One that failed before is wanted again.
        return Next(save=lambda tx: parameters.become(tx, setting.version, State.WANTED))

    def _try(self, context: StepContext) -> Outcome:
        """One node first: a replica, where there is one."""
        setting = self._setting(context)
        first = setting.nodes[0]
        lacks = self._bring(context, setting, first)[1]
        return Wait(LOOK_SECONDS, lacks) if lacks else Next(message=f"{first.name} runs with them")

    def _spread(self, context: StepContext) -> Outcome:
        """All the others, the primary last; the first has it already, and is asked again."""
        setting, nodes = self._setting(context), list[NodeParameters]()
        for node in setting.nodes:
            seen, lacks = self._bring(context, setting, node)
            if lacks:
                return Wait(LOOK_SECONDS, lacks)
            nodes.append(seen)
        waiting = sorted({name for one in nodes for name, state in one.states.items() if state == RESTART})
        words = f"{', '.join(waiting)} wait for a restart" if waiting else "all nodes run with them"
        return Next(save=lambda tx: _succeed(tx, setting, nodes), message=words)

    def _revert(self, context: StepContext) -> Outcome:
        """Bring every node back to what it had; all that can be reached, before one that cannot is waited for."""
        setting, trouble = self._setting(context, back=True), list[HostUnreachable | Failure]()
        for node in setting.nodes if setting.cluster.status not in GOING else ():
            try:
                self._bring(context, setting, node)
            except (HostUnreachable, Failure) as error:
                trouble.append(error)
        if trouble:
            raise trouble[0]
        return Next(message="all nodes run with what they had")

    def _bring(self, context: StepContext, setting: Setting, node: Instance) -> tuple[NodeParameters, str]:
        """Have a node run with what is wanted; returns what it says, and what it lacks yet to serve."""
        wanted, port, now = setting.wanted(node), self._port(node), setting.version.restart_now
        if setting.back:
            # Whatever state the way there was broken off in: from here on it starts with what it had.
            self.hosts.run(context, node, self.hosts.manager(node).write_configuration(wanted))
        if now:
            self._hold(setting, node.id)
            # A restart may have been broken off in its middle.
            self._start(context, node, again=False)
        seen = self._run(context, node, port.change(wanted, setting.names, setting.known))
        if now and RESTART in seen.states.values():
            context.report(f"restarting {node.name}")
            self._start(context, node, again=True)
            seen = self._run(context, node, port.see(wanted, setting.names, setting.known))
        lack = serving.lacks(self.hosts, context, node) if now else serving.SERVES
        if now and lack == serving.SERVES:
            self._hold(setting, "")
        return seen, lack and f"{node.name} does not serve yet: {lack}"

    def _start(self, context: StepContext, node: Instance, *, again: bool) -> None:
        """Start a node's engine, or restart it. One that does not start gets back the file that it ran with. Raises Failure."""
        manager = self.hosts.manager(node)
        try:
            serving.command(self.hosts, context, node, manager.restart() if again else manager.start())
        except CommandFailed as error:
            self.hosts.run(context, node, manager.write_configuration(node))
            serving.command(self.hosts, context, node, manager.start())
            raise Failure(f"{node.name} does not start with these parameters: it runs with the old ones again",
                          command=error.command, stderr=error.stderr,
                          what_to_do="correct what its log complains of") from error  # fmt: skip

    def _hold(self, setting: Setting, instance_id: str) -> None:
        """Have the watch let a node be whose engine is restarted."""
        with self.hosts.database.write() as tx:
            parameters.hold(tx, setting.version, instance_id)

    def _run(self, context: StepContext, node: Instance, script: Script) -> NodeParameters:
        return cast("NodeParameters", self.hosts.run(context, node, script))

    def _port(self, node: Instance) -> Parameters:
        """Raises Failure where nobody changes the datastore's parameters."""
        manager = self.hosts.manager(node)
        if manager.parameters is None:
            raise Failure(f"the parameters of {manager.datastore.name} cannot be changed here",
                          what_to_do="set them when the datastore is registered")  # fmt: skip
        return manager.parameters

    def _setting(self, context: StepContext, *, back: bool = False) -> Setting:
        """What is to be brought about; with `back` what was there before."""
        with self.hosts.database.read() as connection:
            cluster = clusters.cluster(connection, context.task.cluster_id)
            version = parameters.version(connection, context.task.operation_id)
            known = parameters.definitions(connection, cluster.datastore_id)
            names = parameters.ever_set(connection, cluster.id)
        if cluster.status not in GOING or not back:
            cluster, nodes = members(self.hosts, context)
        else:
            nodes = []
        target = replace(version, wanted=cluster.parameters) if back else version
        before = version.wanted if back else cluster.parameters
        ordered = in_order(cluster, nodes, primary_first=lowers(known, before, target.wanted))
        return Setting(target, cluster, ordered, known, frozenset(names), back)


def lowers(known: Definitions, before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    """Whether replicas would get less of something than their primary has, were they first."""
    return any(moved(one, before, after) < 0 for one in known.values() if one.standby)


def in_order(cluster: Cluster, nodes: Iterable[Instance], *, primary_first: bool) -> list[Instance]:
    """The replicas by name and the primary last, or first."""
    return sorted(nodes, key=lambda node: (cluster.leads(node.id) != primary_first, node.name))


def file_change(tx: Tx, version: Version) -> None:
    """File the work, once."""
    draft = TaskDraft(id=task_id(CHANGE, version.operation_id), kind=CHANGE, subject=version.cluster_id,
                      cluster_id=version.cluster_id, operation_id=version.operation_id)  # fmt: skip
    tx.file(draft)


def _succeed(tx: Tx, setting: Setting, nodes: Sequence[NodeParameters]) -> None:
    cluster = clusters.lock(tx, setting.cluster.id)
    if cluster is None:
        return
    cluster.parameters = setting.version.wanted
    clusters.save_cluster(tx, cluster)
    parameters.become(tx, setting.version, State.APPLIED)
    result = {"version": setting.version.version, "nodes": [asdict(one) for one in nodes]}
    tx.emit(OperationEnded(operation_id=setting.version.operation_id, cluster_id=cluster.id, status="succeeded",
                           result=result))  # fmt: skip


def _failed(tx: Tx, task: Task, problem: Problem) -> None:
    _end(tx, task, "failed", problem)


def _cancelled(tx: Tx, task: Task) -> None:
    _end(tx, task, "cancelled")


def _end(tx: Tx, task: Task, status: str, problem: Problem | None = None) -> None:
    version = parameters.find(tx.connection, task.operation_id)
    if version is None:
        # It has gone with its cluster.
        return
    parameters.become(tx, version, State.FAILED)
    tx.emit(OperationEnded(operation_id=task.operation_id, cluster_id=task.cluster_id, status=status, problem=problem,
                           result={"version": version.version}))  # fmt: skip
