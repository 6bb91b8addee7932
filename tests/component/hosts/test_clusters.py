"""Clusters from wish to end in datastore_agentless's own tables, on both engines, with simulated hosts."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from services.datastore_agentless import actions, catalogue
from services.datastore_agentless.datastores import load_manager
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Status
from services.datastore_agentless.hosts.ssh import SshPool
from services.datastore_agentless.settings import BUILT_IN
from services.datastore_agentless.store import catalogue as stored
from services.datastore_agentless.store import clusters, transcripts
from services.datastore_agentless.workflows.on_host import Hosts
from services.datastore_agentless.workflows.perform import Perform
from services.datastore_agentless.workflows.prepare_node import PrepareNode
from shared.contracts.api import (
    AccessRequested,
    BackupRequested,
    ClusterDeleteRequested,
    ClusterRequested,
    OperationRetryRequested,
    PerformRequested,
)
from shared.contracts.provisioner import InstanceActive, InstanceDeleted, InstanceFailed
from shared.contracts.values import DatastoreRef, Flavor, InstanceRef, Problem, TranscriptEntry, VolumeRef
from shared.db import Database
from shared.engine import StepEngine
from shared.errors import Conflict, Failure, NotFound

REF = DatastoreRef(id="ds", manager="pgsql", version="15", image="debian-12", packages=("postgresql-15",))


def manager_for(entry: Datastore) -> Any:
    return load_manager(entry.manager_class, entry, BUILT_IN)


def admin_user(entry: Datastore) -> str:
    return str(manager_for(entry).admin_user)


def wish(cluster: str = "c", nodes: int = 1, datastore: DatastoreRef = REF) -> ClusterRequested:
    return ClusterRequested(
        cluster_id=cluster, operation_id=f"make-{cluster}", project_id="p", name=cluster, size=nodes, datastore=datastore,
        flavor=Flavor(id="tiny", name="tiny", vcpus=1, ram_mb=512, disk_gb=5),
        instances=tuple(InstanceRef(id=f"{cluster}-{n}", name=f"{cluster}-{n}") for n in range(nodes)),
    )  # fmt: skip


def up(instance: str, cluster: str = "c", **values: Any) -> InstanceActive:
    return InstanceActive(
        instance_id=instance, cluster_id=cluster, operation_id=f"make-{cluster}", server="s", user="root",
        addr=f"sim-{instance}.invalid", host_key="ssh-ed25519 AAAA", **values,
    )  # fmt: skip


def gone(instance: str, cluster: str = "c") -> InstanceDeleted:
    return InstanceDeleted(instance_id=instance, cluster_id=cluster, operation_id="end")


def goodbye(cluster: str = "c", nodes: int = 1) -> ClusterDeleteRequested:
    ids = tuple(f"{cluster}-{n}" for n in range(nodes))
    return ClusterDeleteRequested(cluster_id=cluster, operation_id="end", project_id="p", instance_ids=ids)


def said(database: Database, topic: str) -> list[dict[str, Any]]:
    """What was announced under a topic, oldest first."""
    t = database.outbox
    with database.read() as connection:
        rows = connection.execute(select(t.c.body).where(t.c.routing_key == topic).order_by(t.c.id)).all()
    return [json.loads(row.body) for row in rows]


def cluster_status(database: Database, cluster: str = "c") -> ClusterStatus:
    with database.read() as connection:
        return clusters.cluster(connection, cluster).status


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Run all in threads that begin together."""
    begin = threading.Barrier(len(works))

    def run(work: Callable[[], Any]) -> Any:
        begin.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as threads:
        return [one.result(30) for one in [threads.submit(run, work) for work in works]]


@pytest.fixture
def engine(database: Database) -> StepEngine:
    hosts = Hosts(database, SshPool(), manager_for)
    flows = (PrepareNode(hosts).workflow(), Perform(hosts).workflow())
    return StepEngine(database, {flow.name: flow for flow in flows})


def work(engine: StepEngine) -> None:
    for _ in range(50):
        if engine.run_due() is None:
            return


