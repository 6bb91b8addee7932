"""What a restore in place and its undoing have in common: whose data change places, on which node, and who is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from services.datastore_agentless.datastores.base.aside import Aside
from services.datastore_agentless.domain.cluster import GOING
from services.datastore_agentless.domain.instance import GOING as LEAVING
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.domain.restore import Restore
from services.datastore_agentless.store import accounts, clusters, restores
from services.datastore_agentless.workflows.holding import hold, let_go, make_anew, see_free
from services.datastore_agentless.workflows.keeping import Keeping
from services.datastore_agentless.workflows.seen_parameters import see
from services.datastore_agentless.workflows.serving import SERVES, lacks
from shared.contracts.accounts import Accounts
from shared.contracts.datastore_agentless import AccountsSeen
from shared.db import Tx
from shared.errors import Failure
from shared.workflow import Next, Outcome, Save, StepContext, Wait

# How long the cluster waits for a node that does not answer: then what was begun is taken back, which may take as long.
EXCHANGE_SECONDS = 600.0
# An engine that reads all its data at its start does not answer before.
SERVE_SECONDS = 1800.0
LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Exchanging:
    """Steps of workflows whose tasks name their restore and its node."""

    keeping: Keeping

    def entry(self, context: StepContext) -> Restore:
        """The restore that a task works for."""
        with self.keeping.hosts.database.read() as connection:
            return restores.get(connection, context.task.payload["restore_id"])

    def hold(self, context: StepContext) -> Outcome:
        """A step: from here on the cluster serves nobody."""
        entry, database = self.entry(context), self.keeping.hosts.database
        self.keeping.sources.present(entry.cluster_id, entry.taken)
        with database.read() as connection:
            see_free(connection, database, entry.cluster_id)
        return Next(save=lambda tx: hold(tx, entry.operation_id), message="the data can change places")

    def let_go(self, context: StepContext) -> Outcome:
        """The way back of that step. Where the engine does not run, the watch starts it."""
        entry, operation_id = self.entry(context), context.task.operation_id
        return Next(save=lambda tx: _let_go(tx, entry.operation_id, operation_id))

    def held(self, context: StepContext) -> tuple[Restore, Instance, Aside]:
        """The restore, its node, and the places of its data. Raises Cancelled, and Failure where the server is another one."""
        entry, node = self.entry(context), self.keeping.hosts.instance(context)
        if node.server != entry.taken["server"]:
            raise Failure(f"the server of {node.name} was made anew", what_to_do="restore to a new cluster")
        return entry, node, self.aside(node)

    def whom(self, context: StepContext) -> Instance | None:
        """The node, if there is still something on it that could be put back."""
        entry = self.entry(context)
        with self.keeping.hosts.database.read() as connection:
            node = clusters.find_instance(connection, entry.taken["instance"]) if entry.taken else None
            cluster = clusters.find_cluster(connection, entry.cluster_id)
        if node is None or cluster is None or cluster.status in GOING or node.status in LEAVING:
            return None
        return node if node.server == entry.taken["server"] else None

    def aside(self, node: Instance) -> Aside:
        """The places of a node's data. Raises Failure where nobody knows them."""
        return Aside(self.keeping.dumping(node))

    def put_back(self, context: StepContext, *, comes: str, goes: str) -> Outcome:
        """The way back of an exchange: the data of before are in their place, the engine runs, and replicas are made anew.

        Who has followed the others for a moment is not looked into.
        """
        entry, node, hosts = self.entry(context), self.whom(context), self.keeping.hosts
        if node is None:
            return Next(message="there is nothing to be put back")
        hosts.run(context, node, self.aside(node).exchange(node, comes=comes, goes=goes))
        hosts.run(context, node, self.aside(node).serve(node))

        def save(tx: Tx) -> None:
            cluster = clusters.lock(tx, entry.cluster_id)
            if cluster is not None and cluster.status not in GOING:
                make_anew(tx, cluster)

        return Next(save=save, message="the data are those of before")

    def start(self, context: StepContext) -> Outcome:
        """A step: the engine begins on the data that came back."""
        _, node, aside = self.held(context)
        self.keeping.hosts.run(context, node, aside.serve(node))
        return Next(message=f"{node.name} runs")

    def looked(self, context: StepContext, node: Instance) -> Save | Wait:
        """See that an engine that was started serves, and what it has; returns what keeps and tells that."""
        hosts, manager = self.keeping.hosts, self.keeping.hosts.manager(node)
        if (lack := lacks(hosts, context, node)) != SERVES:
            return Wait(LOOK_SECONDS, f"{node.name} does not serve yet: {lack}")
        seen, listed = see(hosts, context, node), None
        at = hosts.database.clock.now()
        if manager.accounts is not None:
            with hosts.database.read() as connection:
                before = accounts.seen(connection, node.cluster_id)
            listed = cast("Accounts", hosts.run(context, node, manager.accounts.look(node, before)))

        def save(tx: Tx) -> None:
            seen(tx)
            if listed is not None:
                accounts.keep(tx, node.cluster_id, listed)
                tx.emit(AccountsSeen(cluster_id=node.cluster_id, operation_id="", accounts=listed, seen_at=at))

        return save


def ids(entry: Restore) -> dict[str, Any]:
    """What every word of a restore says of whose it is."""
    return {"cluster_id": entry.cluster_id, "project_id": entry.project_id, "restore_id": entry.operation_id}


def _let_go(tx: Tx, restore_id: str, operation_id: str) -> None:
    let_go(tx, restore_id, operation_id)
