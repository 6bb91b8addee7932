"""Databases, users and the superuser over HTTP; what the servers list is told by hand."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.contracts import datastore_agentless as databases
from shared.contracts.accounts import AccountDatabase, AccountGrant, Accounts, AccountUser
from shared.contracts.base import new_id
from shared.contracts.operations import OperationEnded
from shared.contracts.values import Problem
from shared.verifiers import mysql_native, sha_256
from tests.component.api.test_scaling import nodes, serves, wished
from tests.support.api import RING, Api

PASSWORD = "canary pass-word"
ENGINES = {"pgsql": "pgsql 15", "mysql": "mysql 10.11", "redis": "redis 7.0"}
each_plan = pytest.mark.parametrize("plan", ["", "?plan=true"])


def cluster(api: Api, engine: str = "pgsql") -> str:
    """A cluster that serves, as a path."""
    made, operation = api.create(engine, datastore=ENGINES[engine])
    serves(api, made, operation, *nodes(api, made).values())
    return f"/v1/clusters/{made}"


@pytest.fixture
def shop(api: Api) -> str:
    """A cluster of PostgreSQL whose server has listed a database and a user."""
    path = cluster(api)
    hand = Accounts(databases=(AccountDatabase(name="shop"), AccountDatabase(name="hand")),
                    users=(AccountUser(name="ann", grants=(AccountGrant(privilege="read", database="shop"),)),))  # fmt: skip
    lists(api, path, hand)
    return path


def lists(api: Api, path: str, accounts: Accounts, operation: str = "", at: datetime | None = None) -> datetime:
    """The server lists what it has."""
    moment = at or api.database.clock.now()
    api.hear(databases.AccountsSeen(cluster_id=path.rpartition("/")[2], operation_id=operation, accounts=accounts,
                                    seen_at=moment))  # fmt: skip
    return moment


def changes(api: Api) -> list[dict[str, Any]]:
    """What was asked for last."""
    return list(json.loads(wished(api, "accounts.requested")[-1].body)["changes"])


def asked(api: Api, method: str, path: str, body: Any = None, **options: Any) -> Any:
    answer = api.ask(method, path, body if method == "DELETE" or body is not None else {}, **options)
    assert answer.status_code == 202, answer.text
    return answer


def reason(answer: Any) -> str:
    assert answer.status_code == 422, answer.text
    return " ".join(f"{one['field']}: {one['reason']}" for one in answer.json["errors"])


def test_a_database_is_an_operation_and_is_listed_once_the_server_does(api: Api) -> None:
    path = cluster(api)
    assert api.get(f"{path}/databases") == {"databases": [], "next": None, "seen_at": None}
    answer = asked(api, "POST", f"{path}/databases", {"name": "orders", "collate": "C.UTF-8"})
    operation = answer.json["id"]
    assert answer.headers["Location"] == f"/v1/operations/{operation}"
    assert (answer.json["kind"], answer.json["password"]) == ("create_database", None)
    assert [(one["action"], one["database"], one["collate"]) for one in changes(api)] == [
        ("create_database", "orders", "C.UTF-8")
    ]
    assert api.ask("POST", f"{path}/databases", {"name": "other"}).status_code == 409, "one at a time"
    lists(api, path, Accounts(databases=(AccountDatabase(name="orders", character_set="UTF8"),)), operation)
    assert api.operation(operation)["status"] == "succeeded"
    shown = api.get(f"{path}/databases")
    assert shown["databases"] == [{"name": "orders", "character_set": "UTF8", "collate": ""}]
    assert shown["seen_at"]
    assert api.get(path)["operation"] is None


def test_what_failed_says_why_and_can_be_retried(api: Api, shop: str) -> None:
    operation = asked(api, "POST", f"{shop}/databases", {"name": "orders"}).json["id"]
    why = Problem(step="change", message="there is no such collation", what_to_do="choose another")
    api.hear(OperationEnded(operation_id=operation, cluster_id=shop.rpartition("/")[2], status="failed", problem=why))
    assert api.operation(operation)["problem"]["message"] == "there is no such collation"
    assert api.ask("POST", f"/v1/operations/{operation}/retry", {}).status_code == 202


@pytest.mark.parametrize(
    ("engine", "kept"),
    [("pgsql", "SCRAM-SHA-256$4096:"), ("mysql", mysql_native(PASSWORD)), ("redis", sha_256(PASSWORD))],
)
def test_of_a_password_only_what_the_server_keeps_leaves_the_api_and_that_is_sealed(
    api: Api, engine: str, kept: str
) -> None:
    path = cluster(api, engine)
    answer = asked(api, "POST", f"{path}/users", {"name": "bob", "password": PASSWORD})
    assert (answer.json["username"], answer.json["password"]) == ("bob", None)
    made = changes(api)[0]
    assert RING.open(made["sealed_password"]).reveal().startswith(kept)
    assert made["host"] == ("%" if engine == "mysql" else "")
    for table in api.database.metadata.tables:
        rows = str(api.rows(table))
        assert PASSWORD not in rows, table
        assert kept not in rows, table
    (event,) = [one for one in api.get("/v1/events?limit=100")["events"] if one["type"] == "accounts.requested"]
    assert event["data"]["changes"][0]["sealed_password"] == "", "the project's feed has nothing of it"


def test_a_password_that_is_made_is_shown_once_and_with_the_same_key_again(api: Api, shop: str) -> None:
    wish = {"name": "bob", "databases": [{"name": "shop", "privilege": "write"}]}
    first = asked(api, "POST", f"{shop}/users", wish, key="k")
    made = first.json["password"]
    assert len(made) == 24
    assert [one["action"] for one in changes(api)] == ["create_user", "grant"]
    assert asked(api, "POST", f"{shop}/users", wish, key="k").json["password"] == made
    assert made not in str(api.operation(first.json["id"]))
    assert len(wished(api, "accounts.requested")) == 1


def test_a_user_s_password_and_grants_are_changed(api: Api, shop: str) -> None:
    for method, path, body, kind, wanted in (
        ("POST", "users/ann/password", {"password": PASSWORD}, "change_password", ("ann", "", "")),
        ("POST", "users/ann/grants", {"database": "hand", "privilege": "write"}, "grant", ("ann", "hand", "write")),
        ("DELETE", "users/ann/grants?database=shop", None, "revoke", ("ann", "shop", "")),
        ("DELETE", "users/ann", None, "delete_user", ("ann", "", "")),
    ):  # fmt: skip
        answer = asked(api, method, f"{shop}/{path}", body, key=kind)
        assert asked(api, method, f"{shop}/{path}", body, key=kind).json == answer.json
        (one,) = changes(api)
        assert answer.json["kind"] == one["action"] == kind
        assert (one["user"], one["database"], one["privilege"]) == wanted
        lists(api, shop, Accounts(databases=(AccountDatabase(name="shop"), AccountDatabase(name="hand")), users=(
            AccountUser(name="ann", grants=(AccountGrant(privilege="read", database="shop"),)),)), answer.json["id"])  # fmt: skip


def test_what_is_not_there_is_not_found_and_what_is_there_is_a_conflict(api: Api, shop: str) -> None:
    for method, path, body, status in (
        ("DELETE", "databases/nowhere", None, 404), ("DELETE", "databases/postgres", None, 404),
        ("DELETE", "users/bob", None, 404), ("POST", "users/bob/password", {}, 404), ("GET", "users/bob/grants", None, 404),
        ("POST", "users/dtrove/password", {}, 404), ("DELETE", "users/ann/grants?database=hand", None, 404),
        ("POST", "databases", {"name": "shop"}, 409), ("POST", "users", {"name": "ann"}, 409),
        ("POST", "users/ann/grants", {"database": "nowhere"}, 422),
        ("POST", "users", {"name": "bob", "databases": [{"name": "nowhere"}]}, 422),
    ):  # fmt: skip
        answer = api.ask(method, f"{shop}/{path}", body)
        assert answer.status_code == status, (path, answer.text)
    assert wished(api, "accounts.requested") == []


@pytest.mark.parametrize(
    ("engine", "body", "words"),
    [
        ("pgsql", {"name": "postgres"}, "belongs to the server or to DTrove"),
        ("pgsql", {"name": "dtrove"}, "belongs to the server or to DTrove"),
        ("pgsql", {"name": "pg_x"}, "belongs to the server or to DTrove"),
        ("pgsql", {"name": "é" * 32}, "1 to 63 bytes"),
        ("pgsql", {"name": "a\nb"}, "control character"),
        ("pgsql", {"name": "a/b"}, "must not hold a `/`"),
        ("pgsql", {"name": "ann", "host": "10.%"}, "is for MariaDB alone"),
        ("pgsql", {"name": "ann", "password": "short"}, "8 to 128 printable ASCII"),
        ("pgsql", {"name": "ann", "password": "pässwörter"}, "8 to 128 printable ASCII"),
        ("pgsql", {"name": "ann", "patterns": ["a*"]}, "have no patterns"),
        ("mysql", {"name": "root"}, "belongs to the server or to DTrove"),
        ("mysql", {"name": "a" * 81}, "1 to 80 characters"),
        ("mysql", {"name": "🙂"}, "above U+FFFF"),
        ("mysql", {"name": "ann", "host": "x' or '"}, "must be an address"),
        ("redis", {"name": "default"}, "belongs to the server or to DTrove"),
        ("redis", {"name": "a b"}, "letters, digits"),
        ("redis", {"name": "ann", "databases": [{"name": "0"}]}, "has no databases"),
        ("redis", {"name": "ann", "patterns": ["a b"]}, "visible ASCII"),
    ],
)
def test_a_user_that_cannot_be_is_refused_with_a_sentence(
    api: Api, engine: str, body: dict[str, Any], words: str
) -> None:
    path = cluster(api, engine)
    assert words in reason(api.ask("POST", f"{path}/users", body))
    assert wished(api, "accounts.requested") == []


def test_redis_has_no_databases_and_its_grants_are_of_keys(api: Api) -> None:
    path = cluster(api, "redis")
    assert "redis - 7.0 has no databases" in reason(api.ask("POST", f"{path}/databases", {"name": "x"}))
    asked(api, "POST", f"{path}/users", {"name": "bob", "privilege": "read", "patterns": ["shop:*"]})
    grant = changes(api)[1]
    assert (grant["action"], grant["privilege"], grant["patterns"]) == ("grant", "read", ["shop:*"])


def test_of_users_of_one_name_the_host_says_which(api: Api) -> None:
    path = cluster(api, "mysql")
    lists(api, path, Accounts(users=(AccountUser(name="ann", host="%"), AccountUser(name="ann", host="10.%"),
                                     AccountUser(name="bob", host="::1"))))  # fmt: skip
    for query, status, host in (("ann", 202, "%"), ("ann?host=10.%25", 202, "10.%"), ("bob", 202, "::1"),
                                ("bob?host=%25", 404, "")):  # fmt: skip
        answer = api.ask("DELETE", f"{path}/users/{query}")
        assert answer.status_code == status, answer.text
        if status == 202:
            assert changes(api)[0]["host"] == host
            lists(api, path, Accounts(users=(AccountUser(name="ann", host="%"), AccountUser(name="ann", host="10.%"),
                                             AccountUser(name="bob", host="::1"))), answer.json["id"])  # fmt: skip


def test_the_superuser_is_enabled_with_a_password_shown_once_and_it_is_known_since_when(api: Api, shop: str) -> None:
    assert api.get(f"{shop}/root") == {"username": "postgres", "enabled": False, "since": None,
                                       "seen_at": api.get(f"{shop}/root")["seen_at"]}  # fmt: skip
    answer = asked(api, "POST", f"{shop}/root")
    assert (answer.json["username"], len(answer.json["password"])) == ("postgres", 24)
    began = lists(api, shop, Accounts(root=True), answer.json["id"])
    lists(api, shop, Accounts(root=True), at=began + timedelta(hours=1))
    shown = api.get(f"{shop}/root")
    assert shown["enabled"]
    assert shown["since"] == began.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    operation = asked(api, "DELETE", f"{shop}/root").json["id"]
    lists(api, shop, Accounts(), operation, at=began + timedelta(hours=2))
    assert api.get(f"{shop}/root")["since"] is None


def test_a_list_that_comes_late_does_not_take_the_place_of_a_newer_one(api: Api, shop: str) -> None:
    now = lists(api, shop, Accounts(databases=(AccountDatabase(name="new"),)))
    lists(api, shop, Accounts(databases=(AccountDatabase(name="old"),)), at=now - timedelta(seconds=1))
    assert [one["name"] for one in api.get(f"{shop}/accounts")["databases"]] == ["new"]


def test_the_server_is_asked_anew_when_that_is_wanted(api: Api, shop: str) -> None:
    assert asked(api, "POST", f"{shop}/accounts").json["kind"] == "look_at_accounts"
    assert changes(api) == []


def test_a_plan_shows_what_would_run_and_what_is_lost_and_changes_nothing(api: Api, shop: str) -> None:
    for method, path, body in (
        ("DELETE", "databases/shop", None), ("POST", "users", {"name": "bob"}), ("DELETE", "root", None), ("POST", "root", {}),
    ):  # fmt: skip
        plan = api.ask(method, f"{shop}/{path}?plan=true", body)
        assert plan.status_code == 200, plan.text
        assert plan.json["plan"]["hosts"]
        assert (plan.json["plan"]["lost"] == ["database shop"]) is (method == "DELETE" and "shop" in path)
        assert "password" not in plan.json
    assert wished(api, "accounts.requested") == []


@each_plan
def test_only_members_of_the_project_may(api: Api, shop: str, plan: str) -> None:
    stranger = api.token("member", api.project())
    for method, path, body in (
        ("POST", "databases", {"name": "x"}), ("DELETE", "databases/shop", None), ("POST", "users", {"name": "x"}),
        ("DELETE", "users/ann", None), ("POST", "users/ann/password", {}), ("POST", "users/ann/grants", {"database": "shop"}),
        ("DELETE", "users/ann/grants", None), ("POST", "root", {}), ("DELETE", "root", None), ("POST", "accounts", {}),
    ):  # fmt: skip
        assert api.ask(method, f"{shop}/{path}{plan}", body, token=api.reader).status_code == 403, path
        assert api.ask(method, f"{shop}/{path}{plan}", body, token=stranger).status_code == 404, path
    for path in ("databases", "users", "users/ann/grants", "root", "accounts"):
        assert api.ask("GET", f"{shop}/{path}", token=stranger).status_code == 404
        api.get(f"{shop}/{path}", token=api.reader)


def test_an_engine_whose_accounts_nobody_keeps_says_so(api: Api) -> None:
    entry = new_id()
    api.hear(databases.DatastoreRegistered(id=entry, manager="other", version="1", image="debian-12", packages=(), name="other - 1",
                                           min_ram_mb=256))  # fmt: skip
    made, operation = api.create("odd", datastore=entry)
    serves(api, made, operation, *nodes(api, made).values())
    for method, path in (("GET", "databases"), ("POST", "users"), ("POST", "root")):
        answer = api.ask(method, f"/v1/clusters/{made}/{path}", {"name": "x"} if path == "users" else None)
        assert (answer.status_code, "has no accounts that DTrove keeps" in answer.text) == (409, True)


def test_a_cluster_is_wished_with_databases_and_users(api: Api) -> None:
    api.create("new", databases=[{"name": "shop"}], users=[
        {"name": "ann", "password": PASSWORD, "databases": [{"name": "shop", "privilege": "read"}]}])  # fmt: skip
    wish = json.loads(wished(api, "cluster.requested")[-1].body)
    assert [one["action"] for one in wish["accounts"]] == ["create_database", "create_user", "grant"]
    assert RING.open(wish["accounts"][1]["sealed_password"]).reveal().startswith("SCRAM-SHA-256$")
    (event,) = [one for one in api.get("/v1/events?limit=100")["events"] if one["type"] == "cluster.requested"]
    assert not any(one["sealed_password"] for one in event["data"]["accounts"])
    for body, words in (
        ({"users": [{"name": "ann"}]}, "users.0.password: is required here"),
        ({"databases": [{"name": "a"}, {"name": "a"}]}, "databases.1: is there twice"),
        ({"databases": [{"name": "postgres"}]}, "databases.0.name: 'postgres' belongs to the server"),
        ({"users": [{"name": "ann", "password": PASSWORD, "databases": [{"name": "x"}]}]}, "users.0.databases.0.name: there is no"),
    ):  # fmt: skip
        answer = api.ask("POST", "/v1/clusters", {"name": "next", "datastore": "pgsql 15", **body})
        assert words in reason(answer)


def test_with_a_cluster_its_list_goes(api: Api, shop: str) -> None:
    gone = shop.rpartition("/")[2]
    operation = api.ask("DELETE", shop).headers["Location"].rpartition("/")[2]
    api.hear(databases.ClusterDeleted(cluster_id=gone, operation_id=operation))
    lists(api, shop, Accounts())
    assert api.rows("accounts") == []
