"""Who may do what: tokens, roles, projects."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.api.actions.access import CACHE_SECONDS, DEFAULT_PROJECT, Callers, Credential
from services.api.openapi import methods_of
from services.api.routes import ROUTES
from services.api.serving import Call, call_of
from shared.clock import ManualClock
from shared.contracts.base import new_id
from shared.db import Database
from shared.errors import Unauthorized
from tests.component.api.test_backups import completed
from tests.component.api.test_clusters import active
from tests.component.api.test_exports import made as exported
from tests.support.api import Api, open_database

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGxhc3QtdGVzdC1rZXktb2YtdGhpcy1zdWl0ZS0wMQ"
# An id that is good, of nothing.
NIL = "00000000-0000-4000-8000-000000000000"
BODIES: dict[str, dict[str, Any]] = {
    "/v1/clusters": {"name": "new", "datastore": "pgsql 15"},
    "/v1/instances/{instance_id}/perform": {"name": "x", "commands": ["id"]},
    "/v1/instances/{instance_id}/access": {"public_key": KEY, "minutes": 5},
    "/v1/datastores": {"manager": "mysql", "version": "8.0", "packages": ["mysql-server"]},
    "/v1/session": {"once": True},
    "/v1/tokens": {"name": "x"},
    "/v1/projects": {"name": "x"},
    "/v1/clusters/{cluster_id}/parameters": {"parameters": {}},
    "/v1/clusters/{cluster_id}/parameters/rollback": {"version": 0},
    "/v1/parameter-groups": {"name": "small", "datastore": "pgsql 15"},
    "/v1/parameter-groups/{group_id}": {"parameters": {}},
    "/v1/clusters/{cluster_id}/backups": {"store": "local"},
    "/v1/clusters/{cluster_id}/exports": {"databases": ["shop"]},
    "/v1/clusters/{cluster_id}/imports": {"export": NIL},
    "/v1/clusters/{cluster_id}/resize": {"volume_gb": 20},
    "/v1/clusters/{cluster_id}/restore": {"backup": NIL},
    "/v1/clusters/{cluster_id}/databases": {"name": "orders"},
    "/v1/clusters/{cluster_id}/users": {"name": "bob"},
    "/v1/clusters/{cluster_id}/users/{user}/grants": {"database": "shop", "privilege": "read"},
    "/v1/clusters/{cluster_id}/schedules": {"cron": "30 3 * * *"},
    "/v1/orphans/clean": {"ids": ["server-1"]},
}


def calls() -> Iterator[tuple[str, str, Call]]:
    for route in ROUTES:
        for method, responder in methods_of(route).items():
            call = call_of(responder)
            assert call is not None
            yield route[0], method.upper(), call


GUARDED = [(path, method, call) for path, method, call in calls() if call.role]
WRITING = [(path, method, call) for path, method, call in GUARDED if call.role != "reader"]
OWNED = [
    (path, method)
    for path, method, call in GUARDED
    if re.search(r"{(cluster|instance|operation|backup|export|import)_id}", path)
]


def names(found: list[Any]) -> list[str]:
    return [f"{method} {path}" for path, method, *_ in found]


def url(path: str, **ids: str) -> str:
    return re.sub(r"{(\w+)}", lambda match: ids.get(match[1], new_id()), path)


def asked(api: Api, method: str, path: str, token: str, **ids: str) -> Any:
    body = BODIES.get(path, {}) if method in ("POST", "PUT", "PATCH") else None
    return api.ask(method, url(path, **ids), body, token=token)


@pytest.mark.parametrize("case", ["none", "unknown", "revoked", "expired", "basic"])
def test_every_route_but_the_open_ones_needs_a_good_token(api: Api, case: str) -> None:
    expired = api.token("admin", expires_at=datetime.now(UTC) - timedelta(seconds=1))
    revoked = api.ask("POST", "/v1/tokens", {"name": "x", "role": "admin"}, token=api.admin).json
    assert api.ask("GET", "/v1/clusters", token=revoked["token"]).status_code == 200
    assert api.ask("DELETE", f"/v1/tokens/{revoked['id']}", token=api.admin).status_code == 204
    token = {"none": "", "unknown": "x", "revoked": revoked["token"], "expired": expired, "basic": ""}[case]
    headers = {"Authorization": "Basic eDp5"} if case == "basic" else {}
    for path, method, _ in GUARDED:
        answer = api.ask(method, url(path), token=token, headers=headers)
        assert answer.status_code == 401, (method, path)
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("path", "method", "call"), WRITING, ids=names(WRITING))
def test_a_lower_role_is_refused_before_anything_is_looked_at(api: Api, path: str, method: str, call: Call) -> None:
    cluster, operation = api.create()
    before = len(api.rows("outbox"))
    lower = [api.reader] if call.role == "member" else [api.reader, api.member]
    for token in lower:
        answer = asked(api, method, path, token, cluster_id=cluster, operation_id=operation)
        assert answer.status_code == 403
        assert call.role in answer.json["detail"]
    assert len(api.rows("outbox")) == before
    assert not api.databases.asked


@pytest.mark.parametrize(("path", "method"), OWNED, ids=names(OWNED))
def test_another_projects_things_are_not_there_whatever_the_role(api: Api, path: str, method: str) -> None:
    cluster, operation = api.create()
    node = api.get(f"/v1/clusters/{cluster}")["instances"][0]["id"]
    active(api, cluster, operation)
    backup, export = completed(api, cluster), exported(api, cluster)
    imported = api.ask("POST", f"/v1/clusters/{cluster}/imports", {"export": export}).json["import"]["id"]
    stranger = api.token("admin", api.project())
    before = len(api.rows("outbox"))
    ids = {"cluster_id": cluster, "operation_id": operation, "instance_id": node, "backup_id": backup,
           "export_id": export, "import_id": imported}  # fmt: skip
    answer = asked(api, method, path, stranger, **ids)
    if answer.status_code == 422:
        pytest.fail(f"the test's body for {path} is not good: {answer.text}")
    assert answer.status_code == 404
    assert "shop" not in answer.text
    assert len(api.rows("outbox")) == before
    assert api.get(f"/v1/clusters/{cluster}")["status"] == "active"
    assert api.get(f"/v1/backups/{backup}")["status"] == "completed"


@pytest.mark.parametrize("path", ["/v1/clusters", "/v1/operations", "/v1/events", "/v1/backups"])
def test_lists_show_ones_own_project_alone(api: Api, path: str) -> None:
    cluster, operation = api.create()
    active(api, cluster, operation)
    completed(api, cluster)
    noun = path.rpartition("/")[2]
    assert api.get(path)[noun]
    assert api.get(path, token=api.token("admin", api.project()))[noun] == []


def test_two_projects_may_use_the_same_name(api: Api) -> None:
    api.create("shop")
    stranger = api.token("member", api.project())
    wish = {"name": "shop", "datastore": "pgsql 15"}
    assert api.ask("POST", "/v1/clusters", wish, token=stranger).status_code == 202


def test_a_token_is_shown_once_and_kept_only_as_a_hash(api: Api) -> None:
    made = api.ask("POST", "/v1/tokens", {"name": "x", "role": "reader"}, token=api.admin, key="once").json
    assert api.ask("GET", "/v1/clusters", token=made["token"]).status_code == 200
    listed = api.ask("GET", "/v1/tokens?limit=100", token=api.admin)
    assert made["id"] in listed.text
    for table in ("tokens", "idempotency", "audit", "outbox", "events"):
        assert all(made["token"] not in str(tuple(row)) for row in api.rows(table)), table


def test_a_token_ends_when_it_said_it_would(database_url: str) -> None:
    clock = ManualClock(datetime.now(UTC))
    api = Api(open_database(database_url, clock))
    token = api.token("reader", expires_at=clock.now() + timedelta(seconds=60))
    assert api.ask("GET", "/v1/clusters", token=token).status_code == 200
    clock.advance(61)
    assert api.ask("GET", "/v1/clusters", token=token).status_code == 401


def test_a_token_that_another_replica_revoked_ends_within_a_second(database_url: str) -> None:
    clock = ManualClock(datetime.now(UTC))
    here = Api(open_database(database_url, clock))
    there = Api(Database(database_url, "api", here.database.metadata, clock))
    made = here.ask("POST", "/v1/tokens", {"name": "x", "role": "reader"}, token=here.admin).json
    assert there.ask("GET", "/v1/clusters", token=made["token"]).status_code == 200
    here.ask("DELETE", f"/v1/tokens/{made['id']}", token=here.admin)
    assert here.ask("GET", "/v1/clusters", token=made["token"]).status_code == 401
    clock.advance(CACHE_SECONDS)
    assert there.ask("GET", "/v1/clusters", token=made["token"]).status_code == 401


def test_tokens_are_remembered_in_bounded_number(database: Database) -> None:
    callers = Callers(database)
    for number in range(5):
        with pytest.raises(Unauthorized):
            callers.of(Credential(f"x{number}"))
    assert not callers._known


def test_a_project_goes_with_its_tokens_but_not_with_clusters_in_it(api: Api) -> None:
    made = api.ask("POST", "/v1/projects", {"name": "team"}, token=api.admin).json
    assert api.ask("POST", "/v1/projects", {"name": "team"}, token=api.admin).status_code == 409
    token = api.token("member", made["id"])
    cluster = api.ask("POST", "/v1/clusters", {"name": "shop", "datastore": "pgsql 15"}, token=token).json
    refused = api.ask("DELETE", f"/v1/projects/{made['id']}", token=api.admin)
    assert refused.status_code == 409
    assert "shop" in refused.json["detail"]
    delete = api.ask("DELETE", f"/v1/clusters/{cluster['id']}", token=token).headers["Location"].rpartition("/")[2]
    from shared.contracts.datastore_agentless import ClusterDeleted

    api.hear(ClusterDeleted(cluster_id=cluster["id"], operation_id=delete))
    assert api.ask("DELETE", f"/v1/projects/{made['id']}", token=api.admin).status_code == 204
    assert api.ask("GET", "/v1/clusters", token=token).status_code == 401
    assert api.ask("DELETE", f"/v1/projects/{made['id']}", token=api.admin).status_code == 404
    assert api.ask("DELETE", f"/v1/projects/{DEFAULT_PROJECT}", token=api.admin).status_code == 409


def test_only_an_administrator_sees_projects_that_are_not_his(api: Api) -> None:
    other = api.project("other")
    assert {one["name"] for one in api.get("/v1/projects", token=api.admin)["projects"]} == {"default", "other"}
    for token in (api.member, api.reader):
        assert [one["name"] for one in api.get("/v1/projects", token=token)["projects"]] == ["default"]
        assert api.ask("GET", f"/v1/projects/{other}/quotas", token=token).status_code == 404
    assert api.ask("GET", f"/v1/projects/{other}/quotas", token=api.admin).status_code == 200
