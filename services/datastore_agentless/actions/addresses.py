"""Where clusters' own addresses lead, as the provisioner tells; see workflows.leading."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.domain.cluster import GOING, Cluster
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Status
from services.datastore_agentless.domain.takeover import State, Takeover
from services.datastore_agentless.store import catalogue, clusters, takeovers, transcripts
from services.datastore_agentless.workflows.ending import announce_failed, serve_when_whole
from services.datastore_agentless.workflows.leading import lead
from services.datastore_agentless.workflows.take_over import ADDRESS
from shared.contracts.base import dump
from shared.contracts.datastore_agentless import TranscriptRecorded
from shared.contracts.provisioner import AddressMoved, AddressMoveFailed
from shared.contracts.values import TranscriptEntry
from shared.db import Database, Tx

ManagerFor = Callable[[Datastore], BaseManager]


def address_moved(database: Database, event: AddressMoved, manager_for: ManagerFor) -> None:
    """Keep where it leads; a cluster that waited only for this serves."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "address_moved"):
            return
        cluster = clusters.lock(tx, event.cluster_id)
        if cluster is None or cluster.status in GOING:
            return
        cluster.addr_leads_to = event.instance_id
        clusters.save_cluster(tx, cluster)
        if event.operation_id:
            _record(tx, event)
        # It may be FAILED still: the wish to try again has then not come yet, and changes nothing when it does.
        if cluster.status in (ClusterStatus.EXPECTED, ClusterStatus.FAILED):
            manager = manager_for(catalogue.datastore(tx.connection, cluster.datastore_id))
            serve_when_whole(tx, event.operation_id or cluster.operation_id, cluster, manager)


def address_move_failed(database: Database, event: AddressMoveFailed) -> None:
    """A takeover that waits for it ends with this, and so does the making of a cluster."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "address_move_failed"):
            return
        cluster = clusters.lock(tx, event.cluster_id)
        entry = takeovers.find(tx.connection, event.operation_id)
        if entry is not None:
            entry.evidence[ADDRESS] = {"problem": dump(event.problem)}
            takeovers.save(tx, entry)
        elif cluster is not None and cluster.status == ClusterStatus.EXPECTED:
            announce_failed(tx, cluster, event.operation_id, event.problem)


def ask_again(tx: Tx, entry: Takeover) -> None:
    """A takeover that failed for want of the address alone goes on."""
    if entry.state != State.ENDED or "problem" not in entry.evidence.get(ADDRESS, {}):
        return
    del entry.evidence[ADDRESS]
    takeovers.save(tx, entry)
    cluster = clusters.lock(tx, entry.cluster_id)
    if cluster is not None:
        lead(tx, cluster, entry.operation_id)


def ask_for_a_new_cluster(tx: Tx, cluster: Cluster, operation_id: str) -> None:
    """The making of a cluster goes on, which may lack nothing but this; a primary that is not ready asks when it is."""
    nodes = clusters.instances(tx.connection, cluster.id)
    if not cluster.is_found and any(cluster.leads(one.id) and one.status == Status.READY for one in nodes):
        lead(tx, cluster, operation_id)


def _record(tx: Tx, event: AddressMoved) -> None:
    """The provider's doing stands among the commands that ran on the hosts."""
    node = clusters.find_instance(tx.connection, event.instance_id)
    entry = TranscriptEntry(
        sequence=0, host=node.name if node else "", title="have the cluster's address lead to the primary",
        command=f"the provider: lead {event.addr} to {node.addr if node else event.instance_id}", exit_code=0,
        started_at=(event.occurred_at - timedelta(seconds=event.seconds)).isoformat(), seconds=event.seconds,
    )  # fmt: skip
    numbered = transcripts.number(tx, event.operation_id, entry)
    tx.emit(TranscriptRecorded(operation_id=event.operation_id, cluster_id=event.cluster_id, entries=(numbered,)))
