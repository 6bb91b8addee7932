"""Clusters of three nodes, for each datastore: one takes writes, the others have them and take none."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from shlex import quote as quote_shell
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg2
import pymysql
import pytest

from bench.figures import at_most
from services.datastore_agentless.datastores.base import scripts
from shared.verifiers import mysql_native, sha_256
from tests.e2e.tuning import CASES, Tuner
from tests.support.clients import LoginRefused, Redis, Sql
from tests.support.installation import Installation, wait_for
from tests.support.writers import Writer

pytestmark = [pytest.mark.real, pytest.mark.slow]

# They come up at once, and install beside each other on whatever cores there are.
NINE_HOSTS_SECONDS = 800
WISHES: dict[str, dict[str, Any]] = {
    "pgsql": {"datastore": "pgsql 15", "topology": {"mode": "sync"}},
    "mysql": {"datastore": "mysql 10.11", "topology": {"mode": "sync"}},
    "redis": {"datastore": "redis 7.0"},
}

PROCESSES = {"pgsql": "postgres", "mysql": "mariadbd", "redis": "redis-server"}
PASSWORD = 'a pass-word\'s; "canary"'
# What makes a server write down all that it is told, and where.
LOUD = {
    "pgsql": ("alter system set log_statement = 'all'", "select pg_reload_conf()"),
    "mysql": ("set global general_log = on", "set global log_output = 'FILE'"),
    "redis": (),
}
LOGS = {"pgsql": "/var/log/postgresql", "mysql": "/var/lib/mysql/*.log", "redis": "/var/log/redis"}


@pytest.fixture(scope="module")
def clusters(dtrove: Installation) -> Iterator[dict[str, dict[str, Any]]]:
    """One cluster of each datastore, three nodes each, with its credentials."""
    asked = {name: dtrove.create(f"three-{name}", size=3, **wish) for name, wish in WISHES.items()}
    made = {}
    for name, (cluster, operation) in asked.items():
        ended = dtrove.end_of(operation, NINE_HOSTS_SECONDS)
        assert ended["status"] == "succeeded", ended["problem"]
        made[name] = dtrove.get(f"/v1/clusters/{cluster}") | {
            "login": dtrove.get(f"/v1/clusters/{cluster}/credentials")
        }
    yield made
    dtrove.remove(*(one["id"] for one in made.values()))


def url_of(cluster: dict[str, Any], place: dict[str, Any]) -> str:
    """The URL of one node."""
    parts = urlsplit(cluster["login"]["url"])
    return parts._replace(
        netloc=f"{parts.netloc.rpartition('@')[0]}@{place['host']}:{place['port']}", query=""
    ).geturl()


@pytest.mark.parametrize("datastore", WISHES)
def test_a_cluster_of_three_says_who_takes_writes_and_who_follows(
    clusters: dict[str, dict[str, Any]], datastore: str
) -> None:
    cluster = clusters[datastore]
    assert sorted(one["role"] for one in cluster["instances"]) == ["primary", "replica", "replica"]
    assert [one["status"] for one in cluster["instances"]] == ["active"] * 3
    primary = next(one for one in cluster["instances"] if one["role"] == "primary")
    assert cluster["endpoint"]["primary"]["host"] == primary["addr"]
    others = {one["addr"] for one in cluster["instances"] if one["role"] == "replica"}
    assert {one["host"] for one in cluster["endpoint"]["replicas"]} == others
    assert cluster["topology"] == {"mode": "async" if datastore == "redis" else "sync", "failover": "automatic"}


@pytest.mark.parametrize("datastore", ["pgsql", "mysql"])
def test_what_is_written_at_the_primary_is_read_on_the_replicas_which_take_no_writes(
    clusters: dict[str, dict[str, Any]], datastore: str
) -> None:
    cluster = clusters[datastore]
    primary = Sql(url_of(cluster, cluster["endpoint"]["primary"]))
    primary.rows("create database shop" if datastore == "mysql" else "create schema shop")
    primary.rows("create table shop.fruit (name varchar(20) primary key)")
    primary.rows("insert into shop.fruit values ('pear')")
    primary.rows("commit")
    for place in cluster["endpoint"]["replicas"]:
        replica = Sql(url_of(cluster, place))
        wait_for(lambda replica=replica: _fruit(replica) == ["pear"], 10, 0.2, "the row on a replica")
        with pytest.raises((psycopg2.errors.ReadOnlySqlTransaction, pymysql.err.OperationalError), match="read-only"):
            replica.rows("insert into shop.fruit values ('plum')")
        replica.close()
    primary.close()


def _fruit(replica: Sql) -> list[str]:
    try:
        return [row[0] for row in replica.rows("select name from shop.fruit")]
    except (psycopg2.Error, pymysql.MySQLError):
        return []


def test_a_key_that_is_set_at_the_primary_is_read_on_the_replicas_which_take_no_writes(
    clusters: dict[str, dict[str, Any]],
) -> None:
    cluster = clusters["redis"]
    primary = Redis(url_of(cluster, cluster["endpoint"]["primary"]))
    assert primary.ask("SET", "fruit", "pear") == "OK"
    for place in cluster["endpoint"]["replicas"]:
        replica = Redis(url_of(cluster, place))
        wait_for(lambda replica=replica: replica.ask("GET", "fruit") == "pear", 10, 0.2, "the key on a replica")
        assert replica.ask("SET", "fruit", "plum").startswith("-READONLY")
        replica.close()
    primary.close()


@pytest.mark.parametrize("datastore", WISHES)
def test_a_user_may_on_every_node_what_was_granted_and_its_password_is_written_down_nowhere(
    dtrove: Installation, clusters: dict[str, dict[str, Any]], datastore: str
) -> None:
    cluster, shop, ann = clusters[datastore], 'it\'s a "shop"_%', "ann_" if datastore == "redis" else "ann o'hara"
    path = f"/v1/clusters/{cluster['id']}"
    if LOUD[datastore]:
        admin = Sql(url_of(cluster, cluster["endpoint"]["primary"]))
        for statement in LOUD[datastore]:
            admin.rows(statement)
    wish: dict[str, Any] = {"name": ann, "password": PASSWORD}
    if datastore == "redis":
        wish |= {"privilege": "write", "patterns": ["shop:*"]}
    else:
        changed(dtrove, "POST", f"{path}/databases", {"name": shop})
        wish["databases"] = [{"name": shop, "privilege": "all"}]
    changed(dtrove, "POST", f"{path}/users", wish)
    listed = dtrove.get(f"{path}/accounts")
    assert [(one["name"], [grant["privilege"] for grant in one["grants"]]) for one in listed["users"]] == [
        (ann, ["write" if datastore == "redis" else "all"])
    ]
    write_as(cluster, shop, ann)
    for place in cluster["endpoint"]["replicas"]:
        wait_for(lambda place=place: read_as(cluster, place, shop, ann), 20, 0.3, "what the user wrote, on a replica")

    held = Login(cluster, cluster["endpoint"]["replicas"][0], ann, shop)
    fresh = changed(dtrove, "POST", f"{path}/users/{quote(ann)}/password", {})["password"]
    with pytest.raises(LoginRefused):
        Login(cluster, cluster["endpoint"]["primary"], ann, shop)
    Login(cluster, cluster["endpoint"]["primary"], ann, shop, fresh).close()
    kept = what_is_kept(cluster, ann, fresh)
    changed(dtrove, "DELETE", f"{path}/users/{quote(ann)}")
    wait_for(held.has_ended, 20, 0.3, "the end of a session on a replica")
    for place in (cluster["endpoint"]["primary"], *cluster["endpoint"]["replicas"]):
        with pytest.raises(LoginRefused):
            Login(cluster, place, ann, shop, fresh)
    if datastore != "redis":
        changed(dtrove, "DELETE", f"{path}/databases/{quote(shop)}")
    left = dtrove.get(f"{path}/accounts")
    assert (left["users"], shop in [one["name"] for one in left["databases"]]) == ([], False)

    for secret in (PASSWORD, fresh, kept):
        assert [file for file in dtrove.home.rglob("*") if secret.encode() in content(file)] == [], secret
        for node in cluster["instances"]:
            found = look(dtrove, node, f"grep -rlF -- {quote_shell(secret[2:])} {LOGS[datastore]} || true")
            assert found == "", f"{secret} in {found} of {node['name']}"


@pytest.mark.parametrize("datastore", WISHES)
def test_the_superuser_logs_in_while_it_is_enabled(
    dtrove: Installation, clusters: dict[str, dict[str, Any]], datastore: str
) -> None:
    cluster = clusters[datastore]
    path = f"/v1/clusters/{cluster['id']}/root"
    given = changed(dtrove, "POST", path, {})
    for place in (cluster["endpoint"]["primary"], *cluster["endpoint"]["replicas"]):
        wait_for(lambda place=place: lets_in(cluster, place, given), 20, 0.3, "the superuser's login")
    assert dtrove.get(path)["enabled"]
    changed(dtrove, "DELETE", path)
    for place in (cluster["endpoint"]["primary"], *cluster["endpoint"]["replicas"]):
        wait_for(lambda place=place: not lets_in(cluster, place, given), 20, 0.3, "the end of the superuser's login")
    assert not dtrove.get(path)["enabled"]


class Login:
    """A session of a user's."""

    def __init__(
        self, cluster: dict[str, Any], place: dict[str, Any], user: str, database: str = "", password: str = PASSWORD
    ) -> None:
        url = urlsplit(url_of(cluster, place))
        if url.scheme == "redis":
            self.session: Any = Redis(url._replace(netloc=f"{user}@{place['host']}:{place['port']}").geturl(), password)
        else:
            self.session = Sql(url.geturl(), password, user, database=database)

    def do(self, *words: str) -> Any:
        return self.session.rows(words[0]) if isinstance(self.session, Sql) else self.session.ask(*words)

    def has_ended(self) -> bool:
        try:
            self.do("select 1") if isinstance(self.session, Sql) else self.do("PING")
        except (psycopg2.Error, pymysql.MySQLError, ConnectionError):
            return True
        return False

    def close(self) -> None:
        self.session.close()


