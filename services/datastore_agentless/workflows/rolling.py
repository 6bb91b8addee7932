"""How a roll goes on from node to node, and how it ends: each node's end files the next one's beginning, in one transaction.

So there is one open task of it at any time, and whoever is killed between two nodes finds it.
"""

from __future__ import annotations

from typing import Any

from services.datastore_agentless.domain.cluster import GOING, Cluster
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.instance import Instance, Status
from services.datastore_agentless.domain.roll import BACK, INTERRUPTING, Action, Roll, State
from services.datastore_agentless.domain.takeover import Kind
from services.datastore_agentless.store import clusters, resizes, rolls, takeovers
from services.datastore_agentless.workflows.beginning import begin
from services.datastore_agentless.workflows.leading import lead
from shared.contracts.base import dump, load
from shared.contracts.datastore_agentless import ClusterResized, ClusterRestarted, ClusterStarted, ClusterStopped
from shared.contracts.operations import OperationEnded
from shared.contracts.values import Problem
from shared.db import Tx, tasks
from shared.errors import Failure
from shared.workflow import Task, TaskDraft, task_id

ROLL = "roll"
KINDS = {Action.START: "roll_start", Action.STOP: "roll_stop", Action.RESTART: "roll_restart",
         Action.RESIZE: "roll_resize"}  # fmt: skip


def file_roll(tx: Tx, cluster: Cluster, operation_id: str, action: Action, *, only_id: str = "") -> None:
    """Begin a roll of a cluster whose row is held, of all of its nodes or of one; the operation ends with it.

    Of a restart the replicas come first, then one of them takes over, then the former primary is restarted: a roll stops at
    the first node that does not come up. Where it cannot begin the operation ends with the reason.
    """
    roll = Roll(operation_id=operation_id, cluster_id=cluster.id, wanted=action, action=action, only_id=only_id)
    if rolls.add(tx, roll):
        _begin(tx, cluster, roll)


def resume(tx: Tx, cluster: Cluster | None, operation_id: str) -> bool:
    """Have a roll that has failed go on, its cluster's row being held; true where its failed tasks are to be tried again.

    They are not where it begins anew, for it was taken back, nor where it cannot go on: then the reason is announced.
    """
    roll = rolls.find(tx.connection, operation_id)
    if roll is None or cluster is None or roll.state == State.OPEN:
        return True
    taken_back = roll.action != roll.wanted
    begun = roll.turn > 0 and not taken_back
    roll.begin_again()
    return _begin(tx, cluster, roll, begun=begun) and not taken_back


def goes_on(tx: Tx, operation_id: str, status: str) -> bool:
    """A takeover has come to its end; true where a roll goes on after it, and its operation with it."""
    roll = rolls.find(tx.connection, operation_id)
    if roll is None or roll.state != State.OPEN:
        return False
    cluster = clusters.lock(tx, roll.cluster_id)
    if status != "succeeded" or cluster is None or cluster.status in GOING:
        roll.state = State.ENDED
        rolls.save(tx, roll)
        return False
    advance(tx, cluster, roll)
    return True


def mine(tx: Tx, task: Task) -> tuple[Cluster, Roll] | None:
    """The cluster, whose row is held from now on, and the roll that a task works for; None where its turn is over."""
    cluster = clusters.lock(tx, task.cluster_id)
    roll = rolls.find(tx.connection, task.operation_id)
    if cluster is None or roll is None or not is_turn_of(roll, task):
        return None
    return cluster, roll


def is_turn_of(roll: Roll, task: Task) -> bool:
    """Whether a roll still waits for this task."""
    return roll.state == State.OPEN and roll.turn == task.payload["turn"]


def through(tx: Tx, task: Task, lives: str = "") -> None:
    """A node is done with: on to the next."""
    if (held := mine(tx, task)) is not None:
        cluster, roll = held
        roll.lives[roll.in_hand] = lives
        roll.done_ids.append(roll.in_hand)
        advance_for(tx, task, cluster, roll)


def advance_for(tx: Tx, task: Task, cluster: Cluster, roll: Roll) -> None:
    """Go on after a task, unless the user has just cancelled: whoever cancels holds the cluster's row as well."""
    if tasks.to_stop(tx.connection, tx.database, [task.id]):
        take_back(tx, cluster, roll, "cancelled", None)
    else:
        advance(tx, cluster, roll)


