"""Clusters over HTTP: what was asked is there at once, and every wish has an end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import update

from services.api.actions.access import DEFAULT_PROJECT
from services.api.store import tables
from shared.contracts import datastore_agentless as databases
from shared.contracts import provisioner
from shared.contracts.operations import OperationProgressed
from shared.contracts.values import Address, Endpoint, Flavor, Problem, StableAddress
from tests.support.api import Api

PROBLEM = Problem(
    step="prepare", message="apt-get failed", command="apt-get install x", stderr="E: no x", host="shop-1"
)


def active(api: Api, cluster: str, operation: str) -> None:
    """Tell the API that a cluster was built and serves."""
    node = api.get(f"/v1/clusters/{cluster}")["instances"][0]["id"]
    ids = {"cluster_id": cluster, "operation_id": operation}
    where = Address(host="10.0.0.7", port=5432)
    api.hear(
        provisioner.InstanceActive(instance_id=node, **ids, server="s", addr="10.0.0.7", user="root", host_key="k"),
        databases.NodeReady(instance_id=node, **ids),
        databases.ClusterActive(
            **ids, endpoint=Endpoint(primary=where, url="postgresql://dtrove@10.0.0.7:5432/postgres")
        ),
    )


def gone(api: Api, cluster: str, operation: str) -> None:
    """Tell the API that nothing of a cluster is left."""
    api.hear(databases.ClusterDeleted(cluster_id=cluster, operation_id=operation))


def test_a_cluster_is_in_the_list_as_soon_as_it_was_asked_for(api: Api) -> None:
    cluster, operation = api.create("shop", volume_gb=3)
    (listed,) = api.get("/v1/clusters")["clusters"]
    assert listed | {"health": None, "restorable": None} == api.get(f"/v1/clusters/{cluster}")
    assert (listed["name"], listed["status"], listed["operation"], listed["volume_gb"]) == (
        "shop",
        "requested",
        operation,
        3,
    )
    assert api.operation(operation)["status"] == "pending"
    (wish,) = [row for row in api.rows("outbox") if row.routing_key == "cluster.requested"]
    assert cluster in wish.body


@pytest.mark.parametrize("name", ["mysql 10.11", "mysql - 10.11", "MariaDB 10.11", None])
def test_a_datastore_is_chosen_by_name_or_by_id(api: Api, name: str | None) -> None:
    (mysql,) = [one for one in api.get("/v1/datastores")["datastores"] if one["manager"] == "mysql"]
    cluster, _ = api.create("shop", datastore=name or mysql["id"])
    assert api.get(f"/v1/clusters/{cluster}")["datastore"]["id"] == mysql["id"]


def test_events_of_the_bus_become_what_users_see(api: Api) -> None:
    cluster, operation = api.create()
    active(api, cluster, operation)
    shown = api.get(f"/v1/clusters/{cluster}")
    assert (shown["status"], shown["operation"], shown["endpoint"]["primary"]) == (
        "active", None, {"host": "10.0.0.7", "port": 5432},
    )  # fmt: skip
    (node,) = shown["instances"]
    assert (node["status"], node["addr"]) == ("active", "10.0.0.7")
    assert api.get(f"/v1/clusters/{cluster}/instances")["instances"][0]["id"] == node["id"]
    assert api.get(f"/v1/instances/{node['id']}")["cluster"] == cluster
    ended = api.operation(operation)
    assert (ended["status"], ended["percent"]) == ("succeeded", 100)
    types = [event["type"] for event in api.get("/v1/events")["events"]]
    assert types == ["cluster.requested", "instance.active", "node.ready", "cluster.active"]


@pytest.mark.parametrize(("datastore", "asked", "mode"), [
    ("pgsql 15", {}, "async"), ("pgsql 15", {"topology": {"mode": "sync"}}, "sync"), ("redis 7.0", {}, "async"),
])  # fmt: skip
def test_several_nodes_have_a_mode_as_asked_or_as_is_usual(
    api: Api, datastore: str, asked: dict[str, Any], mode: str
) -> None:
    cluster, _ = api.create("shop", datastore=datastore, size=3, **asked)
    (listed,) = api.get("/v1/clusters")["clusters"]
    assert listed | {"health": None, "restorable": None} == api.get(f"/v1/clusters/{cluster}")
    assert listed["topology"] == {"mode": mode, "failover": "automatic"}
    assert [node["name"] for node in listed["instances"]] == ["shop-1", "shop-2", "shop-3"]
    (wish,) = [row for row in api.rows("outbox") if row.routing_key == "cluster.requested"]
    assert json.loads(wish.body)["topology"] == {"mode": mode, "failover": "automatic"}


def test_one_node_has_no_mode(api: Api) -> None:
    cluster, _ = api.create()
    assert api.get(f"/v1/clusters/{cluster}")["topology"] is None


def test_each_node_has_a_role_once_the_primary_is_known(api: Api) -> None:
    cluster, operation = api.create(size=2)
    nodes = api.get(f"/v1/clusters/{cluster}")["instances"]
    assert [node["role"] for node in nodes] == [None, None]
    where = Endpoint(
        primary=Address(host="10.0.0.8", port=5432), replicas=(Address(host="10.0.0.7", port=5432),), url="x"
    )
    api.hear(
        databases.ClusterActive(cluster_id=cluster, operation_id=operation, endpoint=where, primary_id=nodes[1]["id"])
    )
    assert [node["role"] for node in api.get(f"/v1/clusters/{cluster}")["instances"]] == ["replica", "primary"]


def test_credentials_are_shown_to_members_and_their_reading_is_written_down(api: Api) -> None:
    cluster, operation = api.create()
    active(api, cluster, operation)
    shown = api.get(f"/v1/clusters/{cluster}/credentials")
    assert shown["url"] == f"postgresql://dtrove:{shown['password']}@10.0.0.7:5432/postgres"
    audited = [(row.action, row.subject) for row in api.rows("audit")]
    assert audited == [("POST /v1/clusters", cluster), ("credentials.read", cluster)]
    assert api.ask("GET", f"/v1/clusters/{cluster}/credentials", token=api.reader).status_code == 403


def test_a_clusters_own_address_is_shown_with_its_endpoint_and_a_login_goes_by_it_too(api: Api) -> None:
    cluster, operation = api.create()
    own = StableAddress(host="10.0.0.250", port=5432, url="postgresql://dtrove@10.0.0.250:5432/postgres")
    where = Endpoint(
        primary=Address(host="10.0.0.7", port=5432), url="postgresql://dtrove@10.0.0.7:5432/postgres", address=own
    )
    api.hear(databases.ClusterActive(cluster_id=cluster, operation_id=operation, endpoint=where))
    assert api.get(f"/v1/clusters/{cluster}")["endpoint"]["address"] == vars(own)
    login = api.get(f"/v1/clusters/{cluster}/credentials")
    assert login["address_url"] == f"postgresql://dtrove:{login['password']}@10.0.0.250:5432/postgres"
    assert login["url"] == f"postgresql://dtrove:{login['password']}@10.0.0.7:5432/postgres"
    plan = api.ask("DELETE", f"/v1/clusters/{cluster}?plan=true").json["plan"]
    assert "the cluster's address 10.0.0.250" in plan["lost"]


def test_a_cluster_of_an_older_release_has_no_address_of_its_own(api: Api) -> None:
    cluster, operation = api.create()
    active(api, cluster, operation)
    with api.database.write() as tx:
        older = {
            "primary": {"host": "10.0.0.7", "port": 5432},
            "replicas": [],
            "url": "postgresql://dtrove@10.0.0.7:5432/postgres",
        }
        tx.connection.execute(update(tables.clusters).values(endpoint=older))
    for shown in (api.get(f"/v1/clusters/{cluster}"), api.get("/v1/clusters")["clusters"][0]):
        assert shown["endpoint"] == {**older, "address": None}
    assert api.get(f"/v1/clusters/{cluster}/credentials")["address_url"] is None


def test_where_no_flavor_is_named_the_smallest_of_1024_mb_or_more_is_taken(api: Api) -> None:
    cluster, _ = api.create()
    assert api.get(f"/v1/clusters/{cluster}")["flavor"]["name"] == "medium"
    api.hear(provisioner.FlavorsListed(
        provider="x", flavors=(Flavor(id="1", name="only", vcpus=1, ram_mb=512, disk_gb=5),),
        supports_volumes=True, supports_snapshots=True,
    ))  # fmt: skip
    cluster, _ = api.create("other")
    assert api.get(f"/v1/clusters/{cluster}")["flavor"]["name"] == "only"


def test_a_failed_create_says_why_and_can_be_retried_to_its_end(api: Api) -> None:
    cluster, operation = api.create()
    api.hear(databases.ClusterFailed(cluster_id=cluster, operation_id=operation, problem=PROBLEM))
    assert api.get(f"/v1/clusters/{cluster}")["message"] == "apt-get failed"
    failed = api.operation(operation)
    assert (failed["status"], failed["problem"]["stderr"]) == ("failed", "E: no x")
    answer = api.ask("POST", f"/v1/operations/{operation}/retry")
    assert (answer.status_code, answer.json["status"], answer.json["problem"]) == (202, "running", None)
    shown = api.get(f"/v1/clusters/{cluster}")
    assert (shown["status"], shown["operation"]) == ("building", operation)
    assert api.ask("POST", f"/v1/operations/{operation}/retry").status_code == 409
    active(api, cluster, operation)
    assert api.get(f"/v1/clusters/{cluster}")["status"] == "active"
    assert api.operation(operation)["status"] == "succeeded"


def test_a_create_whose_server_failed_can_be_retried(api: Api) -> None:
    cluster, operation = api.create()
    node = api.get(f"/v1/clusters/{cluster}")["instances"][0]["id"]
    ids = {"cluster_id": cluster, "operation_id": operation}
    api.hear(
        provisioner.InstanceFailed(instance_id=node, **ids, problem=PROBLEM),
        databases.ClusterFailed(**ids, problem=PROBLEM),
    )
    assert api.get(f"/v1/instances/{node}")["status"] == "failed"
    assert api.ask("POST", f"/v1/operations/{operation}/retry").status_code == 202
    active(api, cluster, operation)
    shown = api.get(f"/v1/clusters/{cluster}")
    assert (shown["status"], shown["instances"][0]["status"]) == ("active", "active")


def test_a_delete_whose_server_could_not_be_removed_has_failed_and_can_be_asked_for_again(api: Api) -> None:
    cluster, operation = api.create()
    node = api.get(f"/v1/clusters/{cluster}")["instances"][0]["id"]
    active(api, cluster, operation)
    first = api.ask("DELETE", f"/v1/clusters/{cluster}").headers["Location"].rpartition("/")[2]
    stuck = Problem(step="destroy", message="the cloud refused", what_to_do="mend it, then retry")
    api.hear(provisioner.InstanceFailed(instance_id=node, cluster_id=cluster, operation_id=first, problem=stuck))
    failed = api.operation(first)
    assert (failed["status"], failed["problem"]["message"]) == ("failed", "the cloud refused")
    second = api.ask("DELETE", f"/v1/clusters/{cluster}").headers["Location"].rpartition("/")[2]
    assert second != first
    gone(api, cluster, second)
    assert api.operation(second)["status"] == "succeeded"


@pytest.mark.parametrize("state", ["requested", "building", "active", "failed"])
def test_a_cluster_is_deleted_in_any_state_and_asking_twice_is_asking_once(api: Api, state: str) -> None:
    cluster, operation = api.create()
    node = api.get(f"/v1/clusters/{cluster}")["instances"][0]["id"]
    ids = {"cluster_id": cluster, "operation_id": operation}
    if state == "building":
        api.hear(provisioner.InstanceActive(instance_id=node, **ids, server="s", addr="a", user="u", host_key="k"))
    if state == "active":
        active(api, cluster, operation)
    if state == "failed":
        api.hear(databases.ClusterFailed(**ids, problem=PROBLEM))
    assert api.get(f"/v1/clusters/{cluster}")["status"] == state
    first = api.ask("DELETE", f"/v1/clusters/{cluster}")
    second = api.ask("DELETE", f"/v1/clusters/{cluster}")
    assert (first.status_code, first.json["status"]) == (202, "deleting")
    assert first.headers["Location"] == second.headers["Location"]
    delete = first.headers["Location"].rpartition("/")[2]
    assert api.operation(operation)["status"] == {"active": "succeeded", "failed": "failed"}.get(state, "cancelled")
    gone(api, cluster, delete)
    assert api.operation(delete)["status"] == "succeeded"
    for method in ("GET", "DELETE"):
        assert api.ask(method, f"/v1/clusters/{cluster}").status_code == 404
    assert api.ask("GET", f"/v1/instances/{node}").status_code == 404
    assert api.create("shop")[0] != cluster


def test_what_is_heard_late_does_not_raise_the_dead(api: Api) -> None:
    cluster, operation = api.create()
    delete = api.ask("DELETE", f"/v1/clusters/{cluster}").headers["Location"].rpartition("/")[2]
    active(api, cluster, operation)
    assert api.get(f"/v1/clusters/{cluster}")["status"] == "deleting"
    gone(api, cluster, delete)
    assert api.get("/v1/clusters")["clusters"] == []
    assert api.operation(operation)["status"] == "cancelled"


def test_a_delete_that_failed_says_so_and_can_be_asked_for_again(api: Api) -> None:
    cluster, operation = api.create()
    active(api, cluster, operation)
    first = api.ask("DELETE", f"/v1/clusters/{cluster}").headers["Location"].rpartition("/")[2]
    api.hear(
        OperationProgressed(operation_id=first, cluster_id=cluster, service="provisioner", kind="delete_instance",
                            step="destroy", status="failed", sequence=1, host="shop-1", message="the cloud is away")
    )  # fmt: skip
    assert api.operation(first)["problem"]["message"] == "the cloud is away"
    shown = api.get(f"/v1/clusters/{cluster}")
    assert (shown["status"], shown["operation"]) == ("deleting", None)
    assert "the cloud is away" in shown["message"]
    second = api.ask("DELETE", f"/v1/clusters/{cluster}").headers["Location"].rpartition("/")[2]
    assert second != first
    gone(api, cluster, second)
    assert api.get("/v1/clusters")["clusters"] == []


def test_a_cancelled_create_is_undone_whole(api: Api) -> None:
    cluster, operation = api.create()
    for _ in range(2):
        answer = api.ask("POST", f"/v1/operations/{operation}/cancel")
        assert (answer.status_code, answer.json["status"]) == (202, "cancelling")
    wishes = [row.routing_key for row in api.rows("outbox")]
    assert wishes.count("cluster.delete_requested") == 1
    api.hear(databases.ClusterFailed(cluster_id=cluster, operation_id=operation, problem=PROBLEM))
    assert api.operation(operation)["status"] == "cancelling"
    gone(api, cluster, operation)
    assert api.operation(operation)["status"] == "cancelled"
    assert api.get("/v1/clusters")["clusters"] == []
    assert api.ask("POST", f"/v1/operations/{operation}/cancel").status_code == 409
    assert api.ask("POST", f"/v1/operations/{operation}/retry").status_code == 409


def test_a_delete_cannot_be_cancelled(api: Api) -> None:
    cluster, _ = api.create()
    delete = api.ask("DELETE", f"/v1/clusters/{cluster}").headers["Location"].rpartition("/")[2]
    assert api.ask("POST", f"/v1/operations/{delete}/cancel").status_code == 409


def test_a_protected_cluster_is_not_deleted_until_its_protection_is_taken_off(api: Api) -> None:
    cluster, _ = api.create(deletion_protection=True)
    refused = api.ask("DELETE", f"/v1/clusters/{cluster}")
    assert refused.status_code == 409
    assert "deletion_protection" in refused.json["detail"]
    assert (
        api.ask("PATCH", f"/v1/clusters/{cluster}", {"deletion_protection": False}).json["deletion_protection"] is False
    )
    assert api.ask("DELETE", f"/v1/clusters/{cluster}").status_code == 202


def test_a_cluster_is_renamed_but_not_to_a_name_that_is_taken(api: Api) -> None:
    cluster, _ = api.create("shop")
    api.create("till")
    assert api.ask("PATCH", f"/v1/clusters/{cluster}", {"name": "till"}).status_code == 409
    assert api.ask("PATCH", f"/v1/clusters/{cluster}", {"name": "store"}).json["name"] == "store"
    assert api.ask("PATCH", f"/v1/clusters/{cluster}", {}).json["name"] == "store"
    assert [one["name"] for one in api.get("/v1/clusters?name=store")["clusters"]] == ["store"]


def test_a_second_change_waits_for_the_first(api: Api) -> None:
    cluster, operation = api.create()
    active(api, cluster, operation)
    assert api.ask("POST", f"/v1/clusters/{cluster}/backups").status_code == 202
    refused = api.ask("POST", f"/v1/clusters/{cluster}/backups")
    assert refused.status_code == 409
    assert "under way" in refused.json["detail"]


def test_perform_runs_beside_other_operations_and_its_results_are_kept(api: Api) -> None:
    cluster, operation = api.create()
    node = api.get(f"/v1/clusters/{cluster}")["instances"][0]["id"]
    wish = {"name": "look", "commands": ["uptime", "id"]}
    assert api.ask("POST", f"/v1/instances/{node}/perform", wish, token=api.admin).status_code == 409
    active(api, cluster, operation)
    api.ask("POST", f"/v1/clusters/{cluster}/backups")
    answer = api.ask("POST", f"/v1/instances/{node}/perform", wish, token=api.admin)
    assert answer.status_code == 202
    api.hear(
        OperationProgressed(operation_id=answer.json["id"], cluster_id=cluster, service="datastore_agentless",
                            kind="perform", step="run", status="running", sequence=1, output="up 3 days\n"),
        databases.PerformCompleted(operation_id=answer.json["id"], cluster_id=cluster, instance_id=node, name="look",
                                   results=()),
    )  # fmt: skip
    ended = api.operation(answer.json["id"])
    assert (ended["status"], ended["output"], ended["result"]) == ("succeeded", "up 3 days\n", {"results": []})


@pytest.mark.parametrize("path", ["/v1/clusters", "/v1/operations"])
def test_pages_hold_everything_once_and_the_last_has_no_next(api: Api, path: str) -> None:
    for number in range(6):
        api.create(f"c{number}")
    noun = path.rpartition("/")[2]
    seen: list[dict[str, Any]] = []
    following: str | None = f"{path}?limit=3"
    pages = 0
    while following:
        page = api.get(following)
        seen += page[noun]
        following, pages = page["next"], pages + 1
    assert pages == 2
    assert len({one["id"] for one in seen}) == len(seen) == 6
    assert [one["created_at"] for one in seen] == sorted((one["created_at"] for one in seen), reverse=True)


def test_the_next_page_keeps_the_filters(api: Api) -> None:
    made = [api.create(f"c{number}")[0] for number in range(5)]
    api.ask("DELETE", f"/v1/clusters/{made[0]}")
    first = api.get("/v1/clusters?status=requested&limit=3")
    second = api.get(first["next"])
    assert [one["name"] for one in first["clusters"] + second["clusters"]] == ["c4", "c3", "c2", "c1"]
    assert second["next"] is None
    assert api.get(f"/v1/operations?cluster={made[0]}")["operations"][0]["kind"] == "delete_cluster"


def test_a_plan_changes_nothing(api: Api) -> None:
    before = len(api.rows("outbox"))
    answer = api.ask("POST", "/v1/clusters?plan=true", {"name": "shop", "datastore": "pgsql 15"})
    assert answer.status_code == 200
    assert answer.json["plan"]["hosts"][0]["host"] == "shop-1"
    assert answer.json["plan"]["moves"] == ["an address of the cluster's own"]
    assert api.get("/v1/clusters")["clusters"] == []
    cluster, _ = api.create(volume_gb=5)
    plan = api.ask("DELETE", f"/v1/clusters/{cluster}?plan=true").json["plan"]
    assert any("volume of 5 GB" in line for line in plan["lost"])
    assert api.get(f"/v1/clusters/{cluster}")["status"] == "requested"
    assert len(api.rows("outbox")) == before + 1


def test_quotas_hold_and_say_which_limit_was_met(api: Api) -> None:
    path = f"/v1/projects/{DEFAULT_PROJECT}/quotas"
    set_to = api.ask("PUT", path, {"clusters": 2, "volume_gb": 10}, token=api.admin)
    none = {"instances": None, "backups": None, "backup_gb": None}
    assert set_to.json["limits"] == {"clusters": 2, "volume_gb": 10} | none
    api.create("one", volume_gb=6)
    refused = api.ask("POST", "/v1/clusters", {"name": "two", "datastore": "pgsql 15", "volume_gb": 5})
    assert refused.status_code == 409
    assert "10 GB of volumes" in refused.json["detail"]
    api.create("two")
    assert api.ask("POST", "/v1/clusters", {"name": "three", "datastore": "pgsql 15"}).status_code == 409
    assert api.get(path, token=api.reader)["used"] == {
        "clusters": 2,
        "instances": 2,
        "volume_gb": 6,
        "backups": 0,
        "backup_gb": 0,
    }
    assert api.ask("PUT", path, {}, token=api.admin).json["limits"]["clusters"] is None
    api.create("three")


def test_the_percent_of_an_operation_grows_and_follows_what_an_earlier_one_took(api: Api) -> None:
    def report(operation: str, cluster: str, step: str, status: str, sequence: int) -> int:
        api.hear(
            OperationProgressed(operation_id=operation, cluster_id=cluster, service="provisioner", kind="build_instance",
                                step=step, status=status, sequence=sequence, host="shop-1")
        )  # fmt: skip
        return int(api.operation(operation)["percent"])

    cluster, operation = api.create("one")
    assert api.operation(operation)["percent"] == 0
    for number in range(4):
        report(operation, cluster, f"step{number}", "running", number * 2 + 1)
        report(operation, cluster, f"step{number}", "succeeded", number * 2 + 2)
    assert api.operation(operation)["percent"] == 36
    active(api, cluster, operation)
    cluster, operation = api.create("two")
    percents = [report(operation, cluster, f"step{number}", "succeeded", number + 1) for number in range(4)]
    assert percents == sorted(percents)
    assert percents[-1] == 99
    # What one node took says nothing of three.
    cluster, operation = api.create("three", size=3)
    assert report(operation, cluster, "step0", "succeeded", 1) == 3