def lets_in(cluster: dict[str, Any], place: dict[str, Any], given: dict[str, Any]) -> bool:
    try:
        Login(cluster, place, given["username"], password=given["password"]).close()
    except LoginRefused:
        return False
    return True


def changed(dtrove: Installation, method: str, path: str, body: Any = None) -> dict[str, Any]:
    """Ask for a change and see it come to its good end; what the answer had."""
    answer = dtrove.ask(method, path, body)
    assert answer.status_code == 202, answer.text
    ended = dtrove.end_of(answer.json()["id"])
    assert ended["status"] == "succeeded", ended["problem"]
    transcript = dtrove.ask("GET", f"/v1/operations/{ended['id']}/transcript").text
    assert "SCRAM-SHA-256$" not in transcript
    assert mysql_native(PASSWORD) not in transcript
    assert sha_256(PASSWORD) not in transcript
    return dict(answer.json())


def content(file: Path) -> bytes:
    """Of a file; of one that has gone meanwhile nothing."""
    try:
        return file.read_bytes() if file.is_file() else b""
    except FileNotFoundError:
        return b""


def write_as(cluster: dict[str, Any], database: str, user: str) -> None:
    login = Login(cluster, cluster["endpoint"]["primary"], user, database)
    if isinstance(login.session, Redis):
        assert login.do("SET", "shop:fruit", "pear") == "OK"
        assert login.do("SET", "other", "pear").startswith("-NOPERM")
    else:
        login.do("create table fruit (name varchar(20) primary key)")
        login.do("insert into fruit values ('pear')")
        login.do("commit")
    login.close()


