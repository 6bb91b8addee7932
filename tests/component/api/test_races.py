"""Two who want the same thing at the same moment: one gets it, the other is told so, nobody meets a 500."""

from __future__ import annotations

from collections import Counter

import pytest

from services.api.actions import clusters
from shared.contracts import datastore_agentless as databases
from shared.contracts import provisioner
from shared.contracts.values import Flavor
from shared.db import Database
from shared.errors import Conflict
from tests.component.api.test_clusters import PROBLEM, active
from tests.component.api.test_idempotency import together
from tests.support.api import Api

TIMES = 8


def test_one_name_is_given_once(api: Api) -> None:
    wish = {"name": "shop", "datastore": "pgsql 15"}
    answers = together(lambda _: api.ask("POST", "/v1/clusters", wish).status_code, TIMES)
    assert Counter(answers) == {202: 1, 409: TIMES - 1}
    assert [row.name for row in api.rows("clusters")] == ["shop"]
    assert len([row for row in api.rows("outbox") if row.routing_key == "cluster.requested"]) == 1


def test_one_name_is_given_once_by_renaming_too(api: Api) -> None:
    made = [api.create(f"c{number}")[0] for number in range(4)]
    answers = together(lambda number: api.ask("PATCH", f"/v1/clusters/{made[number]}", {"name": "shop"}).status_code, 4)
    assert Counter(answers) == {200: 1, 409: 3}


def test_one_operation_at_a_time_changes_a_cluster(api: Api) -> None:
    cluster, operation = api.create()
    active(api, cluster, operation)
    answers = together(lambda _: api.ask("POST", f"/v1/clusters/{cluster}/backups").status_code, TIMES)
    assert Counter(answers) == {202: 1, 409: TIMES - 1}


def test_the_database_itself_refuses_a_second_operation(database: Database, api: Api) -> None:
    cluster, _ = api.create()
    with database.write() as tx, pytest.raises(Conflict):
        clusters.start_operation(tx, "resize", cluster, api.rows("clusters")[0].project_id)


def test_deletes_at_the_same_time_are_one_delete(api: Api) -> None:
    cluster, operation = api.create()
    active(api, cluster, operation)
    answers = together(lambda _: api.ask("DELETE", f"/v1/clusters/{cluster}"), TIMES)
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert len([row for row in api.rows("outbox") if row.routing_key == "cluster.delete_requested"]) == 1


def test_retry_and_delete_at_the_same_time_leave_one_operation(api: Api) -> None:
    cluster, operation = api.create()
    api.hear(databases.ClusterFailed(cluster_id=cluster, operation_id=operation, problem=PROBLEM))
    paths = [("POST", f"/v1/operations/{operation}/retry"), ("DELETE", f"/v1/clusters/{cluster}")]
    answers = together(lambda number: api.ask(*paths[number % 2]).status_code, TIMES)
    assert set(answers) <= {202, 409}
    running = [row for row in api.rows("operations") if row.status in ("pending", "running", "cancelling")]
    assert [row.kind for row in running] == ["delete_cluster"]
    assert api.get(f"/v1/clusters/{cluster}")["status"] == "deleting"


def test_events_beside_requests_deadlock_nobody(api: Api) -> None:
    made = [api.create(f"c{number}") for number in range(4)]

    def work(number: int) -> int:
        cluster, operation = made[number % 4]
        if number < 4:
            active(api, cluster, operation)
            return 200
        return api.ask("POST", f"/v1/operations/{operation}/cancel").status_code

    answers = together(work, 8)
    assert set(answers) <= {200, 202, 409}


def test_the_last_place_of_a_quota_is_given_once(api: Api) -> None:
    project = api.rows("projects")[0].id
    api.ask("PUT", f"/v1/projects/{project}/quotas", {"clusters": 3}, token=api.admin)

    def create(number: int) -> int:
        return api.ask("POST", "/v1/clusters", {"name": f"c{number}", "datastore": "pgsql 15"}).status_code

    assert Counter(together(create, TIMES)) == {202: 3, 409: TIMES - 3}


def test_one_project_name_is_given_once(api: Api) -> None:
    answers = together(lambda _: api.ask("POST", "/v1/projects", {"name": "team"}, token=api.admin).status_code, TIMES)
    assert Counter(answers) == {201: 1, 409: TIMES - 1}


def test_nobody_makes_a_cluster_in_a_project_that_goes(api: Api) -> None:
    project = api.project("team")
    token = api.token("member", project)
    wish = {"name": "shop", "datastore": "pgsql 15"}

    def work(number: int) -> int:
        if number % 2:
            return api.ask("DELETE", f"/v1/projects/{project}", token=api.admin).status_code
        return api.ask("POST", "/v1/clusters", wish, token=token).status_code

    together(work, TIMES)
    there = {row.id for row in api.rows("projects")}
    assert all(row.project_id in there for row in api.rows("clusters"))


def test_events_are_numbered_in_the_order_in_which_they_can_be_seen(api: Api) -> None:
    seen: list[int] = []

    def work(number: int) -> None:
        if number < 6:
            api.create(f"c{number}")
            return
        for _ in range(20):
            since = seen[-1] if seen else 0
            seen.extend(event["id"] for event in api.get(f"/v1/events?since={since}&limit=100")["events"])

    together(work, 7)
    since = seen[-1] if seen else 0
    seen += [event["id"] for event in api.get(f"/v1/events?since={since}&limit=100")["events"]]
    assert len(seen) == len(set(seen)) == 6


def test_two_provisioners_may_tell_their_flavors_at_the_same_moment(api: Api) -> None:
    def listed(number: int) -> provisioner.FlavorsListed:
        sizes = tuple(Flavor(id=name, name=name, vcpus=1, ram_mb=512 + number, disk_gb=10) for name in ("a", "b", "c"))
        return provisioner.FlavorsListed(
            provider="fake", flavors=sizes, supports_volumes=True, supports_snapshots=False
        )

    for turn in range(4):
        together(lambda number, turn=turn: api.hear(listed(10 * turn + number)), TIMES)
        assert sorted(row.id for row in api.rows("flavors")) == ["a", "b", "c"]
