"""datastore_agentless: databases on hosts, over SSH alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from services.datastore_agentless import (
    actions,
    catalogue,
    dependencies,
    import_plans,
    parameter_plans,
    planning,
    resize_plans,
    restore_plans,
    upkeep,
)
from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.store import catalogue as catalogue_store
from services.datastore_agentless.store import clusters as cluster_store
from services.datastore_agentless.store import parameters as parameter_store
from shared.bus import Keeps, Relay, Steps, Ticker, on, rpc
from shared.contracts import api, provisioner, restores
from shared.contracts.base import dump, load
from shared.contracts.scheduler import BackupDue, BackupExpired
from shared.contracts.values import Flavor
from shared.db.outbox import repeat
from shared.db.reseal import reseal
from shared.errors import Retryable

CATALOGUE_SECONDS, TIDY_SECONDS, COUNT_SECONDS, REACH_SECONDS, PURGE_SECONDS = 300.0, 3600.0, 20.0, 60.0, 600.0


def _known(cluster_id: str, is_known: bool) -> None:
    """Have an event come again later whose cluster is not known here yet. Raises Retryable."""
    if not is_known:
        raise Retryable(f"cluster {cluster_id} is not known here yet")


def _at_hand(cluster_id: str) -> tuple[BaseManager, Cluster, list[Instance]]:
    """Of what a plan is made: the datastore's manager, the cluster, and its instances. Raises NotFound."""
    with dependencies.database().read() as connection:
        cluster = cluster_store.cluster(connection, cluster_id)
        there = cluster_store.instances(connection, cluster.id)
        entry = catalogue_store.datastore(connection, cluster.datastore_id)
    return dependencies.manager_for(entry), cluster, there