def read_as(cluster: dict[str, Any], place: dict[str, Any], database: str, user: str) -> bool:
    try:
        login = Login(cluster, place, user, database)
        found = (
            login.do("GET", "shop:fruit") if isinstance(login.session, Redis) else login.do("select name from fruit")
        )
        login.close()
    except (LoginRefused, psycopg2.Error, pymysql.MySQLError):
        return False
    return bool(found == "pear" or [tuple(row) for row in found] == [("pear",)])


def what_is_kept(cluster: dict[str, Any], user: str, password: str) -> str:
    """What a server keeps of a password."""
    url = url_of(cluster, cluster["endpoint"]["primary"])
    if url.startswith("postgresql"):
        ((kept,),) = Sql(url).rows(
            f"select rolpassword from pg_authid where rolname = '{user.replace(chr(39), chr(39) * 2)}'"
        )
        return str(kept)
    return mysql_native(password) if url.startswith("mysql") else sha_256(password)


def test_a_synchronous_primary_has_somebody_to_wait_for(clusters: dict[str, dict[str, Any]]) -> None:
    pgsql = Sql(url_of(clusters["pgsql"], clusters["pgsql"]["endpoint"]["primary"]))
    assert [row[0] for row in pgsql.rows("select sync_state from pg_stat_replication")] == ["quorum", "quorum"]
    mysql = Sql(url_of(clusters["mysql"], clusters["mysql"]["endpoint"]["primary"]))
    counted = dict(mysql.rows("show global status like 'Rpl_semi_sync_master_%'"))
    # What a replica does not have yet, nobody sees.
    assert mysql.rows("select @@rpl_semi_sync_master_wait_point") == [("AFTER_SYNC",)]
    assert (counted["Rpl_semi_sync_master_status"], counted["Rpl_semi_sync_master_clients"]) == ("ON", "2")


