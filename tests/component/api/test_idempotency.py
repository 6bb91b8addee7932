"""An Idempotency-Key makes a POST happen once, however often and however fast it is sent."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from services.api import idempotency
from services.api.actions import parked
from services.api.openapi import methods_of
from services.api.routes import ROUTES
from services.api.store import tables
from shared.clock import ManualClock
from shared.contracts import datastore_agentless as databases
from shared.contracts.accounts import AccountDatabase, Accounts, AccountUser
from shared.contracts.base import new_id
from shared.contracts.operations import OperationEnded
from tests.component.api.test_access import BODIES, url
from tests.component.api.test_backups import completed
from tests.component.api.test_clusters import PROBLEM, active
from tests.component.api.test_exports import made as exported
from tests.component.api.test_restoring_in_place import restored
from tests.component.api.test_scaling import nodes, serves
from tests.support.api import Api, open_database

LISTED = Accounts(databases=(AccountDatabase(name="shop"),), users=(AccountUser(name="ann"),))
POSTS = [route[0] for route in ROUTES if "post" in methods_of(route)]


def counts(api: Api) -> dict[str, int]:
    tables = ("clusters", "operations", "tokens", "projects", "datastores", "parameter_groups", "schedules")
    outbox = [row for row in api.rows("outbox") if row.routing_key != "operation.progressed"]
    return {name: len(api.rows(name)) for name in tables} | {"outbox": len(outbox)}


def ready_for(api: Api, path: str) -> dict[str, str]:
    several = path.endswith(("switchover", "failover"))
    cluster, operation = api.create(size=2 if several else 1, volume_gb=10)
    node = api.get(f"/v1/clusters/{cluster}")["instances"][0]["id"]
    if several:
        serves(api, cluster, operation, *nodes(api, cluster).values())
    elif path.endswith("retry"):
        api.hear(databases.ClusterFailed(cluster_id=cluster, operation_id=operation, problem=PROBLEM))
    elif not path.endswith("cancel"):
        active(api, cluster, operation)
    if path.endswith("/start"):
        stop = api.ask("POST", f"/v1/clusters/{cluster}/stop", {}).json["id"]
        api.hear(databases.ClusterStopped(cluster_id=cluster, operation_id=stop, result={}))
    elif path.endswith(("rollback", "parameters/apply")):
        datastore = api.get(f"/v1/clusters/{cluster}")["datastore"]["id"]
        api.hear(databases.ParametersDefined(datastore_id=datastore, engine="15.7", definitions=()))
        api.ask("POST", "/v1/parameter-groups", BODIES["/v1/parameter-groups"])
        api.ask("PATCH", f"/v1/clusters/{cluster}/parameters", {"parameter_group": "small"})
        taken = api.get(f"/v1/clusters/{cluster}")["operation"]
        api.hear(OperationEnded(cluster_id=cluster, operation_id=taken, status="succeeded"))
    elif "{user}" in path:
        api.hear(
            databases.AccountsSeen(
                cluster_id=cluster, operation_id="", accounts=LISTED, seen_at=api.database.clock.now()
            )
        )
    elif path.endswith("/imports"):
        export = exported(api, cluster)
        with api.database.write() as tx:
            named = update(tables.exports).where(tables.exports.c.id == export)
            tx.connection.execute(named.values(id=BODIES[path]["export"]))
    elif path.endswith("/restore"):
        made = completed(api, cluster)
        with api.database.write() as tx:
            named = update(tables.backups).where(tables.backups.c.id == made)
            tx.connection.execute(named.values(id=BODIES[path]["backup"]))
    elif "/restore/" in path:
        api.hear(restored(cluster, completed(api, cluster), node))
    backup = completed(api, cluster) if path.endswith("/verify") else ""
    api.provisioner.find("server-1")
    message = new_id()
    parked.keep(
        api.database, message_id=message, service="api", queue="evt.x", topic="x", reason="no", body="{}", headers={}
    )
    return {"cluster_id": cluster, "operation_id": operation, "instance_id": node, "message_id": message,
            "backup_id": backup, "user": LISTED.users[0].name}  # fmt: skip


@pytest.mark.parametrize("path", POSTS)
def test_the_same_key_and_body_give_the_same_answer_on_every_post(api: Api, path: str) -> None:
    target = url(path, **ready_for(api, path))
    body = BODIES.get(path, {})
    first = api.ask("POST", target, body, token=api.admin, key="again")
    assert first.status_code < 300, first.text
    made = counts(api)
    second = api.ask("POST", target, body, token=api.admin, key="again")
    assert (second.status_code, second.json) == (first.status_code, first.json)
    assert second.headers.get("location") == first.headers.get("location")
    assert counts(api) == made
    other = api.ask("POST", f"{target}/", {**body, "name": "else"}, token=api.admin, key="again")
    assert other.status_code == 422
    assert counts(api) == made


def test_the_same_key_with_another_body_is_refused_and_makes_nothing(api: Api) -> None:
    api.ask("POST", "/v1/clusters", {"name": "one", "datastore": "pgsql 15"}, key="k")
    answer = api.ask("POST", "/v1/clusters", {"name": "two", "datastore": "pgsql 15"}, key="k")
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == "Idempotency-Key"
    assert [one["name"] for one in api.get("/v1/clusters")["clusters"]] == ["one"]


def test_no_password_can_be_guessed_from_what_is_kept_of_a_request(api: Api) -> None:
    wish = {"name": "one", "datastore": "pgsql 15"}
    raw = json.dumps(wish)
    answer = api.ask("POST", "/v1/clusters", wish, key="k")
    assert answer.status_code == 202
    asked = hashlib.sha256(f"POST /v1/clusters {raw}".encode()).hexdigest()
    assert api.rows("idempotency")[0].request.reveal() == asked
    with api.database.read() as connection:
        kept = connection.exec_driver_sql("select request, request_hash from idempotency").one()
    assert asked not in str(kept)


def test_a_key_that_an_older_version_has_kept_gives_its_answer(api: Api) -> None:
    wish = {"name": "one", "datastore": "pgsql 15"}
    first = api.ask("POST", "/v1/clusters", wish, key="k").json
    asked = api.rows("idempotency")[0].request.reveal()
    with api.database.write() as tx:
        tx.connection.execute(update(tables.idempotency).values(request=None, request_hash=asked))
    assert api.ask("POST", "/v1/clusters", wish, key="k").json == first
    assert api.ask("POST", "/v1/clusters", {**wish, "name": "two"}, key="k").status_code == 422


def test_what_was_refused_may_be_tried_again_with_the_same_key(api: Api) -> None:
    api.create("shop")
    wish = {"name": "shop", "datastore": "pgsql 15"}
    assert api.ask("POST", "/v1/clusters", wish, key="k").status_code == 409
    assert api.rows("idempotency") == []


def test_a_key_belongs_to_its_project(api: Api) -> None:
    stranger = api.token("member", api.project())
    wish = {"name": "shop", "datastore": "pgsql 15"}
    mine = api.ask("POST", "/v1/clusters", wish, key="k").json
    theirs = api.ask("POST", "/v1/clusters", wish, key="k", token=stranger).json
    assert mine["id"] != theirs["id"]


def test_a_key_is_forgotten_after_a_day(database_url: str) -> None:
    clock = ManualClock(datetime.now(UTC))
    api = Api(open_database(database_url, clock))
    api.ask("POST", "/v1/projects", {"name": "one"}, token=api.admin, key="k")
    assert idempotency.forget_old(api.database) == 0
    clock.advance(timedelta(hours=25).total_seconds())
    assert api.ask("POST", "/v1/projects", {"name": "two"}, token=api.admin, key="k").status_code == 201
    clock.advance(timedelta(hours=25).total_seconds())
    assert idempotency.forget_old(api.database) == 1
    assert api.rows("idempotency") == []


def together(work: Any, times: int) -> list[Any]:
    with ThreadPoolExecutor(times) as pool:
        return [future.result() for future in [pool.submit(work, number) for number in range(times)]]


def test_requests_with_one_key_at_the_same_time_work_once_and_all_get_the_answer(api: Api) -> None:
    wish = {"name": "shop", "datastore": "pgsql 15"}
    answers = together(lambda _: api.ask("POST", "/v1/clusters", wish, key="k"), 8)
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert len(api.rows("clusters")) == 1


def test_work_of_another_service_is_asked_for_once_too(api: Api) -> None:
    body = BODIES["/v1/datastores"]
    answers = together(lambda _: api.ask("POST", "/v1/datastores", body, token=api.admin, key="k"), 6)
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert api.databases.asked == ["create_datastore"]
    assert api.ask("POST", "/v1/datastores", body, token=api.admin, key="k").status_code == 201


def test_a_key_whose_work_could_not_be_done_is_free_again(api: Api) -> None:
    body = BODIES["/v1/datastores"]
    api.databases.away = True
    refused = api.ask("POST", "/v1/datastores", body, token=api.admin, key="k")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
    api.databases.away = False
    assert api.ask("POST", "/v1/datastores", body, token=api.admin, key="k").status_code == 201


def test_a_key_that_a_dead_process_held_is_free_after_a_while(database_url: str) -> None:
    clock = ManualClock(datetime.now(UTC))
    api = Api(open_database(database_url, clock))
    with api.database.write() as tx:
        project = api.rows("projects")[0].id
        idempotency._claim(tx, project, "k", "the hash of another process")
    body = BODIES["/v1/datastores"]
    assert api.ask("POST", "/v1/datastores", body, token=api.admin, key="k").status_code == 422
    clock.advance(61)
    assert api.ask("POST", "/v1/datastores", body, token=api.admin, key="k").status_code == 201
