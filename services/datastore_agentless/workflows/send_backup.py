"""Turns a wish for a backup into parts in a store, each of them confirmed, and a manifest beside them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from services.datastore_agentless.backup_stores import transfer
from services.datastore_agentless.datastores.base.dumping import SEND_ANEW, Mark
from services.datastore_agentless.datastores.base.replaying import Place
from services.datastore_agentless.domain import tally
from services.datastore_agentless.domain.backup import Backup, State
from services.datastore_agentless.domain.chain import Footing, Scene, footing
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed
from services.datastore_agentless.store import archives, backups, clusters
from services.datastore_agentless.workflows import building_upon, damage, manifests
from services.datastore_agentless.workflows.backup_node import announce_cancelled, announce_failed
from services.datastore_agentless.workflows.keeping import SEND, STEP_SECONDS, Keeping, lock
from services.datastore_agentless.workflows.log_chains import noted
from shared.contracts.backups import FULL, BackupCompleted, BackupStarted
from shared.db import Tx
from shared.errors import Retryable
from shared.secrets import Secret
from shared.workflow import Next, Outcome, Step, StepContext, Task, Wait, Workflow

# What compression and encryption may add to a stream that cannot be made smaller. Source: zstd's and age's formats.
ADDED_SHARE, ADDED_BYTES = 0.01, 1024 * 1024
# How long a backup waits for the log of its cluster to be kept.
ARCHIVE_SECONDS = 60.0
# So often one backup is begun at most, before a user is asked to.
BEGINNINGS = 3


@dataclass(frozen=True)
class SendBackup:
    """The steps. What was begun in a store is given up where it comes to nothing; a retry begins anew."""

    keeping: Keeping

    def workflow(self) -> Workflow:
        """Steps in order; the task's subject is the cluster's backups, so that no takeover waits for one."""
        steps = (
            Step("choose", self._choose, deadline=600),
            Step("install", self._install, deadline=1800),
            Step("begin", self._begin, self._give_up, deadline=900),
            Step("send", self._send, self._stop, deadline=STEP_SECONDS),
            Step("finish", self._finish, deadline=3600),
        )
        return Workflow(SEND, steps, on_failure=announce_failed, on_cancelled=announce_cancelled, undo_on_failure=True)

    def _choose(self, context: StepContext) -> Outcome:
        """Take the data from a replica that follows well, or else from the primary; an incremental one from the node that its base is of."""
        task, sources = context.task, self.keeping.sources
        scene = sources.scene(task.cluster_id)
        found = self._footing(task, scene) if task.payload.get("wanted", FULL) != FULL else Footing()
        node, taken = sources.choose(scene, rather=found.node)

        def save(tx: Tx) -> None:
            backup = lock(tx, task.payload["backup_id"])
            backup.instance_id = node.id
            # What there was of an earlier attempt is gone.
            backup.become(State.MAKING)
            backup.manifest = {
                "taken_from": taken,
                **({"history": scene.cluster.history} if scene.cluster.history else {}),
            }
            building_upon.build(tx, backup, found)
            backups.save(tx, backup)

        return Next(save=save, message=f"the data are taken from {node.name}")

    def _footing(self, task: Task, scene: Scene) -> Footing:
        with self.keeping.hosts.database.read() as connection:
            made, known = (
                backups.get(connection, task.payload["backup_id"]),
                backups.of_cluster(connection, task.cluster_id),
            )
        return footing(made, known, scene)

    def _install(self, context: StepContext) -> Outcome:
        _, node = self._present(context)
        hosts = self.keeping.hosts
        hosts.run(context, node, hosts.manager(node).install_packages(node, transfer.PACKAGES))
        hosts.run(context, node, self.keeping.dumping(node).ready(node))
        return Next(message=f"{node.name} has what it needs for it")

    def _begin(self, context: StepContext) -> Outcome:
        """Have the store make ready. Its word for that is kept before the first byte goes there.

        Where a log is about to be kept for the first time, the backup waits a little for that: the log has to go on from it.
        """
        backup, node = self._present(context)
        hosts, dumping = self.keeping.hosts, self.keeping.dumping(node)
        if self._log_begins(context):
            return Wait(1.0, "the log is about to be kept")
        log = self._log_from(context, node)
        tools = cast("dict[str, str]", hosts.run(context, node, manifests.tools()))
        mark = cast("Mark", hosts.run(context, node, dumping.mark(node)))
        size = cast("int", hosts.run(context, node, dumping.size(node)))
        why = building_upon.doubt(self.keeping, context, backup, node, mark)
        at_most = int(size * (1 + ADDED_SHARE)) + ADDED_BYTES
        way = self.keeping.store(backup).begin(backup.key, at_most, backup.token.reveal())

        def save(tx: Tx) -> None:
            kept = lock(tx, backup.id)
            kept.token, kept.size_bytes, kept.beginnings = Secret(way.token), at_most, kept.beginnings + 1
            if why:
                building_upon.be_full(kept, why)
            kept.manifest = {**kept.manifest, **manifests.begun(kept, mark), "part_bytes": way.part_bytes, "tools": tools, **log,
                             "recipient": backups.age_key(tx, kept.project_id).public}  # fmt: skip
            backups.save(tx, kept)
            tx.emit(BackupStarted(**damage.ids(kept)))

        return Next(save=save, message=f"{backup.store} is ready for it")

    def _send(self, context: StepContext) -> Outcome:
        """Bring part after part to the store; whoever comes later goes on with the same stream."""
        backup, node = self._present(context)
        hosts, dumping = self.keeping.hosts, self.keeping.dumping(node)
        way = self.keeping.store(backup).begin(backup.key, backup.size_bytes, backup.token.reveal())
        # How much has changed is not known before it is sent.
        tallying = hosts.manager(node).tallying
        script = transfer.send(way, building_upon.dump(self.keeping, backup, node), backup.manifest["recipient"], backup.job,
                               login=dumping.login(node), of_bytes=0 if backup.base_id else backup.size_bytes,
                               matter=transfer.Matter(said=tallying.sample if tallying else ""))  # fmt: skip
        with self.keeping.carried(node, backup, way) as goes_well:
            watchful = self.keeping.watchful(context, goes_well, partial(self._present, context))
            try:
                sent = cast("transfer.Sent", hosts.run(watchful, node, script))
            except CommandFailed as error:
                if error.code != SEND_ANEW or backup.beginnings >= BEGINNINGS:
                    raise
                context.check()
                self._begin_anew(backup)
                raise Retryable(f"{node.name} wrote to its data at a bad moment: they are sent anew") from error
        mark = cast("Mark", hosts.run(context, node, dumping.mark(node)))
        told = manifests.ended(mark, sent)
        if tallying is not None:
            told["tally"] = tally.kept(tallying.read(sent.said))

        def save(tx: Tx) -> None:
            kept = lock(tx, backup.id)
            kept.size_bytes, kept.stored_bytes = told["size_bytes"], told["stored_bytes"]
            kept.manifest |= told
            backups.save(tx, kept)

        return Next(save=save, message=f"{len(sent.parts)} parts are there")

    def _begin_anew(self, backup: Backup) -> None:
        """Nothing is kept of the stream that was; another one will have another job, and a beginning of its own in the store."""
        self.keeping.drop(backup)
        way = self.keeping.store(backup).begin(backup.key, backup.size_bytes, "")
        with self.keeping.hosts.database.write() as tx:
            kept = lock(tx, backup.id)
            kept.token, kept.beginnings = Secret(way.token), kept.beginnings + 1
            backups.save(tx, kept)

    def _finish(self, context: StepContext) -> Outcome:
        """Have the store keep them. What is said of the backup from here on is what its manifest says."""
        backup, _ = self._present(context)
        store = self.keeping.store(backup)
        store.finish(backup.key, backup.token.reveal(), manifests.parts_of(backup), backup.manifest_bytes)

        def save(tx: Tx) -> None:
            kept = lock(tx, backup.id)
            kept.become(State.COMPLETED)
            kept.token, kept.ended_at = Secret(""), tx.database.clock.now()
            backups.save(tx, kept)
            tx.emit(BackupCompleted(**damage.ids(kept), facts=manifests.facts(kept)))
            damage.see_base(tx, kept)

        return Next(save=save, message="the backup is whole")

    def _stop(self, context: StepContext) -> Outcome:
        self.keeping.end_job(context, self.keeping.backup(context.task.payload["backup_id"]), "backup")
        return Next()

    def _give_up(self, context: StepContext) -> Outcome:
        """Keep nothing of it."""
        backup = self.keeping.backup(context.task.payload["backup_id"])
        self.keeping.drop(backup)

        def save(tx: Tx) -> None:
            kept = lock(tx, backup.id)
            kept.token = Secret("")
            backups.save(tx, kept)

        return Next(save=save, message="nothing is kept of it")

    def _log_begins(self, context: StepContext) -> bool:
        """Whether the primary is to be archived, and is not yet; not for ever, for a backup is worth more than a log."""
        database, task = self.keeping.hosts.database, context.task
        if (database.clock.now() - task.step_started_at).total_seconds() > ARCHIVE_SECONDS:
            return False
        with database.read() as connection:
            archive = archives.find(connection, task.cluster_id)
            primary = clusters.find_instance(connection, clusters.cluster(connection, task.cluster_id).primary_id)
        return archive is not None and primary is not None and archive.begun.get(primary.id) != primary.server

    def _log_from(self, context: StepContext, node: Instance) -> dict[str, Any]:
        """What its manifest says of the log: from where on it is needed."""
        replaying = self.keeping.hosts.manager(node).replaying
        if replaying is None:
            return {}
        return {"log": noted(cast("Place", self.keeping.hosts.run(context, node, replaying.needs_from(node))))}

    def _present(self, context: StepContext) -> tuple[Backup, Instance]:
        """The backup and its node, which is what it was when it was chosen. Raises Cancelled, and Failure where it is not."""
        backup = self.keeping.backup(context.task.payload["backup_id"])
        return backup, self.keeping.sources.present(context.task.cluster_id, backup.manifest["taken_from"])
