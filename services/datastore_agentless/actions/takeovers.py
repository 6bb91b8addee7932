"""Takeovers from the wish to the end, as the bus tells of them; see workflows.hand_over, fail_over and take_over."""

from __future__ import annotations

from services.datastore_agentless.actions import addresses
from services.datastore_agentless.domain.cluster import GOING
from services.datastore_agentless.domain.instance import Instance, Status
from services.datastore_agentless.domain.takeover import Kind, State
from services.datastore_agentless.store import clusters, takeovers
from services.datastore_agentless.workflows.beginning import begin
from services.datastore_agentless.workflows.ending import announce_failed
from services.datastore_agentless.workflows.returning import file_rejoin, give_up, rejoin_id
from services.datastore_agentless.workflows.take_over import TAKE_OVER, end, file_take_over
from shared.contracts.api import FailoverChosen, FailoverRequested, SwitchoverRequested
from shared.contracts.datastore_agentless import NodeFenceRequested, NodePowerRequested
from shared.contracts.operations import OperationEnded
from shared.contracts.provisioner import InstanceFenced, InstancePowered, InstancePowerFailed
from shared.db import Database, Tx, tasks
from shared.workflow import task_id


def request_switchover(database: Database, event: SwitchoverRequested) -> bool:
    """Begin a switchover; false while the cluster is still unknown here."""
    return _request(database, event, Kind.SWITCHOVER)


def request_failover(database: Database, event: FailoverRequested) -> bool:
    """Begin a failover that a user has asked for; false while the cluster is still unknown here."""
    return _request(database, event, Kind.FAILOVER, accept_loss=event.accept_loss)


def _request(
    database: Database, event: SwitchoverRequested | FailoverRequested, kind: Kind, *, accept_loss: bool = False
) -> bool:
    with database.write() as tx:
        cluster = clusters.lock(tx, event.cluster_id)
        if cluster is None:
            return False
        if tx.first_seen(event.event_id, f"request_{kind}"):
            trouble = begin(tx, cluster, event.operation_id, kind, wanted_id=event.instance_id, accept_loss=accept_loss)
            if trouble is not None:
                tx.emit(OperationEnded(operation_id=event.operation_id, cluster_id=cluster.id, status="failed",
                                       problem=trouble))  # fmt: skip
        return True


def take_over(database: Database, event: InstanceFenced) -> None:
    """The old primary's server is off: now another one may take writes."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "take_over"):
            return
        clusters.lock(tx, event.cluster_id)
        entry = takeovers.find(tx.connection, event.operation_id)
        if entry is None or entry.state != State.FENCING:
            return
        entry.evidence["fence"] = {"instance": event.instance_id, "provider": event.server_status}
        entry.become(State.TAKING)
        takeovers.save(tx, entry)
        file_take_over(tx, entry)


def take_back(database: Database, event: InstancePowered) -> None:
    """A server that was switched off runs again: its database is brought back as a replica."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "take_back"):
            return
        cluster = clusters.lock(tx, event.cluster_id)
        node = clusters.find_instance(tx.connection, event.instance_id)
        if cluster is None or cluster.status in GOING or node is None:
            return
        if node.status != Status.APART or node.operation_id != event.operation_id:
            return
        node.addr, node.reach = event.addr or node.addr, event.reach
        clusters.save_instance(tx, node)
        file_rejoin(tx, node)


def power_failed(database: Database, event: InstancePowerFailed) -> None:
    """A server could not be switched off, so that nothing is promoted; or not on again, so that it stays away."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "power_failed"):
            return
        cluster = clusters.lock(tx, event.cluster_id)
        entry = takeovers.find(tx.connection, event.operation_id)
        if entry is not None and entry.state == State.FENCING:
            end(tx, entry, "failed", event.problem)
        elif entry is None and cluster is not None:
            announce_failed(tx, cluster, event.operation_id, event.problem)


def choose_policy(database: Database, event: FailoverChosen) -> bool:
    """Keep who decides over a cluster's failovers; false while the cluster is still unknown here."""
    with database.write() as tx:
        cluster = clusters.lock(tx, event.cluster_id)
        if cluster is None:
            return False
        if (
            tx.first_seen(event.event_id, "choose_policy")
            and (cluster.failover_at or event.occurred_at) <= event.occurred_at
        ):
            cluster.failover, cluster.failover_at = event.failover, event.occurred_at
            clusters.save_cluster(tx, cluster)
        return True


def past_return(tx: Tx, operation_id: str) -> bool:
    """Whether an operation is a takeover that cannot be undone any more: the old primary is about to be off, or is."""
    entry = takeovers.find(tx.connection, operation_id)
    return entry is not None and entry.state in (State.FENCING, State.TAKING)


def resume(tx: Tx, operation_id: str) -> None:
    """A takeover that failed goes on from where it did; so does the return of a node whose server was not switched on."""
    entry = takeovers.find(tx.connection, operation_id)
    if entry is None:
        _switch_on_again(tx, operation_id)
        return
    # Of a roll that went on after it, it has succeeded.
    if entry.state != State.ENDED or "rewire" in entry.evidence:
        addresses.ask_again(tx, entry)
        return
    if tasks.get(tx.connection, tx.database, task_id(TAKE_OVER, operation_id)) is not None:
        entry.become(State.TAKING)
    elif "prove" in entry.evidence:
        entry.become(State.FENCING)
        cluster = clusters.cluster(tx.connection, entry.cluster_id)
        tx.emit(NodeFenceRequested(instance_id=entry.former_id, cluster_id=cluster.id, operation_id=operation_id,
                                   project_id=cluster.project_id))  # fmt: skip
    else:
        entry.become(State.PROVING)
    takeovers.save(tx, entry)


def give_up_returns(tx: Tx, operation_id: str) -> None:
    """A node whose return is cancelled before its server runs is not waited for any more: there is no work yet to stop."""
    for node in _waiting_for_power(tx, operation_id):
        give_up(tx, node.cluster_id, operation_id, node.name)
        node.operation_id = ""
        clusters.save_instance(tx, node)


def _switch_on_again(tx: Tx, operation_id: str) -> None:
    for node in _waiting_for_power(tx, operation_id):
        cluster = clusters.cluster(tx.connection, node.cluster_id)
        tx.emit(NodePowerRequested(instance_id=node.id, cluster_id=cluster.id, operation_id=operation_id,
                                   project_id=cluster.project_id))  # fmt: skip


def _waiting_for_power(tx: Tx, operation_id: str) -> list[Instance]:
    returning = clusters.instances_of_operation(tx.connection, operation_id)
    return [node for node in returning if node.status == Status.APART
            and tasks.get(tx.connection, tx.database, rejoin_id(node)) is None]  # fmt: skip