class DatastoreService:
    """Entrypoints; the work is in actions and workflows."""

    name = "datastore_agentless"

    relay = Relay(dependencies.relay)
    steps = Steps(dependencies.steps)
    catalogue_ticker = Ticker(upkeep.announce_catalogue, CATALOGUE_SECONDS)
    tidying = Ticker(upkeep.forget_old, TIDY_SECONDS)
    purging = Ticker(upkeep.purge_restores, PURGE_SECONDS)
    counting = Ticker(upkeep.count_secrets, COUNT_SECONDS)
    reaching = Ticker(upkeep.look_at_stores, REACH_SECONDS)
    watch = Keeps(dependencies.watch)
    archiver = Keeps(dependencies.archiver)

    @on(api.ClusterRequested)
    def expect_cluster(self, event: api.ClusterRequested) -> None:
        """Record a cluster and the nodes to come."""
        actions.expect_cluster(
            dependencies.database(), event, lambda entry: dependencies.manager_for(entry).admin_user,
            dependencies.keyring().open,
        )  # fmt: skip

    @on(provisioner.InstanceActive)
    def prepare_node(self, event: provisioner.InstanceActive) -> None:
        """File the preparation of a server that came up."""
        if not actions.prepare_node(dependencies.database(), event):
            raise Retryable(f"instance {event.instance_id} is not known here yet")

    @on(api.NodesRequested)
    def expect_nodes(self, event: api.NodesRequested) -> None:
        """Record nodes to come."""
        _known(event.cluster_id, actions.expect_nodes(dependencies.database(), event))

    @on(api.NodesRemoveRequested)
    def remove_nodes(self, event: api.NodesRemoveRequested) -> None:
        """File the leaving of nodes."""
        _known(event.cluster_id, actions.remove_nodes(dependencies.database(), event))

    @on(api.SwitchoverRequested)
    def request_switchover(self, event: api.SwitchoverRequested) -> None:
        """File the handing over of a cluster's writes."""
        _known(event.cluster_id, actions.request_switchover(dependencies.database(), event))

    @on(api.FailoverRequested)
    def request_failover(self, event: api.FailoverRequested) -> None:
        """File the proof that a primary is dead."""
        _known(event.cluster_id, actions.request_failover(dependencies.database(), event))

    @on(api.ParametersRequested)
    def request_parameters(self, event: api.ParametersRequested) -> None:
        """File a change of a cluster's parameters."""
        _known(event.cluster_id, actions.request_parameters(dependencies.database(), event))

    @on(api.ClusterStartRequested)
    def start_cluster(self, event: api.ClusterStartRequested) -> None:
        """File the start of a cluster's nodes."""
        _known(event.cluster_id, actions.request_roll(dependencies.database(), event))

    @on(api.ClusterStopRequested)
    def stop_cluster(self, event: api.ClusterStopRequested) -> None:
        """File the stop of a cluster's nodes."""
        _known(event.cluster_id, actions.request_roll(dependencies.database(), event))

    @on(api.ClusterRestartRequested)
    def restart_cluster(self, event: api.ClusterRestartRequested) -> None:
        """File the restart of a cluster's nodes."""
        _known(event.cluster_id, actions.request_roll(dependencies.database(), event))

    @on(api.ClusterResizeRequested)
    def resize_cluster(self, event: api.ClusterResizeRequested) -> None:
        """File the growing of a cluster's volumes, and the change of its servers."""
        _known(event.cluster_id, actions.request_resize(dependencies.database(), event))

    @on(provisioner.InstanceResized)
    @on(provisioner.InstanceResizeFailed)
    def size_changed(self, event: provisioner.InstanceResized | provisioner.InstanceResizeFailed) -> None:
        """Keep what the provider says of a volume, or of a server that has become another."""
        actions.size_changed(dependencies.database(), event)

    @on(api.FailoverChosen)
    def choose_policy(self, event: api.FailoverChosen) -> None:
        """Keep who decides over a cluster's failovers."""
        _known(event.cluster_id, actions.choose_policy(dependencies.database(), event))

    @on(provisioner.InstanceFenced)
    def take_over(self, event: provisioner.InstanceFenced) -> None:
        """File the promotion of another node."""
        actions.take_over(dependencies.database(), event)

    @on(provisioner.InstancePowered)
    def take_back(self, event: provisioner.InstancePowered) -> None:
        """File the return of a node that was off."""
        actions.take_back(dependencies.database(), event)

    @on(provisioner.InstancePowerFailed)
    def power_failed(self, event: provisioner.InstancePowerFailed) -> None:
        """End what needed the server off, or on."""
        actions.power_failed(dependencies.database(), event)

    @on(provisioner.AddressMoved)
    def address_moved(self, event: provisioner.AddressMoved) -> None:
        """Keep where a cluster's own address leads."""
        actions.address_moved(dependencies.database(), event, dependencies.manager_for)

    @on(provisioner.AddressMoveFailed)
    def address_move_failed(self, event: provisioner.AddressMoveFailed) -> None:
        """End what waits for it."""
        actions.address_move_failed(dependencies.database(), event)

    @on(provisioner.InstanceFailed)
    def fail_cluster(self, event: provisioner.InstanceFailed) -> None:
        """Fail the cluster with its server."""
        _known(event.cluster_id, actions.fail_cluster(dependencies.database(), event))

    @on(api.ClusterDeleteRequested)
    def release_cluster(self, event: api.ClusterDeleteRequested) -> None:
        """Stop all work on a cluster."""
        actions.release_cluster(dependencies.database(), event)

    @on(provisioner.InstanceDeleted)
    def forget_instance(self, event: provisioner.InstanceDeleted) -> None:
        """Forget a server, and the cluster with its last one."""
        _known(event.cluster_id, actions.forget_instance(dependencies.database(), event))

    @on(api.OperationCancelRequested)
    def cancel_operation(self, event: api.OperationCancelRequested) -> None:
        """Stop the work under an operation."""
        actions.cancel_operation(dependencies.database(), event)

    @on(api.OperationRetryRequested)
    def retry_operation(self, event: api.OperationRetryRequested) -> None:
        """Go on from the step that failed."""
        actions.retry_operation(dependencies.database(), event)

    @on(api.OperationReminded)
    def say_again(self, event: api.OperationReminded) -> None:
        """Announce once more what was announced of an operation."""
        repeat(dependencies.database(), event.operation_id)

    @on(api.PerformRequested)
    def request_perform(self, event: api.PerformRequested) -> None:
        """File commands to run."""
        actions.request_perform(dependencies.database(), event)

    @on(api.LogsRequested)
    def request_logs(self, event: api.LogsRequested) -> None:
        """File the reading of a log, or keep one up."""
        actions.request_logs(dependencies.database(), event)

    @on(api.AccessRequested)
    def request_access(self, event: api.AccessRequested) -> None:
        """File the opening of an instance for a person's key."""
        actions.request_access(dependencies.database(), event)

    @on(api.AccessRevokeRequested)
    def end_access(self, event: api.AccessRevokeRequested) -> None:
        """File its shutting."""
        actions.request_access(dependencies.database(), event)

    @on(api.AccountsRequested)
    def request_accounts(self, event: api.AccountsRequested) -> None:
        """File a change of databases and users."""
        _known(event.cluster_id, actions.request_accounts(dependencies.database(), event, dependencies.keyring().open))

    @on(api.BackupRequested)
    def request_backup(self, event: api.BackupRequested) -> None:
        """File a backup."""
        actions.request_backup(dependencies.database(), event, dependencies.manager_for, dependencies.stores())

    @on(BackupDue)
    def backup_due(self, event: BackupDue) -> None:
        """File a backup whose time has come."""
        actions.request_backup(dependencies.database(), event, dependencies.manager_for, dependencies.stores())

    @on(api.BackupDeleteRequested)
    @on(BackupExpired)
    def delete_backup(self, event: api.BackupDeleteRequested | BackupExpired) -> None:
        """File the removal of a backup."""
        actions.delete_backup(dependencies.database(), event)

    @on(api.ExportRequested)
    @on(api.ExportDeleteRequested)
    def change_exports(self, event: api.ExportRequested | api.ExportDeleteRequested) -> None:
        """File an export, or the removal of one."""
        actions.change_exports(dependencies.database(), event, dependencies.manager_for, dependencies.stores())

    @on(api.ImportRequested)
    def request_import(self, event: api.ImportRequested) -> None:
        """File an import into a cluster."""
        actions.request_import(dependencies.database(), event, dependencies.manager_for)

    @on(restores.ClusterRestoreRequested)
    @on(restores.RestoreConfirmRequested)
    @on(restores.RestoreUndoRequested)
    def request_restore(self, event: actions.RestoreWish) -> None:
        """File a restore in place, or what becomes of one."""
        actions.request_restore(dependencies.database(), event, dependencies.manager_for)

    @rpc
    def issue_key(self, cluster_id: str) -> dict[str, str]:
        """The public half of a cluster's SSH key, made at the first request."""
        return {"public_key": actions.issue_key(dependencies.database(), cluster_id)}

    @rpc
    def credentials(self, cluster_id: str) -> dict[str, str]:
        """The administrator's login, its password sealed with the common keyring."""
        user, password = actions.credentials(dependencies.database(), cluster_id)
        return {"username": user, "sealed_password": dependencies.keyring().seal(password)}

    @rpc
    def export_content(self, export_id: str) -> dict[str, Any]:
        """Where an export can be read: a URL that is good for an hour, sealed with the common keyring, or files beside DTrove."""
        seal = dependencies.keyring().seal
        return actions.export_content(dependencies.database(), dependencies.stores(), seal, export_id)

    @rpc
    def export_key(self, export_id: str) -> dict[str, str]:
        """What opens an export, sealed with the common keyring; empty where it is not encrypted."""
        return actions.export_key(dependencies.database(), dependencies.keyring().seal, export_id)

    @rpc
    def samples(self, cluster_id: str) -> list[dict[str, Any]]:
        """A day of numbers of each node of a cluster."""
        return actions.samples(dependencies.database(), cluster_id)

    @rpc
    def state(self, operations: Sequence[str] = ()) -> dict[str, Any]:
        """How this service is: a ServiceState, with the open tasks of `operations`, hosts' clocks, and the stores."""
        found = dependencies.state().state(operations)
        clocks, stores = actions.clocks(dependencies.database()), dependencies.reaching().troubles
        return dump(replace(found, hosts=clocks, stores=stores))

    @rpc
    def reseal(self) -> dict[str, Any]:
        """Seal some of the stored secrets anew, with the newest key; says how many are left."""
        return reseal(dependencies.database(), dependencies.keyring())

    @rpc
    def list_datastores(self) -> list[dict[str, Any]]:
        """The catalogue."""
        with dependencies.database().read() as connection:
            return [asdict(entry) | {"name": entry.name} for entry in catalogue_store.datastores(connection)]

    @rpc
    def create_datastore(self, **fields: Any) -> dict[str, Any]:
        """Add a version to the catalogue."""
        return asdict(catalogue.create(dependencies.database(), dependencies.settings().managers, **fields))

    @rpc
    def update_datastore(self, datastore_id: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Change an entry of the catalogue."""
        return asdict(
            catalogue.update(dependencies.database(), dependencies.settings().managers, datastore_id, changes)
        )

    @rpc
    def delete_datastore(self, datastore_id: str) -> dict[str, Any]:
        """Take an entry out of the choice."""
        return asdict(catalogue.remove(dependencies.database(), dependencies.settings().managers, datastore_id))

    @rpc
    def plan_create(self, spec: dict[str, Any]) -> dict[str, Any]:
        """What making a cluster would run on its hosts."""
        with dependencies.database().read() as connection:
            entry = catalogue_store.datastore(connection, spec["datastore_id"])
        manager = dependencies.manager_for(entry)
        return planning.plan_create(manager, spec["names"], spec["ram_mb"], spec["vcpus"], spec.get("volume_gb") or 0,
                                    spec.get("mode") or "", spec.get("parameters"),
                                    addressed=bool(spec.get("addressed")))  # fmt: skip

    @rpc
    def plan_nodes(self, spec: dict[str, Any]) -> dict[str, Any]:
        """What adding replicas to a cluster would run on its hosts."""
        manager, cluster, there = _at_hand(spec["cluster_id"])
        return planning.plan_nodes(manager, cluster, there, spec["names"], spec["mode"])

    @rpc
    def plan_takeover(self, spec: dict[str, Any]) -> dict[str, Any]:
        """What a switchover or a failover would run on a cluster's hosts."""
        manager, cluster, there = _at_hand(spec["cluster_id"])
        return planning.plan_takeover(manager, cluster, there, spec["instance_id"], fenced=spec["fenced"])

    @rpc
    def plan_parameters(self, spec: dict[str, Any]) -> dict[str, Any]:
        """What a change of a cluster's parameters would write and run on its hosts."""
        manager, cluster, there = _at_hand(spec["cluster_id"])
        with dependencies.database().read() as connection:
            known = parameter_store.definitions(connection, cluster.datastore_id)
        values, at_once = spec["values"], spec["restart_now"]
        return parameter_plans.plan_change(manager, cluster, there, values, known, restart_now=at_once)

    @rpc
    def plan_roll(self, spec: dict[str, Any]) -> dict[str, Any]:
        """What starting, stopping or restarting a cluster would run on its hosts."""
        manager, cluster, there = _at_hand(spec["cluster_id"])
        return planning.plan_roll(manager, cluster, there, spec["action"], spec["instance_id"])

    @rpc
    def plan_accounts(self, spec: dict[str, Any]) -> dict[str, Any]:
        """What changing databases and users would run on a cluster's hosts."""
        manager, cluster, there = _at_hand(spec["cluster_id"])
        return planning.plan_accounts(manager, cluster, there, spec["changes"])

    @rpc
    def plan_import(self, spec: dict[str, Any]) -> dict[str, Any]:
        """What an import would run on a cluster's primary, what is in it, and what it meets there."""
        manager, cluster, there = _at_hand(spec["cluster_id"])
        within, listed = actions.import_at_hand(dependencies.database(), spec)
        return import_plans.plan_import(manager, cluster, there, within, listed)

    @rpc
    def plan_resize(self, spec: dict[str, Any]) -> dict[str, Any]:
        """What larger volumes, or other servers, would run on a cluster's hosts."""
        manager, cluster, there = _at_hand(spec["cluster_id"])
        flavor = load(Flavor, spec["flavor"]) if spec["flavor"] else None
        return resize_plans.plan_resize(manager, cluster, there, spec["volume_gb"], flavor)

    @rpc
    def plan_restore(self, spec: dict[str, Any]) -> dict[str, Any]:
        """What a restore in place, its undoing or its confirmation would run on a cluster's hosts."""
        return restore_plans.plan_restore(*_at_hand(spec["cluster_id"]), spec["action"], spec.get("told", ""))

    @rpc
    def perform(self, instance_id: str, name: str, *cmds: str) -> str:
        """Run commands on an instance, as the seed's task did; returns the operation's id."""
        return actions.perform(dependencies.database(), instance_id, name, cmds)