def test_a_stock_driver_finds_the_primary_behind_the_one_url(clusters: dict[str, dict[str, Any]]) -> None:
    url = clusters["pgsql"]["login"]["url"]
    with psycopg2.connect(url, connect_timeout=10) as connection, connection.cursor() as cursor:
        cursor.execute("select host(inet_server_addr())")
        assert cursor.fetchone() == (clusters["pgsql"]["endpoint"]["primary"]["host"],)


def test_replicas_still_follow_after_all_databases_of_a_cluster_were_restarted(
    dtrove: Installation, clusters: dict[str, dict[str, Any]]
) -> None:
    cluster = clusters["redis"]
    for node in cluster["instances"]:
        answer = dtrove.ask("POST", f"/v1/instances/{node['id']}/perform",
                            {"name": "restart", "commands": ["service redis-server restart"]})  # fmt: skip
        assert dtrove.end_of(answer.json()["id"])["status"] == "succeeded"
    primary = Redis(url_of(cluster, cluster["endpoint"]["primary"]))
    assert primary.ask("SET", "fruit", "plum") == "OK"
    for place in cluster["endpoint"]["replicas"]:
        replica = Redis(url_of(cluster, place))
        wait_for(lambda replica=replica: replica.ask("GET", "fruit") == "plum", 30, 0.5, "the key after a restart")


