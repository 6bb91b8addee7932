"""From which node data are taken for others, and whether it still is what it was when it was chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.datastore_agentless.domain.backup import source
from services.datastore_agentless.domain.chain import Scene
from services.datastore_agentless.domain.cluster import GOING, Cluster
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.health import Verdict
from services.datastore_agentless.domain.instance import Instance, Status
from services.datastore_agentless.store import clusters, health, takeovers
from shared.db import Database
from shared.errors import Cancelled, Failure, Retryable

# How long a node may be dead before nothing is hoped for from it.
DEAD_SECONDS = 300.0
_AGAIN = "retry the operation: it begins anew, on a node that serves"


@dataclass(frozen=True)
class Sources:
    """Chooses, and looks again."""

    database: Database

    def scene(self, cluster_id: str) -> Scene:
        """The cluster as it is now. Raises Cancelled, Failure, Retryable where no data can be taken from it."""
        with self.database.read() as connection:
            cluster = clusters.cluster(connection, cluster_id)
            nodes = clusters.instances(connection, cluster_id)
            seen = health.of_clusters(connection, (cluster_id,))[cluster_id]
            moving = takeovers.under_way(connection, cluster_id)
        see_that_it_stays(cluster)
        # A switchover takes seconds: what a schedule has wished for need not fail for that.
        if moving is not None:
            raise Retryable("another node is about to become the primary")
        return Scene(cluster, nodes, seen, self.database.clock.now())

    def choose(
        self, scene: Scene, *, from_primary: bool = False, rather: Instance | None = None
    ) -> tuple[Instance, dict[str, str]]:
        """A replica that follows well, or else the primary; with `from_primary` that, with `rather` this one.

        With it, what is to be remembered of it. Raises Retryable.
        """
        cluster, nodes = scene.cluster, scene.nodes
        if from_primary:
            nodes = [node for node in nodes if cluster.leads(node.id)]
        node = rather or source(cluster, nodes, scene.health, scene.now)
        if node is None:
            raise Retryable(f"cluster {cluster.name} has no node that is ready")
        taken = {"instance": node.id, "name": node.name, "server": node.server, "primary": cluster.primary_id,
                 "history": cluster.history}  # fmt: skip
        return node, taken

    def present(self, cluster_id: str, taken: dict[str, Any]) -> Instance:
        """The node, which is what it was when it was chosen. Raises Cancelled, and Failure where it is not."""
        with self.database.read() as connection:
            node = clusters.instance(connection, taken["instance"])
            cluster = clusters.cluster(connection, cluster_id)
            seen = health.of_clusters(connection, (cluster_id,))[cluster_id].get(node.id)
            moving = takeovers.under_way(connection, cluster_id)
        see_that_it_stays(cluster)
        if node.status != Status.READY or node.server != taken["server"]:
            raise Failure(f"{node.name} serves no more: nothing can be taken from it", what_to_do=_AGAIN)
        if moving is not None or cluster.primary_id != taken["primary"]:
            raise Failure("another node has become the primary meanwhile", what_to_do=_AGAIN)
        # What an older release has begun says nothing of it.
        if taken.get("history", cluster.history) != cluster.history:
            raise Failure("the cluster has other data by now than when this was begun", what_to_do=_AGAIN)
        if seen is not None and seen.verdict == Verdict.HOST_DOWN:
            dead = (self.database.clock.now() - seen.since).total_seconds()
            if dead > DEAD_SECONDS:
                raise Failure(f"{node.name} has not answered for {dead / 60:.0f} minutes", what_to_do=_AGAIN)
        return node


def see_that_it_stays(cluster: Cluster) -> None:
    """Raises Cancelled for a cluster that is on its way out, Failure for one that is stopped."""
    if cluster.status in GOING:
        raise Cancelled(f"cluster {cluster.id} is {cluster.status}")
    if cluster.status == ClusterStatus.STOPPED:
        raise Failure("the cluster is stopped", what_to_do="start it first")