def take_back(tx: Tx, cluster: Cluster, roll: Roll, status: str, problem: Problem | None) -> None:
    """Undo what can be undone of a roll, then end it like this; what was restarted serves, and stays so."""
    if cluster.status in GOING or roll.action not in BACK:
        _end(tx, roll)
        _tell(tx, roll, status, problem)
        return
    roll.turn_back(status, dump(problem) if problem else None)
    advance(tx, cluster, roll)


def failed(tx: Tx, task: Task, problem: Problem) -> None:
    """A node does not do what it should."""
    if (held := mine(tx, task)) is None:
        return
    cluster, roll = held
    if roll.ending:
        _leave_behind(roll, problem)
        advance(tx, cluster, roll)
    elif roll.action == Action.STOP:
        take_back(tx, cluster, roll, "failed", problem)
    elif roll.action == Action.START and any(map(cluster.leads, roll.done_ids)) and cluster.status not in GOING:
        # The primary serves, and so does the cluster: the watch sees to the others.
        _end(tx, roll)
        _serve(tx, cluster, roll)
        tx.emit(ClusterStarted(cluster_id=cluster.id, operation_id=roll.operation_id, problem=problem,
                               result=_result(tx, roll)))  # fmt: skip
    else:
        _end(tx, roll)
        _tell(tx, roll, "failed", problem)


def cancelled(tx: Tx, task: Task) -> None:
    """The user wants it to stop, or the cluster goes; what is being undone is undone all the same."""
    if (held := mine(tx, task)) is None:
        return
    cluster, roll = held
    if roll.ending and cluster.status not in GOING:
        advance(tx, cluster, roll)
    else:
        take_back(tx, cluster, roll, "cancelled", None)


def advance(tx: Tx, cluster: Cluster, roll: Roll) -> None:
    """Take the next node in hand, or end. Raises Failure where the primary cannot be handed over."""
    nodes = clusters.instances(tx.connection, cluster.id)
    node = roll.following(cluster, nodes)
    if node is None:
        _finish(tx, cluster, roll)
    elif _hands_over_first(tx, cluster, roll, node, nodes):
        roll.in_hand = ""
        rolls.save(tx, roll)
        trouble = begin(tx, cluster, roll.operation_id, Kind.SWITCHOVER)
        if trouble is not None:
            raise Failure(trouble.message, what_to_do=trouble.what_to_do)
    else:
        roll.in_hand, roll.turn = node.id, roll.turn + 1
        rolls.save(tx, roll)
        tx.file(TaskDraft(
            id=task_id(KINDS[roll.action], roll.operation_id, str(roll.turn)), kind=KINDS[roll.action], subject=node.id,
            cluster_id=cluster.id, operation_id=roll.operation_id, host=node.name,
            payload={"instance_id": node.id, "turn": roll.turn},
        ))  # fmt: skip


def _begin(tx: Tx, cluster: Cluster, roll: Roll, *, begun: bool = False) -> bool:
    """Begin a roll, or let one go on whose task is there (`begun`); false, and the reason is announced, where it cannot."""
    trouble = _objection(tx, cluster, roll, begun=begun)
    if trouble is not None:
        _end(tx, roll)
        _tell(tx, roll, "failed", trouble)
        return False
    rolls.save(tx, roll)
    if roll.action == Action.STOP:
        cluster.become(ClusterStatus.STOPPED)
        clusters.save_cluster(tx, cluster)
    if begun:
        return True
    if roll.action == Action.RESTART:
        tx.file(TaskDraft(id=task_id(ROLL, roll.operation_id), kind=ROLL, subject=cluster.id, cluster_id=cluster.id,
                          operation_id=roll.operation_id, payload={"turn": roll.turn}))  # fmt: skip
    else:
        advance(tx, cluster, roll)
    return True


def _objection(tx: Tx, cluster: Cluster, roll: Roll, *, begun: bool) -> Problem | None:
    """What speaks against it."""
    wanted = (ClusterStatus.STOPPED,) if roll.action == Action.START else (ClusterStatus.ACTIVE,)
    if cluster.status not in wanted and not (begun and cluster.status == ClusterStatus.ACTIVE):
        return Problem(
            step="begin", message=f"the cluster is {cluster.status}", what_to_do=f"wait until it is {wanted[0]}"
        )
    moving = takeovers.under_way(tx.connection, cluster.id)
    if moving is not None and moving.operation_id != roll.operation_id:
        return Problem(step="begin", message="another node is about to become the primary",
                       what_to_do=f"wait for the end of operation {moving.operation_id}, or retry it")  # fmt: skip
    nodes = clusters.instances(tx.connection, cluster.id)
    apart = [node.name for node in nodes if node.status == Status.APART]
    if apart and roll.action in (Action.STOP, Action.RESIZE):
        return Problem(step="begin", message=f"{' and '.join(apart)} is apart, or on its way back",
                       what_to_do=f"wait until it follows, or remove it, then {roll.wanted} the cluster")  # fmt: skip
    if not roll.of(nodes):
        return Problem(step="begin", message="there is no such node that serves", what_to_do="wait until it does")
    return None