def test_a_cluster_becomes_active_with_its_last_node_on_simulated_hosts(database: Database, engine: StepEngine) -> None:
    actions.expect_cluster(database, wish(nodes=2), admin_user)
    actions.issue_key(database, "c")
    actions.prepare_node(database, up("c-0"))
    work(engine)
    assert said(database, "cluster.active") == []
    assert actions.prepare_node(database, up("c-1")) is True
    work(engine)
    assert [one["instance_id"] for one in said(database, "node.ready")] == ["c-0", "c-1"]
    (active,) = said(database, "cluster.active")
    assert active["endpoint"]["url"] == "postgresql://dtrove@sim-c-1.invalid:5432/postgres"
    entries = [entry for event in said(database, "transcript.recorded") for entry in event["entries"]]
    assert [entry["sequence"] for entry in entries] == list(range(1, len(entries) + 1))
    with database.read() as connection:
        node = clusters.instance(connection, "c-0")
    assert node.status == Status.READY
    assert node.host_key.count("ssh-ed25519") == 1
    assert node.host_key != "ssh-ed25519 AAAA"
    assert all(node.admin_password.reveal() not in json.dumps(entry) for entry in entries)


def test_a_host_that_made_its_own_key_keeps_it(database: Database, engine: StepEngine) -> None:
    actions.expect_cluster(database, wish(), admin_user)
    actions.issue_key(database, "c")
    actions.prepare_node(database, up("c-0", keeps_host_key=True))
    work(engine)
    assert cluster_status(database) == ClusterStatus.ACTIVE
    with database.read() as connection:
        assert clusters.instance(connection, "c-0").host_key == "ssh-ed25519 AAAA"


def test_a_volume_that_is_only_attached_is_mounted_where_the_data_goes(database: Database) -> None:
    actions.expect_cluster(database, wish(), admin_user)
    actions.prepare_node(database, up("c-0", volume=VolumeRef(id="v", size_gb=1, device="/dev/vdb", mounted=False)))
    with database.read() as connection:
        node = clusters.instance(connection, "c-0")
    assert (node.volume_device, node.data_dir) == ("/dev/vdb", "/var/lib/dtrove-data")


def test_two_nodes_that_become_ready_at_once_make_one_active_cluster(database: Database, engine: StepEngine) -> None:
    for n in range(5):
        cluster = f"c{n}"
        actions.expect_cluster(database, wish(cluster, nodes=2), admin_user)
        actions.issue_key(database, cluster)
        for one in (0, 1):
            actions.prepare_node(database, up(f"{cluster}-{one}", cluster))
        other = StepEngine(database, engine.workflows, owner="another")
        at_once(lambda: work(engine), lambda other=other: work(other))
        assert cluster_status(database, cluster) == ClusterStatus.ACTIVE
        assert len([one for one in said(database, "cluster.active") if one["cluster_id"] == cluster]) == 1


def test_two_servers_that_go_at_once_leave_no_cluster_behind(database: Database) -> None:
    for n in range(10):
        cluster = f"c{n}"
        actions.expect_cluster(database, wish(cluster, nodes=2), admin_user)
        actions.issue_key(database, cluster)
        actions.release_cluster(database, goodbye(cluster, 2))
        at_once(
            *(lambda one=one, c=cluster: actions.forget_instance(database, gone(f"{c}-{one}", c)) for one in (0, 1))
        )
        assert cluster_status(database, cluster) == ClusterStatus.DELETED
        with database.read() as connection:
            assert stored.key(connection, cluster) is None
    assert len(said(database, "cluster.deleted")) == 10


def test_a_key_that_two_ask_for_at_once_is_one_key(database: Database) -> None:
    for n in range(5):
        keys = at_once(*[lambda n=n: actions.issue_key(database, f"c{n}")] * 4)
        assert len(set(keys)) == 1
        with database.read() as connection:
            pair = stored.key(connection, f"c{n}")
        assert pair is not None
        assert pair.public == keys[0]


def test_no_key_is_made_for_a_cluster_that_is_deleted(database: Database) -> None:
    actions.expect_cluster(database, wish(nodes=0), admin_user)
    actions.release_cluster(database, goodbye(nodes=0))
    with pytest.raises(Conflict):
        actions.issue_key(database, "c")


