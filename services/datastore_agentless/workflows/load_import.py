"""Turns a wish for an import into data that a cluster serves, counted beside what was sent, or leaves it as it was."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from services.datastore_agentless.backup_stores import transfer
from services.datastore_agentless.datastores.base.dumping import GB
from services.datastore_agentless.datastores.base.exporting import counted
from services.datastore_agentless.datastores.base.importing import Importing
from services.datastore_agentless.domain.export import Export
from services.datastore_agentless.domain.importing import Import, State, contents
from services.datastore_agentless.domain.instance import Instance, Status
from services.datastore_agentless.hosts.base import HostUnreachable, Run, Script
from services.datastore_agentless.hosts.jobs import JobFolder
from services.datastore_agentless.store import accounts, clusters, exports, imports, takeovers
from services.datastore_agentless.workflows.export_manifests import parts_of
from services.datastore_agentless.workflows.import_facts import facts
from services.datastore_agentless.workflows.keeping import IMPORT, STEP_SECONDS, Keeping
from shared.contracts.accounts import Accounts
from shared.contracts.datastore_agentless import AccountsSeen
from shared.contracts.imports import ImportCompleted, ImportFailed, ImportStarted
from shared.contracts.values import Problem
from shared.db import Tx
from shared.errors import Failure, Retryable
from shared.workflow import Next, Outcome, Step, StepContext, Task, Workflow


@dataclass(frozen=True)
class LoadImport:
    """The steps. What was made is taken away again where it comes to nothing; a retry begins anew."""

    keeping: Keeping

    def workflow(self) -> Workflow:
        """Steps in order. The task's subject is the cluster's imports: nobody who has to save the cluster waits for one."""
        steps = (
            Step("choose", self._choose, deadline=600),
            Step("install", self._install, deadline=1800),
            Step("look", self._look, self._clear, deadline=900),
            Step("load", self._load, self._stop, deadline=STEP_SECONDS),
            Step("finish", self._finish, deadline=3600),
        )
        return Workflow(IMPORT, steps, on_failure=_failed, on_cancelled=_cancelled, undo_on_failure=True)

    def _choose(self, context: StepContext) -> Outcome:
        sources, within = self.keeping.sources, contents(self._export(self._entry(context)))
        node, taken = sources.choose(sources.scene(context.task.cluster_id), from_primary=True)

        def save(tx: Tx) -> None:
            entry = imports.lock(tx, context.task.payload["import_id"])
            entry.become(State.LOADING)
            entry.instance_id, entry.beginnings = node.id, entry.beginnings + 1
            entry.manifest = {"taken_from": taken, "contents": within.told()}
            imports.save(tx, entry)
            tx.emit(ImportStarted(**_ids(entry)))

        return Next(save=save, message=f"the data go to {node.name}")

    def _install(self, context: StepContext) -> Outcome:
        _, node = self._present(context)
        hosts, packages = self.keeping.hosts, self._importing(node).packages
        hosts.run(context, node, hosts.manager(node).install_packages(node, transfer.PACKAGES))
        hosts.run(context, node, hosts.manager(node).install_packages(node, packages))
        return Next(message=f"{node.name} has what it needs for it")

    def _look(self, context: StepContext) -> Outcome:
        """See that nothing is written over, and that there is room. Raises Failure where it is not so."""
        entry, node = self._present(context)
        hosts, importing, within = self.keeping.hosts, self._importing(node), entry.contents
        hosts.run(context, node, importing.clear(node, within, entry.id))
        there = cast("list[str]", hosts.run(context, node, importing.in_the_way(node, within)))
        if there:
            raise Failure(f"the cluster has it already: {', '.join(there)}",
                          what_to_do="nothing is written over: delete or rename that, or import into another cluster")  # fmt: skip
        room = cast("int", hosts.run(context, node, self.keeping.dumping(node).room(node)))
        if room < within.size_bytes:
            raise Failure(f"{node.name} has room for {room / GB:.1f} GB, and the data have {within.size_bytes / GB:.1f} GB",
                          what_to_do="make the cluster's volumes larger first")  # fmt: skip
        return Next(message="nothing is in the way")

    def _load(self, context: StepContext) -> Outcome:
        """Fetch part after part and have the engine take them; whoever comes later goes on with the same stream."""
        entry, node = self._present(context)
        export, hosts, importing = self._export(entry), self.keeping.hosts, self._importing(node)
        within, store = entry.contents, self.keeping.stores.get(export.store)
        way = store.fetching(export.key, parts_of(export))
        opening = transfer.Opening(bool(export.recipient), importing.login(node), importing.said(within))
        script = transfer.receive(way, importing.loads(node, within, entry.id), export.identity, entry.job,
                                  title="load the export", opening=opening)  # fmt: skip
        with store.carried(hosts.target(node), export.key, way) as goes_well:
            watchful = self.keeping.watchful(context, goes_well, partial(self._present, context))
            said = cast("tuple[str, ...]", hosts.run(watchful, node, script))
        found = facts(within, counted(said))
        if found.differing and within.exact and not within.tables:
            raise Failure(f"what has come in is not what was sent: of {found.rows_expected} rows there are {found.rows}, "
                          f"and these tables differ: {', '.join(found.differing[:5])}",
                          what_to_do="look at the database's own log, then retry the operation")  # fmt: skip

        def save(tx: Tx) -> None:
            kept = imports.lock(tx, entry.id)
            kept.manifest = {**kept.manifest, "said": list(said)}
            imports.save(tx, kept)

        return Next(save=save, message=f"{found.rows} rows in {found.tables_total} tables are there")

    def _finish(self, context: StepContext) -> Outcome:
        """Have it belong to those to whom it should, and see what databases and users there are by now."""
        entry, node = self._present(context)
        hosts, importing, within = self.keeping.hosts, self._importing(node), entry.contents
        hosts.run(context, node, importing.settle(node, within))
        at, keeper, listed = hosts.database.clock.now(), hosts.manager(node).accounts, None
        if keeper is not None:
            with hosts.database.read() as connection:
                before = accounts.seen(connection, entry.cluster_id)
            listed = cast("Accounts", hosts.run(context, node, keeper.look(node, before)))
        self._present(context)
        hosts.run(context, node, importing.forget(node, entry.id))

        def save(tx: Tx) -> None:
            kept = imports.lock(tx, entry.id)
            kept.become(State.COMPLETED)
            kept.ended_at = tx.database.clock.now()
            imports.save(tx, kept)
            if listed is not None:
                accounts.keep(tx, kept.cluster_id, listed)
                tx.emit(AccountsSeen(cluster_id=kept.cluster_id, operation_id="", accounts=listed, seen_at=at))
            tx.emit(ImportCompleted(**_ids(kept), facts=facts(within, counted(kept.manifest["said"]))))

        return Next(save=save, message="the data are there")

    def _stop(self, context: StepContext) -> Outcome:
        """End what loads it; what that has made is taken away afterwards."""
        entry = self._entry(context)
        with self.keeping.hosts.database.read() as connection:
            node = clusters.find_instance(connection, entry.instance_id)
        if node is not None and node.status == Status.READY:
            with suppress(HostUnreachable, Failure):
                self.keeping.hosts.run(context, node, _end_job(JobFolder(f"{context.task.id}-{entry.job}")))
        return Next()

    def _clear(self, context: StepContext) -> Outcome:
        """Leave the cluster as it was. Raises Failure where another node leads by now: what has come to that is not told apart there."""
        entry = self._entry(context)
        within, taken = entry.contents, entry.manifest["taken_from"]
        with self.keeping.hosts.database.read() as connection:
            node = clusters.find_instance(connection, taken["instance"])
            cluster = clusters.cluster(connection, entry.cluster_id)
            moving = takeovers.under_way(connection, entry.cluster_id)
        if moving is not None:
            raise Retryable("another node is about to become the primary")
        names = ", ".join(within.databases)
        if (
            node is None
            or cluster.primary_id != taken["primary"]
            or node.server != taken["server"]
            or node.status != Status.READY
        ):
            raise Failure(
                f"what was loaded may be there in part, for another node has become the primary: look at {names}"
            )
        importing = self._importing(node)
        self.keeping.hosts.run(context, node, importing.clear(node, within, entry.id))
        return Next(message=importing.stays(within) or "the cluster is as it was")

    def _entry(self, context: StepContext) -> Import:
        with self.keeping.hosts.database.read() as connection:
            return imports.get(connection, context.task.payload["import_id"])

    def _present(self, context: StepContext) -> tuple[Import, Instance]:
        """The import and the primary that it was begun on. Raises Cancelled, and Failure where that is not the primary any more."""
        entry = self._entry(context)
        return entry, self.keeping.sources.present(context.task.cluster_id, entry.manifest["taken_from"])

    def _export(self, entry: Import) -> Export:
        """What comes in. Raises Failure where it is gone."""
        with self.keeping.hosts.database.read() as connection:
            export = exports.get(connection, entry.export_id)
        if "parts" not in export.manifest:
            raise Failure(f"export {export.id} is {export.state}", what_to_do="import another one")
        return export

    def _importing(self, node: Instance) -> Importing:
        manager = self.keeping.hosts.manager(node)
        if manager.importing is None:
            raise Failure(f"{manager.datastore.name} takes no imports", what_to_do="use the database's own client")
        return manager.importing


def _end_job(job: JobFolder) -> Script:
    yield Run(job.stop(), title="end what loads the import", timeout=60)


def _ids(entry: Import) -> dict[str, Any]:
    return {"import_id": entry.id, "cluster_id": entry.cluster_id, "operation_id": entry.operation_id,
            "project_id": entry.project_id, "instance_id": entry.instance_id}  # fmt: skip


def _failed(tx: Tx, task: Task, problem: Problem) -> None:
    _end(tx, task, problem, cancelled=False)


def _cancelled(tx: Tx, task: Task) -> None:
    _end(tx, task, Problem(step="load", message="cancelled", host=task.host), cancelled=True)


def _end(tx: Tx, task: Task, problem: Problem, *, cancelled: bool) -> None:
    entry = imports.find_locked(tx, task.payload["import_id"])
    if entry is not None and entry.state == State.LOADING:
        entry.become(State.FAILED)
        imports.save(tx, entry)
    tx.emit(ImportFailed(import_id=task.payload["import_id"], cluster_id=task.cluster_id, operation_id=task.operation_id,
                         problem=problem, cancelled=cancelled))  # fmt: skip
