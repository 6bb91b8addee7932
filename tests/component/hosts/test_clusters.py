"""Clusters from wish to end in datastore_agentless's own tables, on both engines, with simulated hosts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from services.datastore_agentless import actions, catalogue
from services.datastore_agentless.datastores.pgsql.topology import StreamingReplication
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Status
from services.datastore_agentless.settings import BUILT_IN
from services.datastore_agentless.store import catalogue as stored
from services.datastore_agentless.store import clusters
from shared.contracts.api import (
    AccessRequested,
    BackupRequested,
    OperationRetryRequested,
    PerformRequested,
)
from shared.contracts.base import new_id
from shared.contracts.values import VolumeRef
from shared.db import Database
from shared.db.outbox import Outbox
from shared.engine import StepEngine
from shared.errors import Conflict, Failure, NotFound
from tests.component.hosts.sshd import Sshd
from tests.component.hosts.wishes import (
    REF,
    admin_user,
    back_up,
    cluster_status,
    gone,
    goodbye,
    said,
    up,
    wish,
    work,
)
from tests.support.outbox import send_all


@pytest.mark.parametrize("order", ["c-0 c-1 c-2", "c-2 c-1 c-0", "c-1 c-0 c-2"])
def test_a_cluster_becomes_active_with_its_last_node_on_simulated_hosts(
    database: Database, engine: StepEngine, order: str
) -> None:
    actions.expect_cluster(database, wish(nodes=3), admin_user)
    actions.issue_key(database, "c")
    *first, last = order.split()
    for node in first:
        assert actions.prepare_node(database, up(node)) is True
        work(engine)
    assert said(database, "cluster.active") == []
    assert actions.prepare_node(database, up(last)) is True
    work(engine)
    ready = [one["instance_id"] for one in said(database, "node.ready")]
    assert sorted(ready) == ["c-0", "c-1", "c-2"]
    # A replica is none before it follows, and it follows nobody before the primary answers.
    assert ready[0] == "c-0"
    (active,) = said(database, "cluster.active")
    assert active["primary_id"] == "c-0"
    assert active["endpoint"] == {
        "primary": {"host": "sim-c-0.invalid", "port": 5432},
        "replicas": [{"host": "sim-c-1.invalid", "port": 5432}, {"host": "sim-c-2.invalid", "port": 5432}],
        "url": "postgresql://dtrove@sim-c-0.invalid:5432,sim-c-1.invalid:5432,sim-c-2.invalid:5432/postgres"
        "?target_session_attrs=read-write",
        "address": None,
    }
    entries = [entry for event in said(database, "transcript.recorded") for entry in event["entries"]]
    assert [entry["sequence"] for entry in entries] == list(range(1, len(entries) + 1))
    with database.read() as connection:
        node = clusters.instance(connection, "c-1")
    assert node.status == Status.READY
    assert node.host_key.count("ssh-ed25519") == 1
    assert node.host_key != "ssh-ed25519 AAAA"
    for secret in node.secrets:
        assert secret.reveal()
        assert all(secret.reveal() not in json.dumps(entry) for entry in entries)


def test_a_replica_that_cannot_follow_fails_its_cluster_and_a_retry_lets_it_follow(
    database: Database, engine: StepEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    actions.expect_cluster(database, wish(nodes=2), admin_user)
    actions.issue_key(database, "c")

    def refused(*_: Any) -> Any:
        raise Failure("the disk is full", what_to_do="make room")

    with monkeypatch.context() as patched:
        patched.setattr(StreamingReplication, "join", refused)
        for node in ("c-0", "c-1"):
            actions.prepare_node(database, up(node))
        work(engine)
    assert cluster_status(database) == ClusterStatus.FAILED
    (failed,) = said(database, "cluster.failed")
    assert (failed["problem"]["step"], failed["problem"]["host"]) == ("join", "c-1")
    actions.retry_operation(database, OperationRetryRequested(operation_id="make-c", cluster_id="c"))
    work(engine)
    assert cluster_status(database) == ClusterStatus.ACTIVE
    assert len(said(database, "cluster.active")) == 1


def test_nodes_with_names_and_ids_of_any_length_become_a_cluster(database: Database, engine: StepEngine) -> None:
    # Of two engines one does not look at how long a text is.
    cluster, servers = new_id(), [f"local:{new_id()}{new_id()}"[:64] for _ in range(2)]
    actions.expect_cluster(database, wish(cluster, nodes=2), admin_user)
    actions.issue_key(database, cluster)
    for number, server in enumerate(servers):
        actions.prepare_node(
            database, replace(up(f"{cluster}-{number}", cluster), operation_id=new_id(), server=server)
        )
    work(engine)
    assert cluster_status(database, cluster) == ClusterStatus.ACTIVE


def test_a_server_that_was_made_anew_follows_anew(database: Database, engine: StepEngine) -> None:
    actions.expect_cluster(database, wish(nodes=2), admin_user)
    actions.issue_key(database, "c")
    for node in ("c-0", "c-1"):
        actions.prepare_node(database, up(node))
    work(engine)
    actions.prepare_node(database, replace(up("c-1"), server="another"))
    work(engine)
    assert [one["instance_id"] for one in said(database, "node.ready")].count("c-1") == 2


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


def test_no_key_is_made_for_a_cluster_that_is_deleted(database: Database) -> None:
    actions.expect_cluster(database, wish(nodes=0), admin_user)
    actions.release_cluster(database, goodbye(nodes=0))
    with pytest.raises(Conflict):
        actions.issue_key(database, "c")


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
    back_up(database, BackupRequested(operation_id="op", backup_id="b", cluster_id="c", project_id="p"))
    (performed,), (access,), (backup,) = (said(database, f"{t}.failed") for t in ("perform", "access", "backup"))
    assert "no instance nobody" in performed["problem"]["message"]
    assert "no instance nobody" in access["problem"]["message"]
    assert backup["backup_id"] == "b"


def test_a_backup_that_is_asked_for_again_is_answered_again(database: Database) -> None:
    asked = BackupRequested(operation_id="op", backup_id="b", cluster_id="c", project_id="p")
    back_up(database, asked)
    outbox = Outbox(database)
    send_all(database)
    assert outbox.depth() == 0
    back_up(database, asked)
    assert outbox.depth() == 1
    assert len(said(database, "backup.failed")) == 1


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


def test_a_host_with_another_key_blocks_the_work_and_an_event_tells_of_it(
    database: Database, engine: StepEngine, own_sshd: Sshd
) -> None:
    pinned = own_sshd.host_key
    own_sshd.stop()
    own_sshd.change_key()
    own_sshd.start()
    actions.expect_cluster(database, wish(), admin_user)
    actions.issue_key(database, "c")
    actions.prepare_node(
        database, replace(up("c-0"), addr="127.0.0.1", ssh_port=own_sshd.port, host_key=pinned, event_id="other")
    )
    work(engine)
    (changed,) = said(database, "node.identity_changed")
    assert (changed["instance_id"], changed["expected"], changed["seen"]) == ("c-0", pinned, own_sshd.host_key)
    (failed,) = said(database, "cluster.failed")
    assert "shows another host key than the pinned one" in failed["problem"]["message"]
    assert "Accepted" not in own_sshd.log()
