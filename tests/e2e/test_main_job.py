"""From a request to a database that answers, on a real host, for each datastore; and back to nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from services.provisioner.providers.local.engine import connect
from tests.support.browser import found
from tests.support.clients import LoginRefused, Redis, Sql
from tests.support.golden import stock_images
from tests.support.installation import Installation, wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow]

DATASTORES = {"pgsql": "pgsql 15", "mysql": "mysql 10.11", "redis": "redis 7.0"}


@pytest.fixture(scope="module")
def clusters(dtrove: Installation) -> Iterator[dict[str, dict[str, Any]]]:
    """One cluster of each datastore, all asked for at once, each with a volume, with its credentials."""
    with stock_images(dtrove):
        asked = {name: dtrove.create(f"main-{name}", version, volume_gb=1) for name, version in DATASTORES.items()}
    made = {}
    for name, (cluster, operation) in asked.items():
        ended = dtrove.end_of(operation)
        assert ended["status"] == "succeeded", ended["problem"]
        made[name] = dtrove.get(f"/v1/clusters/{cluster}") | {
            "creation": ended, "login": dtrove.get(f"/v1/clusters/{cluster}/credentials"),
        }  # fmt: skip
    yield made
    dtrove.remove(*(one["id"] for one in made.values()))


def run_on(dtrove: Installation, cluster: dict[str, Any], *commands: str) -> dict[str, Any]:
    instance = cluster["instances"][0]["id"]
    answer = dtrove.ask("POST", f"/v1/instances/{instance}/perform", {"name": "test", "commands": list(commands)})
    assert answer.status_code == 202, answer.text
    return dtrove.end_of(answer.json()["id"])


@pytest.mark.parametrize("datastore", DATASTORES)
def test_a_requested_cluster_becomes_active_and_says_where_it_answers(
    clusters: dict[str, dict[str, Any]], datastore: str
) -> None:
    cluster = clusters[datastore]
    assert cluster["status"] == "active"
    assert [one["status"] for one in cluster["instances"]] == ["active"]
    assert cluster["endpoint"]["primary"]["host"] == cluster["instances"][0]["addr"]
    assert cluster["operation"] is None
    assert cluster["login"]["password"] not in cluster["endpoint"]["url"]


@pytest.mark.parametrize("datastore", ["pgsql", "mysql"])
def test_a_user_makes_a_table_with_the_url_that_was_answered(
    clusters: dict[str, dict[str, Any]], datastore: str
) -> None:
    client = Sql(clusters[datastore]["login"]["url"])
    assert [tuple(row) for row in client.rows("select 1")] == [(1,)]
    client.rows("create database shop" if datastore == "mysql" else "create schema shop")
    client.rows("create table shop.fruit (name varchar(20))")
    client.rows("insert into shop.fruit values ('pear')")
    assert [tuple(row) for row in client.rows("select name from shop.fruit")] == [("pear",)]
    client.close()


def test_a_user_keeps_a_key_in_redis_with_the_url_that_was_answered(clusters: dict[str, dict[str, Any]]) -> None:
    client = Redis(clusters["redis"]["login"]["url"])
    assert client.ask("SET", "fruit", "pear") == "OK"
    assert client.ask("GET", "fruit") == "pear"
    client.close()


@pytest.mark.parametrize("datastore", ["pgsql", "mysql"])
def test_nobody_comes_in_with_a_wrong_password_or_without_a_name(
    clusters: dict[str, dict[str, Any]], datastore: str
) -> None:
    url = clusters[datastore]["login"]["url"]
    with pytest.raises(LoginRefused):
        Sql(url, password="wrong")
    with pytest.raises(LoginRefused):
        Sql(url, user="root", password="")
    with pytest.raises(LoginRefused):
        Sql(url, user="postgres", password="")


def test_redis_lets_nobody_in_without_a_login(clusters: dict[str, dict[str, Any]]) -> None:
    url = clusters["redis"]["login"]["url"]
    with pytest.raises(LoginRefused):
        Redis(url, password="wrong")
    stranger = Redis(url, password="")
    assert stranger.ask("GET", "fruit").startswith("-NOAUTH")
    stranger.close()


@pytest.mark.parametrize("datastore", DATASTORES)
def test_the_data_lie_on_the_volume(dtrove: Installation, clusters: dict[str, dict[str, Any]], datastore: str) -> None:
    files = {"pgsql": "pgsql/PG_VERSION", "mysql": "mysql/ibdata1", "redis": "redis/appendonlydir"}
    ended = run_on(
        dtrove, clusters[datastore], f"ls -d /var/lib/dtrove-data/{files[datastore]} && df -Pm /var/lib/dtrove-data"
    )
    assert ended["status"] == "succeeded"
    assert files[datastore] in ended["output"]


def test_memory_is_set_by_the_flavor(clusters: dict[str, dict[str, Any]]) -> None:
    client = Sql(clusters["pgsql"]["login"]["url"])
    (row,) = client.rows("show shared_buffers")
    client.close()
    assert row[0] == "256MB"


@pytest.mark.parametrize("datastore", DATASTORES)
def test_every_step_was_shown_with_its_host_and_its_times(clusters: dict[str, dict[str, Any]], datastore: str) -> None:
    steps = clusters[datastore]["creation"]["steps"]
    assert {"create_server", "wait_for_server", "connect", "trust", "preflight", "prepare", "verify"} <= {
        step["step"] for step in steps
    }
    assert {step["status"] for step in steps} == {"succeeded"}
    # An address is the cluster's before there is any host.
    assert {step["host"] for step in steps if step["step"] != "take_address"} == {f"main-{datastore}-1"}
    assert all(step["started_at"] <= step["finished_at"] for step in steps)


@pytest.mark.parametrize("datastore", DATASTORES)
def test_the_volume_grows_while_the_database_runs_on_it(
    dtrove: Installation, clusters: dict[str, dict[str, Any]], datastore: str
) -> None:
    cluster = clusters[datastore]
    path = f"/v1/clusters/{cluster['id']}"
    look = ("df -B1 --output=size /var/lib/dtrove-data | tail -n 1", "pgrep -o 'postgres|mariadbd|redis-server'")
    (size, engine) = (one["stdout"] for one in run_on(dtrove, cluster, *look)["result"]["results"])
    for _ in range(2):
        ended = dtrove.end_of(dtrove.ask("POST", f"{path}/resize", {"volume_gb": 2}).json()["id"])
        assert ended["status"] == "succeeded", ended["problem"]
    assert ended["result"]["volume_gb"] == dtrove.get(path)["volume_gb"] == 2
    (grown, same) = (one["stdout"] for one in run_on(dtrove, cluster, *look)["result"]["results"])
    assert int(grown) > 1.9 * int(size)
    assert same == engine, "nobody was restarted for it"
    refused = dtrove.ask("POST", f"{path}/resize", {"volume_gb": 1})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "volume_gb")


@pytest.mark.parametrize("datastore", DATASTORES)
def test_the_transcript_tells_every_command_and_no_secret(
    dtrove: Installation, clusters: dict[str, dict[str, Any]], datastore: str
) -> None:
    cluster = clusters[datastore]
    answer = dtrove.ask("GET", f"/v1/operations/{cluster['creation']['id']}/transcript")
    titles = [entry["title"] for entry in answer.json()["transcript"]]
    assert any(title.startswith("install ") for title in titles)
    assert "log in and ask" in titles
    assert cluster["login"]["password"] not in answer.text


def test_no_log_of_any_process_holds_a_password(dtrove: Installation, clusters: dict[str, dict[str, Any]]) -> None:
    for log in (dtrove.home / "logs").glob("*.log"):
        text = log.read_text(errors="replace")
        assert all(cluster["login"]["password"] not in text for cluster in clusters.values()), log.name


def test_perform_shows_output_while_the_command_still_runs(
    dtrove: Installation, clusters: dict[str, dict[str, Any]]
) -> None:
    instance = clusters["redis"]["instances"][0]["id"]
    wish = {"name": "slowly", "commands": ["echo begun; while [ ! -e /tmp/go ]; do sleep 0.1; done; echo ended"]}
    operation = dtrove.ask("POST", f"/v1/instances/{instance}/perform", wish).json()["id"]
    shown = wait_for(lambda: (one := dtrove.operation(operation)) and "begun" in one["output"] and one, 20)
    assert shown["status"] not in ("succeeded", "failed")
    run_on(dtrove, clusters["mysql"], "true")
    assert run_on_other(dtrove, instance, "touch /tmp/go")
    ended = dtrove.end_of(operation)
    assert ended["status"] == "succeeded"
    assert "ended" in ended["output"]


def run_on_other(dtrove: Installation, instance: str, command: str) -> bool:
    """Do it from outside: a second `perform` would wait for the first."""

    return bool(
        connect(dtrove.home).containers.get(f"dtrove-{instance}").exec_run(["sh", "-c", command]).exit_code == 0
    )


def counted(dtrove: Installation) -> dict[str, dict[str, float]]:
    """What /metrics shows of each datastore's engine, by the end of the metric's name."""
    found: dict[str, dict[str, float]] = {}
    for line in dtrove.ask("GET", "/metrics").text.splitlines():
        if at := re.match(r'dtrove_engine_(\w+)\{.*instance="main-(\w+)-1".*\} (\S+)', line):
            found.setdefault(at[2], {})[at[1]] = float(at[3])
    return found


def test_what_a_user_does_is_counted(dtrove: Installation, clusters: dict[str, dict[str, Any]]) -> None:
    before = wait_for(lambda: len(now := counted(dtrove)) == 3 and now, 30, 0.5, "numbers of all three")
    for name in ("pgsql", "mysql"):
        client = Sql(clusters[name]["login"]["url"])
        client.rows("create schema if not exists counted")
        client.rows("create table counted.numbers (n int)")
        for number in range(30):
            client.rows(f"insert into counted.numbers values ({number})")
            if name == "mysql":
                client.rows("commit")
        client.close()
    client = Redis(clusters["redis"]["login"]["url"])
    for number in range(30):
        assert client.ask("GET", f"nothing-{number}") == "$-1"
    rises = [("pgsql", "commits_total"), ("mysql", "commits_total"), ("mysql", "queries_total"),
             ("redis", "commands_total"), ("redis", "cache_misses_total")]  # fmt: skip

    def grown() -> bool:
        now = counted(dtrove)
        return all(now[name][metric] >= before[name][metric] + 30 for name, metric in rises)

    wait_for(grown, 40, 0.5, "thirty more of each")
    now = counted(dtrove)
    client.close()
    assert [now[name]["up"] for name in DATASTORES] == [1.0] * 3
    assert now["redis"]["connections"] >= 2
    assert now["pgsql"]["connections_limit"] == 100
    assert now["pgsql"]["data_bytes"] > 20_000_000
    assert now["mysql"]["data_bytes"] > 10_000_000
    assert all(now[name]["uptime_seconds"] > 0 for name in DATASTORES)


@pytest.mark.parametrize("datastore", DATASTORES)
def test_a_line_of_a_database_s_log_is_seen_as_it_is_written(
    dtrove: Installation, clusters: dict[str, dict[str, Any]], datastore: str
) -> None:
    cluster = clusters[datastore]
    path = f"/v1/instances/{cluster['instances'][0]['id']}/logs"
    lines = dtrove.get(f"{path}?lines=50")["lines"]
    assert any(
        words in line for line in lines for words in ("ready to accept", "ready for connections", "Ready to accept")
    )
    with dtrove.ask("GET", f"{path}?follow=true&lines=1", stream=True) as answer:
        stream = (json.loads(line[6:]) for line in answer.iter_lines(1) if line.startswith(b"data: "))
        assert "lines" in next(stream)
        if datastore == "redis":
            assert "started" in Redis(cluster["login"]["url"]).ask("BGSAVE")
        else:
            with pytest.raises(LoginRefused):
                Sql(cluster["login"]["url"], password="wrong")
        wanted = {"redis": "Background saving", "pgsql": "authentication failed", "mysql": "Access denied"}[datastore]
        assert any(wanted in line for said in stream for line in said.get("lines", ()))


def test_a_plan_tells_commands_and_files_and_changes_nothing(dtrove: Installation) -> None:
    wish = {"name": "only-planned", "datastore": "pgsql 15"}
    answer = dtrove.ask("POST", "/v1/clusters?plan=true", wish)
    assert answer.status_code == 200
    (host,) = answer.json()["plan"]["hosts"]
    assert any("postgresql-15" in command["command"] for command in host["commands"])
    assert any(file["path"].endswith("pg_hba.conf") for file in host["files"])
    assert not dtrove.get("/v1/clusters?name=only-planned")["clusters"]


def test_whoever_opens_the_printed_link_sees_the_cluster_and_its_login_in_the_console(
    dtrove: Installation, clusters: dict[str, dict[str, Any]]
) -> None:
    cluster = clusters["pgsql"]
    browser, link = requests.Session(), json.loads(dtrove.dtrove("console", "--json").stdout)["url"]
    browser.headers["Accept"] = "text/html"
    form = {
        "csrf": found(r'name="csrf" value="([^"]+)"', browser.get(link, timeout=20).text),
        "code": link.partition("code=")[2],
    }
    overview = browser.post(f"{dtrove.url}/sign-in", data=form, timeout=20)
    assert (overview.url, overview.status_code) == (f"{dtrove.url}/", 200)
    place = f"{dtrove.url}/clusters/{cluster['id']}"
    assert f'href="/clusters/{cluster["id"]}"' in overview.text
    page = browser.get(place, timeout=20).text
    assert cluster["endpoint"]["primary"]["host"] in page
    assert cluster["login"]["password"] not in page
    form = {"csrf": found(r'name="csrf" value="([^"]+)"', page)}
    assert cluster["login"]["password"] in browser.post(f"{place}/credentials", data=form, timeout=20).text


def test_a_deleted_cluster_leaves_no_host_no_volume_and_no_secret(
    dtrove: Installation, clusters: dict[str, dict[str, Any]]
) -> None:
    cluster = clusters["redis"]
    plan = dtrove.ask("DELETE", f"/v1/clusters/{cluster['id']}?plan=true").json()["plan"]
    assert any("volume of 2 GB" in line for line in plan["lost"])
    assert dtrove.containers(cluster["id"])
    ended = dtrove.end_of(dtrove.delete(cluster["id"]))
    assert ended["status"] == "succeeded", ended["problem"]
    assert dtrove.ask("GET", f"/v1/clusters/{cluster['id']}").status_code == 404
    assert not dtrove.containers(cluster["id"])
    assert not (dtrove.home / "volumes" / cluster["instances"][0]["id"]).exists()
    assert cluster["instances"][0]["id"] not in Path("/proc/mounts").read_text()