@pytest.mark.parametrize("datastore", WISHES)
def test_a_node_is_added_with_the_data_and_another_one_removed_while_the_cluster_serves(
    dtrove: Installation, clusters: dict[str, dict[str, Any]], datastore: str
) -> None:
    before = clusters[datastore]
    path = f"/v1/clusters/{before['id']}"
    put(before, "quince")
    if datastore == "redis":
        known = changed(dtrove, "POST", f"{path}/users", {"name": "known", "privilege": "read"})
    if datastore == "mysql":
        forget_the_beginning(before)
    added = dtrove.end_of(dtrove.ask("POST", f"{path}/nodes", {"count": 1}).json()["id"], NINE_HOSTS_SECONDS)
    assert added["status"] == "succeeded", added["problem"]
    if datastore != "redis":
        replicas = [one["name"] for one in before["instances"] if one["role"] == "replica"]
        assert senders(dtrove, added["id"]) in [[one] for one in replicas], (
            "a replica sends the data, to spare the primary"
        )
    grown = dtrove.get(path)
    (fresh,) = [one for one in grown["instances"] if one["id"] not in {node["id"] for node in before["instances"]}]
    assert (grown["size"], fresh["role"], fresh["status"]) == (4, "replica", "active")
    assert fresh["name"] == f"three-{datastore}-4"
    place = next(one for one in grown["endpoint"]["replicas"] if one["host"] == fresh["addr"])
    wait_for(lambda: has(before, place, "quince"), 30, 0.5, "what was there before it, on the new replica")
    put(before, "medlar")
    wait_for(lambda: has(before, place, "medlar"), 30, 0.5, "what came after it, on the new replica")

    if datastore == "redis":
        assert Login(before, place, "known", password=known["password"]).do("GET", "word-quince") == "quince"
    if datastore == "mysql":
        # Its data came as they were, and the key that they came by opens nothing any more.
        assert re.fullmatch(r"\d+-\d+-\d+", look(dtrove, fresh, "cat /var/lib/mysql/dtrove-copied-at"))
        for one in before["instances"]:
            assert look(dtrove, one, "grep -c dtrove-access-copy /root/.ssh/authorized_keys") == "0"

    leaving = next(one for one in before["instances"] if one["role"] == "replica")
    removed = dtrove.end_of(dtrove.ask("DELETE", f"{path}/nodes/{leaving['id']}").json()["id"])
    assert removed["status"] == "succeeded", removed["problem"]
    shrunk = dtrove.get(path)
    assert shrunk["size"] == 3
    assert leaving["id"] not in [one["id"] for one in shrunk["instances"]]
    assert leaving["addr"] not in [one["host"] for one in shrunk["endpoint"]["replicas"]]
    # With a slot left behind the primary would keep its log for ever; without anybody to wait for it would stand still.
    if datastore == "pgsql":
        primary = Sql(url_of(before, before["endpoint"]["primary"]))
        assert sorted(row[0] for row in primary.rows("select active from pg_replication_slots")) == [True, True]
        primary.close()
    put(before, "sloe")
    wait_for(lambda: has(before, place, "sloe"), 30, 0.5, "what was written without the one that left")


@pytest.mark.fault(20)
@pytest.mark.parametrize("datastore", WISHES)
def test_parameters_are_changed_live_or_by_a_restart_and_a_bad_one_is_taken_back(
    dtrove: Installation, clusters: dict[str, dict[str, Any]], datastore: str, figure: Callable[..., None]
) -> None:
    cluster, case = refreshed(dtrove, clusters[datastore]), CASES[datastore]
    tuner, processes = Tuner(dtrove, cluster), processes_of(dtrove, cluster, datastore)
    assert tuner.change(case.live)["status"] == "succeeded"
    assert tuner.on_all_nodes(case.ask, case.live) == case.said_live
    # The same again does nothing.
    again = tuner.change(case.live)
    assert (again["status"], tuner.written(again)) == ("succeeded", [])
    # A bad one is noticed by a replica's engine, which runs on as before, and nobody else sees it.
    failed = tuner.change(case.bad, "?restart=now")
    assert failed["status"] == "failed"
    assert any(word in failed["problem"]["stderr"] for word in case.complaint), failed["problem"]
    (tried,) = set(tuner.written(failed))
    unchanged = [node["id"] for node in cluster["instances"] if node["name"] != tried]
    assert {
        one: process_of(dtrove, node, datastore) for node in cluster["instances"] if (one := node["id"]) in unchanged
    } == {one: processes[one] for one in unchanged}
    assert tuner.on_all_nodes(case.ask, case.live) == case.said_live
    began, ended = (datetime.fromisoformat(failed[name]) for name in ("created_at", "finished_at"))
    words = f"{datastore}: parameters that prevent a start, tried on one replica and taken back in"
    figure(20, words, 1, (ended - began).total_seconds(), "s", at_most(60, "s"))
    # What is read only as an engine starts waits, and then each is restarted once, where it is.
    processes = processes_of(dtrove, cluster, datastore)
    waiting = tuner.change(case.late)
    assert (waiting["status"], tuner.pending()) == ("succeeded", [*case.late])
    assert processes_of(dtrove, cluster, datastore) == processes
    restarted = tuner.change({}, "?restart=now")
    assert restarted["status"] == "succeeded", restarted["problem"]
    assert (tuner.on_all_nodes(case.ask, case.late), tuner.pending()) == (case.said_late, [])
    assert not set(processes_of(dtrove, cluster, datastore).values()) & set(processes.values())
    put(cluster, f"tuned-{datastore}")
    for place in cluster["endpoint"]["replicas"]:
        wait_for(partial(has, cluster, place, f"tuned-{datastore}"), 30, 0.5, "what came after it, on a replica")


