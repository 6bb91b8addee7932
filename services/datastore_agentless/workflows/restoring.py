"""Has the node that leads a new cluster begin with the data of a backup; its replicas copy from it as always."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.datastore_agentless.backup_stores import transfer
from services.datastore_agentless.domain.backup import Backup, restorable
from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.store import accounts, backups, catalogue, clusters
from services.datastore_agentless.workflows import manifests
from services.datastore_agentless.workflows.keeping import Keeping
from services.datastore_agentless.workflows.log_replays import LogReplays
from shared.db import Tx
from shared.workflow import Next, Outcome, StepContext


@dataclass(frozen=True)
class Restoring:
    """One step of making a node, which runs between the start of its own engine and the proof that it answers."""

    keeping: Keeping

    def restore(self, context: StepContext, node: Instance) -> Outcome:
        """Fetch the data and put them in the place of the node's own, once for each server; most nodes have nothing to do.

        Raises Failure where there is no such backup any more, or it is of another datastore.
        """
        hosts = self.keeping.hosts
        with hosts.database.read() as connection:
            cluster = clusters.cluster(connection, node.cluster_id)
        if not _is_due(cluster, node):
            return Next()
        backup = self._backup(cluster)
        manager, dumping = hosts.manager(node), self.keeping.dumping(node)
        context.report(f"fetching backup {backup.id} from {backup.store}")
        hosts.run(context, node, manager.install_packages(node, transfer.PACKAGES))
        hosts.run(context, node, dumping.ready(node))
        with hosts.database.read() as connection:
            key = backups.identity(connection, backup.project_id)
        moment, replays = cluster.restore_time, LogReplays(self.keeping)
        receives = dumping.receives(node) if moment is None else replays.bring(context, node, backup, moment)
        way = self.keeping.store(backup).fetching(backup.key, manifests.parts_of(backup))
        with self.keeping.carried(node, backup, way) as goes_well:
            watchful = self.keeping.watchful(context, goes_well)
            hosts.run(watchful, node, transfer.receive(way, receives, key.private, "receive"))
        context.report("starting the database on the data of the backup")
        hosts.run(context, node, dumping.take_over(node))
        if moment is not None:
            replays.forget(context, node)
        # The logins are those of the cluster that was backed up, until the administrator's is set.
        hosts.run(context, node, manager.secure(node))

        def save(tx: Tx) -> None:
            kept = clusters.lock(tx, cluster.id)
            if kept is None:
                return
            kept.restored_server = node.server
            clusters.save_cluster(tx, kept)
            if manager.accounts is not None and not cluster.proof:
                # Nothing to change, yet to be listed and told, once all nodes are there: databases and users came with the data.
                accounts.add(tx, context.task.operation_id, cluster.id, [])

        return Next(save=save, message=_told(backup, moment))

    def _backup(self, cluster: Cluster) -> Backup:
        with self.keeping.hosts.database.read() as connection:
            entry = catalogue.datastore(connection, cluster.datastore_id)
            found = backups.find(connection, cluster.restore_id)
        return restorable(found, cluster.restore_id, cluster.project_id, entry)


def _told(backup: Backup, moment: datetime | None) -> str:
    words = backup.manifest["begun"]["at"] if moment is None else f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"
    return f"the data are those of {words}"


def _is_due(cluster: Cluster, node: Instance) -> bool:
    """A cluster that has served has data of its own, and so has a server that was given the backup's."""
    serves = cluster.status in (ClusterStatus.ACTIVE, ClusterStatus.STOPPED)
    return bool(cluster.restore_id) and cluster.leads(node.id) and not serves and cluster.restored_server != node.server
