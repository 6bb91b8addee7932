"""What comes at the same moment, or in the wrong order, ends as if it had come one after the other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import delete

from services.datastore_agentless import actions
from services.datastore_agentless.catalogue import create, seed
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.instance import Status
from services.datastore_agentless.settings import BUILT_IN
from services.datastore_agentless.store import catalogue as stored
from services.datastore_agentless.store import clusters, tables, transcripts
from shared.contracts.provisioner import InstanceFailed
from shared.contracts.values import Problem, TranscriptEntry
from shared.db import Database
from shared.engine import StepEngine
from shared.errors import Conflict
from tests.component.hosts.wishes import (
    admin_user,
    at_once,
    cluster_status,
    gone,
    goodbye,
    said,
    up,
    wish,
    work,
    work_now,
)


def test_two_nodes_that_become_ready_at_once_make_one_active_cluster(database: Database, engine: StepEngine) -> None:
    for n in range(5):
        cluster = f"c{n}"
        actions.expect_cluster(database, wish(cluster, nodes=2), admin_user)
        actions.issue_key(database, cluster)
        for one in (0, 1):
            actions.prepare_node(database, up(f"{cluster}-{one}", cluster))
        other = StepEngine(database, engine.workflows, owner="another")
        at_once(lambda: work_now(engine), lambda other=other: work_now(other))
        work(engine)
        assert cluster_status(database, cluster) == ClusterStatus.ACTIVE
        assert len([one for one in said(database, "cluster.active") if one["cluster_id"] == cluster]) == 1


def test_replicas_that_start_at_once_make_each_first_entry_of_the_catalogue_once(database: Database) -> None:
    def forget() -> None:
        with database.write() as tx:
            tx.connection.execute(delete(tables.datastores))

    for _ in range(5):
        forget()
        at_once(*[lambda: seed(database, BUILT_IN)] * 4)
        with database.read() as connection:
            assert [one.manager for one in stored.datastores(connection)] == ["mysql", "pgsql", "redis"]


def test_one_version_that_two_register_at_once_is_one_entry_and_a_refusal(database: Database) -> None:
    def register(version: str) -> bool:
        try:
            create(database, BUILT_IN, manager="pgsql", version=version, image="debian-12", packages=["postgresql"],
                   default_parameters={})  # fmt: skip
        except Conflict:
            return False
        return True

    for version in ("16", "17", "18"):
        with ThreadPoolExecutor(2) as threads:
            assert sorted(threads.map(register, [version] * 2)) == [False, True]


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