@pytest.mark.parametrize("datastore", WISHES)
def test_a_cluster_is_restarted_node_after_node_while_somebody_writes_and_nothing_acknowledged_is_lost(
    dtrove: Installation, clusters: dict[str, dict[str, Any]], datastore: str
) -> None:
    before = refreshed(dtrove, clusters[datastore])
    processes = {node["id"]: process_of(dtrove, node, datastore) for node in before["instances"]}
    with writer_of(before).writing() as writer:
        wait_for(lambda: len(writer.acknowledged) > 20, 30, what="the first writes")
        asked = dtrove.ask("POST", f"/v1/clusters/{before['id']}/restart", {})
        ended = dtrove.end_of(asked.json()["id"])
    assert ended["status"] == "succeeded", ended["problem"]
    assert writer.missing() == []
    after = refreshed(dtrove, before)
    # One of the others leads now, and each is another process than before.
    (was,), (leads,) = (
        [one["id"] for one in shown["instances"] if one["role"] == "primary"] for shown in (before, after)
    )
    assert leads == ended["result"]["primary"]["id"] != was == ended["result"]["former"]
    moves = [one for one in dtrove.events() if one["data"].get("operation_id") == ended["id"]]
    assert {one["data"]["primary_id"] for one in moves if one["type"] == "primary.changed"} == {leads}
    for node in after["instances"]:
        assert process_of(dtrove, node, datastore) not in ("", processes[node["id"]])
    put(after, "damson")
    for place in after["endpoint"]["replicas"]:
        wait_for(lambda place=place: has(after, place, "damson"), 30, 0.5, "what came after it, on a replica")
    # Nobody took a restart for an outage.
    kinds = [one["kind"] for one in dtrove.get(f"/v1/operations?cluster={after['id']}")["operations"]]
    assert not {"start_node", "failover"} & set(kinds)


def test_clusters_that_are_stopped_serve_nobody_and_are_started_with_their_primaries_and_their_data(
    dtrove: Installation, clusters: dict[str, dict[str, Any]]
) -> None:
    before = {name: refreshed(dtrove, cluster) for name, cluster in clusters.items()}
    for cluster in before.values():
        put(cluster, "bullace")
    together(dtrove, before, "stop")
    for name, cluster in before.items():
        down = dtrove.get(f"/v1/clusters/{cluster['id']}")
        assert (down["status"], {one["status"] for one in down["instances"]}) == ("stopped", {"stopped"})
        assert [process_of(dtrove, node, name) for node in down["instances"]] == ["", "", ""]
        assert dtrove.ask("POST", f"/v1/clusters/{cluster['id']}/switchover", {}).status_code == 409
    together(dtrove, before, "start")
    for name, cluster in before.items():
        after = refreshed(dtrove, cluster)
        assert after["status"] == "active"
        assert {one["id"]: one["role"] for one in after["instances"]} == {
            one["id"]: one["role"] for one in cluster["instances"]
        }
        assert has(after, after["endpoint"]["primary"], "bullace")
        put(after, f"mirabelle-{name}")
        for place in after["endpoint"]["replicas"]:
            arrived = partial(has, after, place, f"mirabelle-{name}")
            wait_for(arrived, 30, 0.5, "what came after it, on a replica")


