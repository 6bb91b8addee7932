"""Turns a wish for an export into one file in a store, which is read by the engine's own tools, and a manifest beside it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from services.datastore_agentless.backup_stores import transfer
from services.datastore_agentless.datastores.base.dumping import Mark
from services.datastore_agentless.datastores.base.exporting import Exporting, counted
from services.datastore_agentless.domain.backup import State
from services.datastore_agentless.domain.export import Export
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.store import exports
from services.datastore_agentless.workflows import export_manifests, manifests
from services.datastore_agentless.workflows.keeping import EXPORT, STEP_SECONDS, Keeping
from shared.contracts.exports import ExportCompleted, ExportFailed, ExportStarted
from shared.contracts.values import Problem
from shared.db import Tx
from shared.errors import Failure
from shared.secrets import Secret
from shared.workflow import Next, Outcome, Step, StepContext, Task, Workflow

# A number takes more room as text than as a number, and what is kept is compressed: so much more is reckoned with.
SPREAD = 2


@dataclass(frozen=True)
class SendExport:
    """The steps. What was begun in a store is given up where it comes to nothing; a retry begins anew."""

    keeping: Keeping

    def workflow(self) -> Workflow:
        """Steps in order; the task's subject is the cluster's exports, so that neither a takeover nor a backup waits for one."""
        steps = (
            Step("choose", self._choose, deadline=600),
            Step("install", self._install, deadline=1800),
            Step("begin", self._begin, self._give_up, deadline=900),
            Step("send", self._send, self._stop, deadline=STEP_SECONDS),
            Step("finish", self._finish, deadline=3600),
        )
        return Workflow(EXPORT, steps, on_failure=_failed, on_cancelled=_cancelled, undo_on_failure=True)

    def _choose(self, context: StepContext) -> Outcome:
        """Take the data from a replica that follows well, where its engine lets it be read for long; or else from the primary."""
        task, sources = context.task, self.keeping.sources
        scene = sources.scene(task.cluster_id)
        node, taken = sources.choose(scene)
        if self._exporting(node).from_primary:
            node, taken = sources.choose(scene, from_primary=True)

        def save(tx: Tx) -> None:
            export = exports.lock(tx, task.payload["export_id"])
            export.instance_id = node.id
            # What there was of an earlier attempt is gone.
            export.become(State.MAKING)
            export.manifest = {"taken_from": taken}
            exports.save(tx, export)

        return Next(save=save, message=f"the data are taken from {node.name}")

    def _install(self, context: StepContext) -> Outcome:
        _, node = self._present(context)
        self.keeping.hosts.run(
            context, node, self.keeping.hosts.manager(node).install_packages(node, transfer.PACKAGES)
        )
        return Next(message=f"{node.name} has what it needs for it")

    def _begin(self, context: StepContext) -> Outcome:
        """See what is to be exported, and have the store make ready; its word for that is kept before the first byte goes there."""
        export, node = self._present(context)
        hosts, dumping, exporting = self.keeping.hosts, self.keeping.dumping(node), self._exporting(node)
        databases = cast("list[str]", hosts.run(context, node, exporting.databases(node, export.choice)))
        tools = cast("dict[str, str]", hosts.run(context, node, manifests.tools()))
        tools[exporting.tool.rpartition("/")[2]] = cast("str", hosts.run(context, node, exporting.version(node)))
        mark = cast("Mark", hosts.run(context, node, dumping.mark(node)))
        at_most = cast("int", hosts.run(context, node, dumping.size(node))) * SPREAD
        way = self.keeping.stores.get(export.store).begin(export.key, at_most, export.token.reveal())

        def save(tx: Tx) -> None:
            kept = exports.lock(tx, export.id)
            kept.token, kept.size_bytes, kept.beginnings = Secret(way.token), at_most, kept.beginnings + 1
            kept.manifest = {**kept.manifest, **export_manifests.begun(kept, mark, exporting), "databases": databases,
                             "part_bytes": way.part_bytes, "tools": tools}  # fmt: skip
            exports.save(tx, kept)
            tx.emit(ExportStarted(**_ids(kept)))

        return Next(save=save, message=f"{export.store} is ready for it")

    def _send(self, context: StepContext) -> Outcome:
        """Bring part after part to the store; whoever comes later goes on with the same stream."""
        export, node = self._present(context)
        hosts, exporting, store = self.keeping.hosts, self._exporting(node), self.keeping.stores.get(export.store)
        databases = export.manifest["databases"]
        way = store.begin(export.key, export.size_bytes, export.token.reveal())
        matter = transfer.Matter("export", summed=True, said=exporting.said(databases))
        script = transfer.send(way, exporting.sends(node, export.choice, databases), export.recipient, export.job,
                               login=exporting.login(node), of_bytes=export.size_bytes // SPREAD, matter=matter)  # fmt: skip
        with store.carried(hosts.target(node), export.key, way) as goes_well:
            watchful = self.keeping.watchful(context, goes_well, partial(self._present, context))
            sent = cast("transfer.Sent", hosts.run(watchful, node, script))
        mark = cast("Mark", hosts.run(context, node, self.keeping.dumping(node).mark(node)))
        told = export_manifests.ended(mark, sent, counted(sent.said))

        def save(tx: Tx) -> None:
            kept = exports.lock(tx, export.id)
            kept.size_bytes, kept.stored_bytes = told["size_bytes"], told["stored_bytes"]
            kept.manifest = {**kept.manifest, **told}
            exports.save(tx, kept)

        return Next(save=save, message=f"{len(sent.parts)} parts are there, with {told['rows']} rows")

    def _finish(self, context: StepContext) -> Outcome:
        """Have the store keep them. What is said of the export from here on is what its manifest says."""
        export, _ = self._present(context)
        store = self.keeping.stores.get(export.store)
        store.finish(export.key, export.token.reveal(), export_manifests.parts_of(export), export.manifest_bytes)

        def save(tx: Tx) -> None:
            kept = exports.lock(tx, export.id)
            kept.become(State.COMPLETED)
            kept.token, kept.ended_at = Secret(""), tx.database.clock.now()
            exports.save(tx, kept)
            tx.emit(ExportCompleted(**_ids(kept), facts=export_manifests.facts(kept)))

        return Next(save=save, message="the export is whole")

    def _stop(self, context: StepContext) -> Outcome:
        with self.keeping.hosts.database.read() as connection:
            export = exports.get(connection, context.task.payload["export_id"])
        self.keeping.end_job(context, export, "export")
        return Next()

    def _give_up(self, context: StepContext) -> Outcome:
        """Keep nothing of it."""
        with self.keeping.hosts.database.read() as connection:
            export = exports.get(connection, context.task.payload["export_id"])
        self.keeping.drop_export(export)

        def save(tx: Tx) -> None:
            kept = exports.lock(tx, export.id)
            kept.token = Secret("")
            exports.save(tx, kept)

        return Next(save=save, message="nothing is kept of it")

    def _present(self, context: StepContext) -> tuple[Export, Instance]:
        """The export and its node, which is what it was when it was chosen. Raises Cancelled, and Failure where it is not."""
        with self.keeping.hosts.database.read() as connection:
            export = exports.get(connection, context.task.payload["export_id"])
        return export, self.keeping.sources.present(context.task.cluster_id, export.manifest["taken_from"])

    def _exporting(self, node: Instance) -> Exporting:
        manager = self.keeping.hosts.manager(node)
        if manager.exporting is None:
            raise Failure(f"{manager.datastore.name} makes no exports", what_to_do="use the database's own client")
        return manager.exporting


def _ids(export: Export) -> dict[str, Any]:
    return {"export_id": export.id, "cluster_id": export.cluster_id, "operation_id": export.operation_id,
            "project_id": export.project_id, "instance_id": export.instance_id, "store": export.store}  # fmt: skip


def _failed(tx: Tx, task: Task, problem: Problem) -> None:
    _end(tx, task, problem, cancelled=False)


def _cancelled(tx: Tx, task: Task) -> None:
    _end(tx, task, Problem(step="send", message="cancelled", host=task.host), cancelled=True)


def _end(tx: Tx, task: Task, problem: Problem, *, cancelled: bool) -> None:
    export = exports.find_locked(tx, task.payload["export_id"])
    if export is not None and export.state == State.MAKING:
        export.become(State.FAILED)
        export.manifest = {}
        exports.save(tx, export)
    tx.emit(ExportFailed(export_id=task.payload["export_id"], cluster_id=task.cluster_id, operation_id=task.operation_id,
                         problem=problem, cancelled=cancelled))  # fmt: skip
