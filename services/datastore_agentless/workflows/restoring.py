"""Brings the data of a backup to a node: the one that leads a new cluster begins with them, and its replicas copy from it as always."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from services.datastore_agentless.backup_stores import transfer
from services.datastore_agentless.backup_stores.base import Damaged
from services.datastore_agentless.datastores.base.dumping import GB
from services.datastore_agentless.domain.backup import Backup
from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.store import accounts, backups, catalogue, clusters
from services.datastore_agentless.workflows import building_upon, damage, manifests
from services.datastore_agentless.workflows.keeping import Check, Keeping
from services.datastore_agentless.workflows.log_replays import LogReplays
from shared.db import Tx
from shared.errors import Failure
from shared.secrets import Secret
from shared.workflow import Next, Outcome, StepContext


@dataclass(frozen=True)
class Wanted:
    """Which data: a backup of a project's, and up to which moment they take the log of after it, None for not at all. `job` names
    what fetches them on their node.
    """

    backup_id: str
    project_id: str
    moment: datetime | None = None
    job: str = "receive"


@dataclass(frozen=True)
class Restoring:
    """One step of making a node, which runs between the start of its own engine and the proof that it answers; and `bring` for others."""

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
        manager, dumping, moment = hosts.manager(node), self.keeping.dumping(node), cluster.restore_time
        wanted = Wanted(cluster.restore_id, cluster.project_id, moment)
        message = self.bring(context, node, wanted)
        context.report("starting the database on the data of the backup")
        hosts.run(context, node, dumping.take_over(node))
        if moment is not None:
            LogReplays(self.keeping).forget(context, node)
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

        return Next(save=save, message=message)

    def bring(self, context: StepContext, node: Instance, wanted: Wanted, *checks: Check) -> str:
        """Have the data whole beside those that serve on the node, which `take_over` or an exchange believes; returns what they are.

        `checks` are made from time to time. Raises Failure where there is no such backup any more, or it is of another datastore.
        """
        hosts, chain = self.keeping.hosts, self.chain(node, wanted)
        backup, dumping = chain[-1], self.keeping.dumping(node)
        upon = f", and the {len(chain) - 1} that it builds upon," if len(chain) > 1 else ""
        context.report(f"fetching backup {backup.id}{upon} from {backup.store}")
        hosts.run(context, node, hosts.manager(node).install_packages(node, transfer.PACKAGES))
        hosts.run(context, node, dumping.ready(node))
        with hosts.database.read() as connection:
            key = backups.identity(connection, backup.project_id)
        moment, replays = wanted.moment, LogReplays(self.keeping)
        self._see_room(context, node, chain)
        replayed = "" if moment is None else replays.bring(context, node, chain, moment, wanted.job)
        load = replayed or self._load(node, len(chain))
        with damage.noted(hosts.database, chain, context.task.operation_id):
            damage.see_key(chain, key)
            self._fetch(context, node, chain, load, key.private, wanted.job, *checks)
        with hosts.database.write() as tx:
            damage.heal(tx, chain)
        return _told(backup, moment)

    def _fetch(
        self, context: StepContext, node: Instance, chain: Sequence[Backup], load: str, identity: Secret, job: str, *checks: Check
    ) -> None:  # fmt: skip
        """Raises Damaged where the store does not have all of it as it was."""
        backup = chain[-1]
        store, wanted = self.keeping.store(backup), [(one.key, manifests.parts_of(one)) for one in chain]
        way = store.fetching_all(wanted)
        try:
            with self.keeping.carried(node, backup, way) as goes_well:
                watchful = self.keeping.watchful(context, goes_well, *checks)
                self.keeping.hosts.run(watchful, node, transfer.receive(way, load, identity, job))
        except Damaged:
            raise
        except Failure:
            # A part may have gone meanwhile, which neither carrier nor node can tell from a store that refuses: the store can.
            store.fetching_all(wanted)
            raise

    def chain(self, node: Instance, wanted: Wanted) -> list[Backup]:
        """The backup, behind all that it builds upon. Raises Failure where one of them cannot be restored on the node."""
        with self.keeping.hosts.database.read() as connection:
            entry = catalogue.datastore(connection, clusters.cluster(connection, node.cluster_id).datastore_id)
            return backups.chain(connection, wanted.backup_id, wanted.project_id, entry)

    def _load(self, node: Instance, count: int) -> str:
        if count == 1:
            return self.keeping.dumping(node).receives(node)
        return building_upon.increments(self.keeping, node).receives(node, count)

    def _see_room(self, context: StepContext, node: Instance, chain: Sequence[Backup]) -> None:
        """Each increment lies beside the data while it is worked in. Raises Failure where the largest would have no room there."""
        if len(chain) == 1:
            return
        full, *more = [int(one.manifest["size_bytes"]) for one in chain]
        room = cast("int", self.keeping.hosts.run(context, node, self.keeping.dumping(node).room(node)))
        if room < (needed := full + max(more)):
            raise Failure(f"{node.name} has room for {room / GB:.1f} GB, and the {len(chain)} backups need {needed / GB:.1f} GB "
                          "while they are put together", what_to_do="restore to a larger volume, or restore a full backup")  # fmt: skip


def _told(backup: Backup, moment: datetime | None) -> str:
    words = backup.manifest["begun"]["at"] if moment is None else f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"
    return f"the data are those of {words}"


def _is_due(cluster: Cluster, node: Instance) -> bool:
    """A cluster that has served has data of its own, and so has a server that was given the backup's."""
    serves = cluster.status in (ClusterStatus.ACTIVE, ClusterStatus.STOPPED)
    return bool(cluster.restore_id) and cluster.leads(node.id) and not serves and cluster.restored_server != node.server
