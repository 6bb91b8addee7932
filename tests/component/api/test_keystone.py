"""Keystone vouches for callers: its tokens count in X-Auth-Token, its projects are told apart, its roles are turned into ours."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import pytest

from services.api.actions.access import Callers, Credential
from services.api.identity.judge import KeystoneJudge
from services.api.identity.keystone import Keystone
from services.api.identity.policy import Policy
from shared.clock import ManualClock
from shared.db import Database
from shared.errors import Forbidden, Unauthorized, Unavailable
from tests.support.api import Api

SECONDS = 30.0


@dataclass
class StandIn:
    """As much of Keystone as a validation needs; what real ones answer is tried in tests/openstack."""

    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    status: int = 200
    asked: int = 0

    def issue(self, *roles: str, project: str = "", name: str = "shop", hours: float = 1.0) -> str:
        token, expires = f"gAAAAA{uuid4().hex}", datetime.now(UTC) + timedelta(hours=hours)
        self.tokens[token] = {
            "user": {"id": "a" * 32, "name": "ann", "domain": {"id": "default", "name": "Default"}},
            "roles": [{"id": role, "name": role} for role in roles],
            "expires_at": expires.strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
            "project": {"id": project or uuid4().hex, "name": name, "domain": {"id": "default", "name": "Default"}},
        }  # fmt: skip
        return token


@pytest.fixture
def keystone() -> Iterator[tuple[StandIn, str]]:
    here = StandIn()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            here.asked += 1
            subject = self.headers["X-Subject-Token"]
            known = here.tokens.get(subject) if self.headers["X-Auth-Token"] == subject else None
            self.send_response(here.status if known or here.status != 200 else 401)
            self.end_headers()
            self.wfile.write(json.dumps({"token": known}).encode())

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield here, f"http://127.0.0.1:{server.server_address[1]}/v3"
    server.shutdown()
    server.server_close()


@pytest.fixture
def api(database: Database, keystone: tuple[StandIn, str]) -> Api:
    made = Api(database, keystone=KeystoneJudge(database, Keystone(keystone[1]), Policy()))
    made.know_choices()
    return made


def ask(api: Api, token: str, method: str = "GET", path: str = "/v1/clusters", body: Any = None) -> Any:
    return api.ask(method, path, body, token="", headers={"X-Auth-Token": token})


def test_a_member_makes_a_cluster_that_other_projects_do_not_see(api: Api, keystone: tuple[StandIn, str]) -> None:
    ours, theirs = keystone[0].issue("member"), keystone[0].issue("member")
    made = ask(api, ours, "POST", body={"name": "orders", "datastore": "pgsql 15"})
    assert made.status_code == 202, made.text
    path = f"/v1/clusters/{made.json['id']}"
    assert ask(api, ours, path=path).status_code == 200
    assert ask(api, theirs, path=path).status_code == 404
    assert ask(api, theirs).json["clusters"] == []


def test_a_project_is_the_same_one_whichever_token_names_it(api: Api, keystone: tuple[StandIn, str]) -> None:
    project = uuid4().hex
    first, second = (keystone[0].issue("member", project=project) for _ in range(2))
    ask(api, first, "POST", body={"name": "orders", "datastore": "pgsql 15"})
    assert [one["name"] for one in ask(api, second).json["clusters"]] == ["orders"]


def test_projects_of_one_name_are_two(api: Api, keystone: tuple[StandIn, str]) -> None:
    for _ in range(2):
        assert ask(api, keystone[0].issue("reader")).status_code == 200
    names = [row.name for row in api.rows("projects") if row.name.startswith("Default/shop")]
    assert len(set(names)) == 2


def test_a_project_of_keystones_lends_nothing_but_itself(api: Api, keystone: tuple[StandIn, str]) -> None:
    project = str(uuid4())
    token = keystone[0].issue("member", project=project.replace("-", ""))
    lent = {"kind": "trust", "credential_id": "b" * 32}
    assert ask(api, token, "PUT", f"/v1/projects/{project}/delegation", lent).status_code == 200
    assert api.provisioner.lent[project]["own"] is True


def test_a_reader_looks_and_changes_nothing(api: Api, keystone: tuple[StandIn, str]) -> None:
    token = keystone[0].issue("reader")
    assert ask(api, token).status_code == 200
    refused = ask(api, token, "POST", body={"name": "orders", "datastore": "pgsql 15"})
    assert (refused.status_code, "member" in refused.json["detail"]) == (403, True)


def test_who_has_no_role_that_counts_is_told_so(api: Api, keystone: tuple[StandIn, str]) -> None:
    refused = ask(api, keystone[0].issue("creator"))
    assert refused.status_code == 403
    assert "no role in project shop" in refused.json["detail"]


@pytest.mark.parametrize("token", ["gAAAAAunknown", "no token\twith signs", "x" * 9000])
def test_a_token_that_is_none_is_401(api: Api, token: str) -> None:
    assert ask(api, token).status_code == 401


def test_a_token_without_a_project_is_403(api: Api, keystone: tuple[StandIn, str]) -> None:
    token = keystone[0].issue("member")
    del keystone[0].tokens[token]["project"]
    refused = ask(api, token)
    assert (refused.status_code, "for no project" in refused.json["detail"]) == (403, True)


@pytest.mark.parametrize("status", [500, 503, 300])
def test_a_keystone_that_is_unwell_is_503_and_says_when_to_come_again(
    api: Api, keystone: tuple[StandIn, str], status: int
) -> None:
    keystone[0].status = status
    answer = ask(api, keystone[0].issue("member"))
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)


def test_dtrove_s_own_tokens_count_beside_keystone_s(api: Api) -> None:
    assert api.ask("GET", "/v1/clusters").status_code == 200


def test_without_a_keystone_its_tokens_are_refused(database: Database) -> None:
    alone = Api(database)
    assert ask(alone, "gAAAAAwhatever").status_code == 401


def test_keystone_s_word_counts_for_its_seconds_and_no_longer_than_the_token(
    database: Database, keystone: tuple[StandIn, str]
) -> None:
    here, url = keystone
    clock = database.clock = ManualClock(datetime.now(UTC))
    callers = Callers(database, KeystoneJudge(database, Keystone(url), Policy()), SECONDS)
    token, short = here.issue("member"), here.issue("member", hours=0.001)
    for _ in range(3):
        callers.of(Credential(token, of_keystone=True))
        callers.of(Credential(short, of_keystone=True))
    assert here.asked == 2
    del here.tokens[token], here.tokens[short]
    clock.advance(5.0)
    callers.of(Credential(token, of_keystone=True))
    with pytest.raises(Unauthorized):
        callers.of(Credential(short, of_keystone=True))
    clock.advance(SECONDS)
    with pytest.raises(Unauthorized):
        callers.of(Credential(token, of_keystone=True))


def test_a_keystone_that_is_gone_is_unavailable(database: Database) -> None:
    judge = KeystoneJudge(database, Keystone("http://127.0.0.1:9"), Policy())
    with pytest.raises(Unavailable):
        judge("gAAAAAwhatever")


def test_the_audit_names_the_user_behind_the_token(api: Api, keystone: tuple[StandIn, str]) -> None:
    token = keystone[0].issue("member")
    ask(api, token, "POST", body={"name": "orders", "datastore": "pgsql 15"})
    (line,) = api.rows("audit")
    assert (line.action, line.status, line.user) == ("POST /v1/clusters", 202, f"ann ({'a' * 32})")


def test_forbidden_is_not_remembered(database: Database, keystone: tuple[StandIn, str]) -> None:
    here, url = keystone
    callers = Callers(database, KeystoneJudge(database, Keystone(url), Policy()), SECONDS)
    token = here.issue()
    with pytest.raises(Forbidden):
        callers.of(Credential(token, of_keystone=True))
    here.tokens[token]["roles"] = [{"id": "m", "name": "member"}]
    assert callers.of(Credential(token, of_keystone=True)).role == "member"