def together(dtrove: Installation, clusters: dict[str, dict[str, Any]], action: str) -> None:
    """Have all clusters do the same at once."""
    asked = [dtrove.ask("POST", f"/v1/clusters/{one['id']}/{action}", {}).json()["id"] for one in clusters.values()]
    for operation in asked:
        ended = dtrove.end_of(operation)
        assert ended["status"] == "succeeded", ended["problem"]


def refreshed(dtrove: Installation, cluster: dict[str, Any]) -> dict[str, Any]:
    """The cluster as it is now, with its login."""
    now = dtrove.get(f"/v1/clusters/{cluster['id']}")
    return now | {"login": dtrove.get(f"/v1/clusters/{cluster['id']}/credentials")}


def writer_of(cluster: dict[str, Any]) -> Writer:
    """Somebody who writes to it."""
    places = [cluster["endpoint"]["primary"], *cluster["endpoint"]["replicas"]]
    return Writer(url_of(cluster, places[0]), [place["host"] for place in places])


def processes_of(dtrove: Installation, cluster: dict[str, Any], datastore: str) -> dict[str, str]:
    """The same of all nodes of a cluster, by their ids."""
    return {node["id"]: process_of(dtrove, node, datastore) for node in cluster["instances"]}


def process_of(dtrove: Installation, node: dict[str, Any], datastore: str) -> str:
    """Since when the engine on a node lives, as its host says; empty where it does not run."""
    program = f"{scripts.RUNNING}for p in $(pids {PROCESSES[datastore]}); do cut -d' ' -f22 /proc/$p/stat; done | sort -n | head -n 1"
    return look(dtrove, node, program)


def look(dtrove: Installation, node: dict[str, Any], command: str) -> str:
    """What a command on a node prints."""
    asked = dtrove.ask("POST", f"/v1/instances/{node['id']}/perform", {"name": "look", "commands": [command]})
    (result,) = dtrove.end_of(asked.json()["id"])["result"]["results"]
    return str(result["stdout"]).strip()


def senders(dtrove: Installation, operation: str) -> list[str]:
    """Whose data a new node has copied, by the transcript."""
    words = "copy the data of "
    titles = [one["title"] for one in dtrove.get(f"/v1/operations/{operation}/transcript")["transcript"]]
    return sorted({title.removeprefix(words) for title in titles if title.startswith(words)})


def forget_the_beginning(cluster: dict[str, Any]) -> None:
    """Have the primary keep only the newest of its binary log, as time does."""
    primary = Sql(url_of(cluster, cluster["endpoint"]["primary"]))
    primary.rows("flush binary logs")
    newest = primary.rows("show binary logs")[-1][0]

    def forgotten() -> bool:
        # What a replica still reads is kept.
        primary.rows(f"purge binary logs to '{newest}'")
        return len(primary.rows("show binary logs")) == 1

    wait_for(forgotten, 30, 0.5, "the end of the old logs")
    primary.close()


def put(cluster: dict[str, Any], word: str) -> None:
    """Write a word at the primary."""
    url = url_of(cluster, cluster["endpoint"]["primary"])
    if url.startswith("redis"):
        primary = Redis(url)
        assert primary.ask("SET", f"word-{word}", word) == "OK"
        primary.close()
        return
    database = Sql(url)
    database.rows(
        "create database if not exists words" if url.startswith("mysql") else "create schema if not exists words"
    )
    database.rows("create table if not exists words.words (word varchar(20) primary key)")
    database.rows(f"insert into words.words values ('{word}')")
    database.rows("commit")
    database.close()


def has(cluster: dict[str, Any], place: dict[str, Any], word: str) -> bool:
    """Whether a node has it."""
    url = url_of(cluster, place)
    if url.startswith("redis"):
        replica = Redis(url)
        try:
            return bool(replica.ask("GET", f"word-{word}") == word)
        finally:
            replica.close()
    database = Sql(url)
    try:
        return (word,) in [tuple(row) for row in database.rows("select word from words.words")]
    except (psycopg2.Error, pymysql.MySQLError):
        return False
    finally:
        database.close()