def _hands_over_first(tx: Tx, cluster: Cluster, roll: Roll, node: Instance, nodes: list[Instance]) -> bool:
    """Whether somebody else is to take over before a node is restarted or resized: once in a roll, where there is somebody."""
    several = not roll.only_id and len(roll.of(nodes)) > 1
    leads = roll.action in INTERRUPTING and cluster.leads(node.id)
    resize = resizes.find(tx.connection, roll.operation_id)
    spared = resize is not None and resize.spares(node)
    return several and leads and not spared and takeovers.find(tx.connection, roll.operation_id) is None


def _finish(tx: Tx, cluster: Cluster, roll: Roll) -> None:
    """All nodes are through."""
    _end(tx, roll)
    if roll.action == Action.START:
        _serve(tx, cluster, roll)
    if roll.ending:
        problem = roll.ending["problem"]
        _tell(tx, roll, roll.ending["status"], load(Problem, problem) if problem else None)
        return
    if roll.action == Action.RESIZE:
        _resized(tx, cluster, roll)
        return
    ended = {Action.START: ClusterStarted, Action.STOP: ClusterStopped, Action.RESTART: ClusterRestarted}[roll.action]
    tx.emit(ended(cluster_id=cluster.id, operation_id=roll.operation_id, result=_result(tx, roll)))


def _resized(tx: Tx, cluster: Cluster, roll: Roll) -> None:
    """All servers are what was wanted: from now on so are new ones."""
    resize = resizes.find(tx.connection, roll.operation_id)
    if resize is not None and resize.flavor is not None:
        cluster.ram_mb, cluster.vcpus = resize.flavor.ram_mb, resize.flavor.vcpus
        clusters.save_cluster(tx, cluster)
        lead(tx, cluster, roll.operation_id)
        tx.emit(ClusterResized(cluster_id=cluster.id, operation_id=roll.operation_id, volume_gb=resize.volume_gb,
                               flavor=resize.flavor, result=_result(tx, roll)))  # fmt: skip


def _serve(tx: Tx, cluster: Cluster, roll: Roll) -> None:
    cluster.become(ClusterStatus.ACTIVE)
    clusters.save_cluster(tx, cluster)
    lead(tx, cluster, roll.operation_id)


def _end(tx: Tx, roll: Roll) -> None:
    roll.state = State.ENDED
    rolls.save(tx, roll)


def _leave_behind(roll: Roll, problem: Problem) -> None:
    """A node that is not brought back to what it was is passed over; the user is told."""
    kept = roll.ending["problem"] or dump(problem)
    roll.ending["problem"] = {**kept, "message": f"{kept['message']}; left behind: {problem.message}"}
    roll.done_ids.append(roll.in_hand)


def _tell(tx: Tx, roll: Roll, status: str, problem: Problem | None) -> None:
    tx.emit(OperationEnded(operation_id=roll.operation_id, cluster_id=roll.cluster_id, status=status, problem=problem,
                           result=_result(tx, roll)))  # fmt: skip


def _result(tx: Tx, roll: Roll) -> dict[str, Any]:
    """Since when each node's engine lived before and lives now; and how another one became the primary, where one did."""
    names = {node.id: node.name for node in clusters.instances(tx.connection, roll.cluster_id)}
    nodes = [{"id": one, "name": names.get(one, ""), "lived": roll.lived.get(one, ""), "lives": roll.lives.get(one, "")}
             for one in roll.done_ids]  # fmt: skip
    takeover = takeovers.find(tx.connection, roll.operation_id)
    found: dict[str, Any] = {"nodes": nodes}
    if takeover is not None:
        found |= {"primary": {"id": takeover.chosen_id, "name": names.get(takeover.chosen_id, "")},
                  "former": takeover.former_id, "evidence": takeover.evidence}  # fmt: skip
    return found