def test_entries_that_are_numbered_at_once_all_have_a_number_of_their_own(database: Database) -> None:
    entry = TranscriptEntry(sequence=0, host="h", command="true", started_at="", seconds=0.0)

    def number(_: int) -> int:
        with database.write() as tx:
            return transcripts.number(tx, "op", entry).sequence

    with ThreadPoolExecutor(6) as threads:
        assert sorted(threads.map(number, range(30))) == list(range(1, 31))


def test_the_wish_to_make_and_the_wish_to_delete_may_come_at_once(database: Database) -> None:
    for n in range(10):
        cluster = f"c{n}"
        at_once(
            lambda c=cluster: actions.expect_cluster(database, wish(c), admin_user),
            lambda c=cluster: actions.release_cluster(database, goodbye(c)),
        )
        assert actions.forget_instance(database, gone(f"{cluster}-0", cluster)) is True
        assert cluster_status(database, cluster) == ClusterStatus.DELETED


def test_a_datastore_that_is_unknown_here_is_taken_in_as_the_wish_describes_it(database: Database) -> None:
    actions.expect_cluster(database, wish(datastore=replace(REF, id="from-elsewhere", version="16")), admin_user)
    with database.read() as connection:
        entry = stored.datastore(connection, "from-elsewhere")
        cluster = clusters.cluster(connection, "c")
    assert (entry.version, entry.packages, entry.deleted) == ("16", ["postgresql-15"], True)
    assert cluster.datastore_id == "from-elsewhere"


def test_the_same_version_under_another_id_is_the_one_that_is_known(database: Database) -> None:
    catalogue.seed(database, BUILT_IN)
    actions.expect_cluster(database, wish(datastore=replace(REF, id="from-elsewhere")), admin_user)
    with database.read() as connection:
        known = [one for one in stored.datastores(connection) if one.manager == "pgsql"]
        assert clusters.cluster(connection, "c").datastore_id == known[0].id
    assert len(known) == 1


def test_a_cluster_that_no_manager_here_can_make_fails_with_what_to_do(database: Database) -> None:
    actions.expect_cluster(database, wish(datastore=replace(REF, manager="backyard")), admin_user)
    (failed,) = said(database, "cluster.failed")
    assert "there is no datastore manager 'backyard'" in failed["problem"]["message"]
    assert "DTROVE_DATASTORE_MANAGERS" in failed["problem"]["what_to_do"]
    # Its server may still come up, and must be deletable; nothing is prepared on it.
    assert actions.prepare_node(database, up("c-0")) is True
    with database.read() as connection:
        assert connection.execute(select(database.tasks.c.id)).all() == []
    actions.release_cluster(database, goodbye())
    actions.forget_instance(database, gone("c-0"))
    assert cluster_status(database) == ClusterStatus.DELETED


def test_a_manager_that_is_gone_keeps_nobody_from_hearing_of_the_other_datastores(database: Database) -> None:
    with database.write() as tx:
        stored.put(tx, Datastore("x", "gone.away.Manager", "gone", "1", "debian-12"))
    catalogue.seed(database, BUILT_IN)
    told = {one["manager"]: one["deleted"] for one in said(database, "datastore.registered")}
    assert told == {"gone": True, "mysql": False, "pgsql": False, "redis": False}


def test_what_comes_before_its_cluster_is_known_is_asked_for_again(database: Database) -> None:
    problem = Problem(step="create", message="no room")
    failed = InstanceFailed(instance_id="c-0", cluster_id="c", operation_id="make-c", problem=problem)
    assert actions.fail_cluster(database, failed) is False
    assert actions.prepare_node(database, up("c-0")) is False
    assert actions.forget_instance(database, gone("c-0")) is False
    actions.expect_cluster(database, wish(), admin_user)
    assert actions.fail_cluster(database, failed) is True
    assert cluster_status(database) == ClusterStatus.FAILED
    assert actions.fail_cluster(database, failed) is True
    assert len(said(database, "cluster.failed")) == 1


