"""Incremental backups of MariaDB on real hosts: a chain, a failover in it, its restore, its proof, and its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.filling import MYSQL, ROWS
from tests.support.clients import Sql
from tests.support.golden import gild
from tests.support.installation import Installation

pytestmark = [pytest.mark.real, pytest.mark.slow]

MARIADB = "mysql 10.11"
# What an incremental backup has to bring along: rows, a new table, one that is gone, one under another name, one of another engine.
CHANGES = (
    "INSERT INTO shop.orders (id, words) SELECT seq, repeat('later ', 20) FROM seq_100001_to_101000",
    "CREATE TABLE shop.later (id int PRIMARY KEY, words text)",
    "INSERT INTO shop.later SELECT seq, md5(seq) FROM seq_1_to_500",
    "CREATE TABLE shop.plain (id int PRIMARY KEY) ENGINE=Aria",
    "INSERT INTO shop.plain SELECT seq FROM seq_1_to_100",
)
MORE = (
    "UPDATE shop.orders SET words = 'changed' WHERE id % 5 = 0",
    "RENAME TABLE shop.later TO shop.renamed",
    "DELETE FROM shop.renamed WHERE id > 250",
    "INSERT INTO shop.plain SELECT seq FROM seq_101_to_150",
    "CREATE DATABASE other",
    "CREATE TABLE other.things (id int PRIMARY KEY)",
    "INSERT INTO other.things VALUES (1), (2)",
)
LAST = ("DROP DATABASE other", "TRUNCATE TABLE shop.plain", "ALTER TABLE shop.orders ADD COLUMN extra int DEFAULT 7")


@pytest.fixture(scope="module")
def dtrove(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with Installation(tmp_path_factory.mktemp("increments")) as made:
        gild(made)
        yield made


@pytest.fixture(scope="module")
def chain(dtrove: Installation) -> dict[str, Any]:
    """A cluster of two nodes, a full backup and three increments of it, and what there was at each."""
    cluster, operation = dtrove.create("chained", MARIADB, size=2, volume_gb=2)
    _succeeded(dtrove, operation)
    url = _primary(dtrove, cluster)
    MYSQL.fill(url)
    backups, had = [_backed_up(dtrove, cluster, "full")], [_all_of(url)]
    for changes in (CHANGES, MORE, LAST):
        _run(url, changes)
        backups.append(_backed_up(dtrove, cluster, "incremental"))
        had.append(_all_of(url))
    return {"cluster": cluster, "backups": backups, "had": had}


def test_each_increment_builds_upon_the_one_before_it_and_is_smaller_than_the_full_one(
    dtrove: Installation, chain: dict[str, Any]
) -> None:
    full, *more = (dtrove.get(f"/v1/backups/{one}") for one in chain["backups"])
    assert (full["kind"], full["base"]) == ("full", None)
    assert [one["kind"] for one in more] == ["incremental"] * 3
    assert [one["base"] for one in more] == chain["backups"][:3]
    assert [one["message"] for one in (full, *more)] == [""] * 4
    assert all(one["facts"]["size_bytes"] < full["facts"]["size_bytes"] for one in more)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_new_cluster_has_all_that_there_was_at_any_backup_of_a_chain(
    dtrove: Installation, chain: dict[str, Any], number: int
) -> None:
    cluster, operation = dtrove.create(
        f"again-{number}", MARIADB, size=2, volume_gb=2, restore={"backup": chain["backups"][number]}
    )
    _succeeded(dtrove, operation)
    assert [_all_of(url) for url in _urls(dtrove, cluster)] == 2 * [chain["had"][number]]
    # Its own data remember none of the other cluster's backups.
    made = dtrove.get(f"/v1/backups/{_backed_up(dtrove, cluster, 'incremental')}")
    assert (made["kind"], made["base"]) == ("full", None)
    assert "there is no backup" in made["message"]
    dtrove.remove(cluster)


def test_a_chain_is_proved_like_any_backup(dtrove: Installation, chain: dict[str, Any]) -> None:
    check = {
        "name": "extra",
        "database": "shop",
        "sql": "SELECT SUM(extra) FROM orders",
        "expect": f"{7 * (ROWS + 2 + 1000)}",
    }
    answer = dtrove.ask("POST", f"/v1/backups/{chain['backups'][3]}/verify", {"checks": [check]})
    assert answer.status_code == 202, answer.text
    _succeeded(dtrove, answer.json()["id"])
    proof = dtrove.get(f"/v1/backups/{chain['backups'][3]}")["verified"]
    assert all(one["passed"] for one in proof["checks"])


def test_after_a_switchover_a_full_one_is_made_or_one_upon_what_that_node_still_remembers(
    dtrove: Installation, chain: dict[str, Any]
) -> None:
    """LSNs are a server's own: what follows is taken of the node whose data know the last backup, or is a full one."""
    answer = dtrove.ask("POST", f"/v1/clusters/{chain['cluster']}/switchover", {})
    assert answer.status_code == 202, answer.text
    _succeeded(dtrove, answer.json()["id"])
    url = _primary(dtrove, chain["cluster"])
    _run(url, ("INSERT INTO shop.orders (id, words) VALUES (200001, 'after it')",))
    had = _all_of(url)
    backup = dtrove.get(f"/v1/backups/{_backed_up(dtrove, chain['cluster'], 'incremental')}")
    assert (backup["kind"] == "full") == bool(backup["message"])
    cluster, operation = dtrove.create("after", MARIADB, volume_gb=2, restore={"backup": backup["id"]})
    _succeeded(dtrove, operation)
    assert _all_of(_primary(dtrove, cluster)) == had
    dtrove.remove(cluster)


