"""Clusters of three nodes, for each datastore: one takes writes, the others have them and take none."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pymysql
import pytest

from tests.support.clients import Redis, Sql
from tests.support.installation import Installation, wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow]

# They come up at once, and install beside each other on whatever cores there are.
NINE_HOSTS_SECONDS = 400
WISHES: dict[str, dict[str, Any]] = {
    "pgsql": {"datastore": "pgsql 15", "topology": {"mode": "sync"}},
    "mysql": {"datastore": "mysql 10.11", "topology": {"mode": "sync"}},
    "redis": {"datastore": "redis 7.0"},
}


@pytest.fixture(scope="module")
def clusters(dtrove: Installation) -> dict[str, dict[str, Any]]:
    """One cluster of each datastore, three nodes each, with its credentials."""
    asked = {name: dtrove.create(f"three-{name}", size=3, **wish) for name, wish in WISHES.items()}
    made = {}
    for name, (cluster, operation) in asked.items():
        ended = dtrove.end_of(operation, NINE_HOSTS_SECONDS)
        assert ended["status"] == "succeeded", ended["problem"]
        made[name] = dtrove.get(f"/v1/clusters/{cluster}") | {
            "login": dtrove.get(f"/v1/clusters/{cluster}/credentials")
        }
    return made


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
    assert cluster["topology"] == {"mode": "async" if datastore == "redis" else "sync"}


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
    if datastore == "mysql":
        forget_the_beginning(before)
    added = dtrove.end_of(dtrove.ask("POST", f"{path}/nodes", {"count": 1}).json()["id"], NINE_HOSTS_SECONDS)
    assert added["status"] == "succeeded", added["problem"]
    grown = dtrove.get(path)
    (fresh,) = [one for one in grown["instances"] if one["id"] not in {node["id"] for node in before["instances"]}]
    assert (grown["size"], fresh["role"], fresh["status"]) == (4, "replica", "active")
    assert fresh["name"] == f"three-{datastore}-4"
    place = next(one for one in grown["endpoint"]["replicas"] if one["host"] == fresh["addr"])
    wait_for(lambda: has(before, place, "quince"), 30, 0.5, "what was there before it, on the new replica")
    put(before, "medlar")
    wait_for(lambda: has(before, place, "medlar"), 30, 0.5, "what came after it, on the new replica")

    if datastore == "mysql":
        # Its data came from the primary as they were, and the key that they came by opens nothing any more.
        assert re.fullmatch(r"\d+-\d+-\d+", look(dtrove, fresh, "cat /var/lib/mysql/dtrove-copied-at"))
        primary = next(one for one in before["instances"] if one["role"] == "primary")
        assert look(dtrove, primary, "grep -c dtrove-access-copy /root/.ssh/authorized_keys") == "0"

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


def look(dtrove: Installation, node: dict[str, Any], command: str) -> str:
    """What a command on a node prints."""
    asked = dtrove.ask("POST", f"/v1/instances/{node['id']}/perform", {"name": "look", "commands": [command]})
    (result,) = dtrove.end_of(asked.json()["id"])["result"]["results"]
    return str(result["stdout"]).strip()


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