def test_a_deleted_server_stays_deleted_though_its_last_step_ends_later(database: Database) -> None:
    actions.expect_cluster(database, wish(nodes=2), admin_user)
    with database.read() as connection:
        held = clusters.instance(connection, "c-0")
    actions.release_cluster(database, goodbye(nodes=2))
    actions.forget_instance(database, gone("c-0"))
    with database.write() as tx:
        assert clusters.change_instance(tx, held, status=Status.READY) is None
    actions.forget_instance(database, gone("c-1"))
    assert cluster_status(database) == ClusterStatus.DELETED


def test_a_failed_cluster_goes_on_after_a_retry(database: Database, engine: StepEngine) -> None:
    actions.expect_cluster(database, wish(), admin_user)
    actions.prepare_node(database, up("c-0"))
    work(engine)
    # There is no key: nobody asked for one.
    assert cluster_status(database) == ClusterStatus.FAILED
    actions.issue_key(database, "c")
    actions.retry_operation(database, OperationRetryRequested(operation_id="make-c", cluster_id="c"))
    work(engine)
    assert cluster_status(database) == ClusterStatus.ACTIVE


def test_credentials_of_a_cluster_that_is_unknown_or_deleted_are_not_found(database: Database) -> None:
    with pytest.raises(NotFound):
        actions.credentials(database, "c")
    actions.expect_cluster(database, wish(), admin_user)
    user, password = actions.credentials(database, "c")
    assert user == "dtrove"
    assert len(password.reveal()) == 24
    actions.release_cluster(database, goodbye())
    actions.forget_instance(database, gone("c-0"))
    with pytest.raises(NotFound):
        actions.credentials(database, "c")


def test_commands_for_an_instance_that_is_gone_end_with_a_failure(database: Database) -> None:
    ids: dict[str, Any] = {"operation_id": "op", "cluster_id": "c", "project_id": "p", "instance_id": "nobody"}
    actions.request_perform(database, PerformRequested(name="look", commands=("id",), **ids))
    actions.request_access(database, AccessRequested(public_key="k", minutes=5, **ids))
    actions.request_backup(database, BackupRequested(operation_id="op", backup_id="b", cluster_id="c", project_id="p"))
    (performed,), (access,), (backup,) = (said(database, f"{t}.failed") for t in ("perform", "access", "backup"))
    assert "no instance nobody" in performed["problem"]["message"]
    assert "no instance nobody" in access["problem"]["message"]
    assert backup["backup_id"] == "b"


def test_perform_over_rpc_is_told_to_the_api_and_its_output_streams(database: Database, engine: StepEngine) -> None:
    actions.expect_cluster(database, wish(), admin_user)
    actions.issue_key(database, "c")
    actions.prepare_node(database, up("c-0"))
    work(engine)
    operation = actions.perform(database, "c-0", "look", ("uptime", "df -h"))
    work(engine)
    (begun,) = said(database, "perform.begun")
    assert (begun["operation_id"], begun["project_id"], begun["commands"]) == (operation, "p", ["uptime", "df -h"])
    output = "".join(
        one["output"] for one in said(database, "operation.progressed") if one["operation_id"] == operation
    )
    assert output == (
        "[root@sim-c-0.invalid] run: uptime\nout: simulated: uptime\n"
        "[root@sim-c-0.invalid] run: df -h\nout: simulated: df -h\ndone.\n"
    )
    (done,) = said(database, "perform.completed")
    assert [one["exit_code"] for one in done["results"]] == [0, 0]


def test_connection_info_has_the_key_that_is_stored_for_the_server(database: Database) -> None:
    actions.expect_cluster(database, wish(), admin_user)
    with database.read() as connection:
        bare = clusters.instance(connection, "c-0")
    with pytest.raises(Failure, match="has no SSH key"):
        _ = bare.connection_info
    public = actions.issue_key(database, "c")
    actions.prepare_node(database, up("c-0", reach={"22": "127.0.0.1:2222"}))
    with database.read() as connection:
        node = clusters.instance(connection, "c-0")
    assert node.key is not None
    assert node.key.public == public
    info = node.connection_info
    assert (info.host, info.port, info.user) == ("127.0.0.1", 2222, "root")
    assert "OPENSSH PRIVATE KEY" in info.private_key.reveal()
    assert info.private_key.reveal() not in repr(node)
