"""Whose cluster it is: users that Keystone knows, in projects that Keystone keeps apart, with the roles they have there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
import requests
from openstack.connection import Connection

from services.api.openapi import methods_of
from services.api.routes import ROUTES
from services.api.serving import call_of
from shared.contracts.base import new_id
from tests.support.installation import ENDED, Installation, wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow]

OWNED = re.compile(r"{(cluster|instance|operation)_id}")
ROLES = ("member", "reader")


@dataclass(frozen=True)
class User:
    """Somebody with one role in one project."""

    token: str
    installation: Installation

    def ask(self, method: str, path: str, body: Any = None) -> requests.Response:
        """One request with the user's token, and no other."""
        headers = {"X-Auth-Token": self.token}
        return requests.request(method, self.installation.url + path, json=body, headers=headers, timeout=30)


@pytest.fixture(scope="module")
def users(dtrove: Installation, admin: Connection) -> Iterator[dict[str, User]]:
    """A member and a reader of each of two projects, and one without a role that counts, by project and role."""
    identity, made = admin.identity, list[Any]()
    domain = identity.find_domain("Default").id
    found, url = {}, admin.config.get_auth_args()["auth_url"]
    for project in ("ours", "theirs"):
        there = identity.create_project(name=f"{project}-{uuid4().hex[:8]}", domain_id=domain)
        made.append((identity.delete_project, there))
        for role in (*ROLES, "service"):
            secret = uuid4().hex
            user = identity.create_user(name=f"{role}-{uuid4().hex[:8]}", password=secret, domain_id=domain)
            made.append((identity.delete_user, user))
            identity.assign_project_role_to_user(there, user, identity.find_role(role))
            found[f"{project} {role}"] = User(_token(url, user.id, secret, there.id), dtrove)
    yield found
    for delete, thing in reversed(made):
        delete(thing)


def _token(url: str, user: str, password: str, project: str) -> str:
    """As `openstack token issue` asks for one. Source: the Identity API, `POST /v3/auth/tokens`."""
    asked = {"auth": {
        "identity": {"methods": ["password"], "password": {"user": {"id": user, "password": password}}},
        "scope": {"project": {"id": project}},
    }}  # fmt: skip
    answer = requests.post(f"{url.rstrip('/')}/auth/tokens", json=asked, timeout=30)
    assert answer.status_code == 201, answer.text
    return answer.headers["X-Subject-Token"]


@pytest.fixture(scope="module")
def cluster(dtrove: Installation, users: dict[str, User]) -> Iterator[dict[str, Any]]:
    """A cluster of ours, made with a token of Keystone's."""
    asked = users["ours member"].ask("POST", "/v1/clusters", {"name": "whose", "datastore": "redis 7.0"})
    assert asked.status_code == 202, asked.text
    operation = asked.headers["Location"].rpartition("/")[2]
    yield asked.json() | {"operation": operation}
    users["ours member"].ask("DELETE", f"/v1/clusters/{asked.json()['id']}")
    for one in users["ours member"].ask("GET", "/v1/operations").json()["operations"]:
        if one["kind"] == "delete_cluster":
            _end_of(users["ours member"], one["id"])


def _end_of(user: User, operation: str) -> str:
    def ended() -> str:
        status = str(user.ask("GET", f"/v1/operations/{operation}").json()["status"])
        return status if status in ENDED else ""

    return str(wait_for(ended, 300, 0.5, f"the end of operation {operation}"))


def test_a_user_of_keystone_s_makes_a_cluster_and_reads_its_login(
    users: dict[str, User], cluster: dict[str, Any]
) -> None:
    assert _end_of(users["ours member"], cluster["operation"]) == "succeeded"
    login = users["ours member"].ask("GET", f"/v1/clusters/{cluster['id']}/credentials")
    assert login.json()["url"].startswith("redis://")


def test_the_other_project_sees_nothing_of_it_on_any_route(users: dict[str, User], cluster: dict[str, Any]) -> None:
    ids = {"cluster_id": cluster["id"], "operation_id": cluster["operation"],
           "instance_id": cluster["instances"][0]["id"], "access_id": new_id()}  # fmt: skip
    seen = 0
    for path, resource, suffix in ROUTES:
        for method, responder in methods_of((path, resource, suffix)).items():
            call = call_of(responder)
            assert call is not None
            if not OWNED.search(path) or call.role == "admin":
                continue
            seen += 1
            filled = re.sub(r"{(\w+)}", lambda match: ids[match[1]], path)
            answer = users["theirs member"].ask(method.upper(), filled, {} if method in ("post", "patch") else None)
            assert answer.status_code in (404, 422), (method, path, answer.text)
            assert cluster["name"] not in answer.text
    assert seen > 8
    for path in ("/v1/clusters", "/v1/operations", "/v1/events"):
        answer = users["theirs member"].ask("GET", path)
        assert answer.status_code == 200
        assert cluster["id"] not in answer.text


def test_a_reader_looks_at_it_and_can_change_nothing(users: dict[str, User], cluster: dict[str, Any]) -> None:
    reader, path = users["ours reader"], f"/v1/clusters/{cluster['id']}"
    assert reader.ask("GET", path).status_code == 200
    for method, where, body in (
        ("POST", "/v1/clusters", {"name": "x", "datastore": "redis 7.0"}), ("DELETE", path, None),
        ("PATCH", path, {"name": "x"}), ("GET", f"{path}/credentials", None), ("POST", f"{path}/backups", {}),
    ):  # fmt: skip
        assert reader.ask(method, where, body).status_code == 403, (method, where)


def test_who_has_no_role_that_counts_is_refused(users: dict[str, User]) -> None:
    assert users["ours service"].ask("GET", "/v1/clusters").status_code == 403


def test_a_token_that_was_revoked_is_refused_when_its_seconds_are_over(
    users: dict[str, User], admin: Connection
) -> None:
    token = users["theirs reader"].token
    url = admin.config.get_auth_args()["auth_url"].rstrip("/")
    gone = requests.delete(f"{url}/auth/tokens", headers={"X-Auth-Token": token, "X-Subject-Token": token}, timeout=30)
    assert gone.status_code == 204, gone.text
    wait_for(lambda: users["theirs reader"].ask("GET", "/v1/clusters").status_code == 401, 10, 0.5, "the refusal")


def test_the_audit_knows_whom_keystone_named(dtrove: Installation, cluster: dict[str, Any]) -> None:
    (made,) = [one for one in dtrove.get("/v1/audit?limit=100")["audit"] if one["subject"] == cluster["id"]
               and one["action"] == "POST /v1/clusters"]  # fmt: skip
    assert made["user"].startswith("member-")
    assert made["status"] == 202