def test_a_missing_part_is_named_at_a_restore_what_is_found_again_is_proved_and_all_is_deleted_from_the_end(
    dtrove: Installation, chain: dict[str, Any]
) -> None:
    (part,) = (dtrove.home / "backups").rglob(f"{chain['backups'][1]}/part-000001")
    aside = part.rename(part.with_name("aside"))
    cluster, operation = dtrove.create("torn", MARIADB, volume_gb=2, restore={"backup": chain["backups"][2]})
    ended = dtrove.end_of(operation, 300)
    assert ended["status"] == "failed"
    assert chain["backups"][1] in ended["problem"]["message"]
    dtrove.remove(cluster)
    assert [dtrove.get(f"/v1/backups/{one}")["status"] for one in chain["backups"]] == ["completed", *["failed"] * 3]
    aside.rename(part)
    _succeeded(dtrove, dtrove.ask("POST", f"/v1/backups/{chain['backups'][3]}/verify", {}).json()["id"])
    assert [dtrove.get(f"/v1/backups/{one}")["status"] for one in chain["backups"]] == ["completed"] * 4
    refused = dtrove.ask("DELETE", f"/v1/backups/{chain['backups'][0]}")
    assert (refused.status_code, "builds upon" in refused.json()["detail"]) == (409, True)
    listed = dtrove.get(f"/v1/clusters/{chain['cluster']}/backups")["backups"]
    for backup in (one["id"] for one in listed):
        answer = dtrove.ask("DELETE", f"/v1/backups/{backup}")
        assert answer.status_code == 202, answer.text
        _succeeded(dtrove, answer.json()["id"])


def _succeeded(dtrove: Installation, operation: str) -> dict[str, Any]:
    ended = dtrove.end_of(operation, 300)
    assert ended["status"] == "succeeded", ended["problem"]
    return ended


def _backed_up(dtrove: Installation, cluster: str, kind: str) -> str:
    answer = dtrove.ask("POST", f"/v1/clusters/{cluster}/backups", {"kind": kind})
    assert answer.status_code == 202, answer.text
    _succeeded(dtrove, answer.json()["id"])
    return str(answer.json()["backup"]["id"])


def _urls(dtrove: Installation, cluster: str) -> list[str]:
    """Of each node by itself, the primary's first."""
    login, shown = dtrove.get(f"/v1/clusters/{cluster}/credentials"), dtrove.get(f"/v1/clusters/{cluster}")
    places = (shown["endpoint"]["primary"], *shown["endpoint"]["replicas"])
    return [f"mysql://{login['username']}:{login['password']}@{place['host']}:{place['port']}" for place in places]


def _primary(dtrove: Installation, cluster: str) -> str:
    return _urls(dtrove, cluster)[0]


def _run(url: str, statements: tuple[str, ...]) -> None:
    client = Sql(url)
    for statement in ("SET autocommit = 1", "USE shop", *statements):
        client.rows(statement)
    client.close()


def _all_of(url: str) -> dict[str, Any]:
    """Every table of every database of the user's, with the checksum of all its rows."""
    client = Sql(url)
    names = client.rows(
        "SELECT CONCAT('`', TABLE_SCHEMA, '`.`', TABLE_NAME, '`') FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE' "
        "AND TABLE_SCHEMA NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema') ORDER BY 1"
    )
    found = {str(name): str(client.rows(f"CHECKSUM TABLE {name} EXTENDED")[0][1]) for (name,) in names}
    client.close()
    return {"tables": found, "digest": MYSQL.digest(url)}
