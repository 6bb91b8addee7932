"""From a request to a database that answers, on a real host, for each datastore; and back to nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.provisioner.providers.local.engine import connect
from tests.support.clients import LoginRefused, Redis, Sql
from tests.support.installation import Installation, wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow]

DATASTORES = {"pgsql": "pgsql 15", "mysql": "mysql 10.11", "redis": "redis 7.0"}


@pytest.fixture(scope="module")
def clusters(dtrove: Installation) -> dict[str, dict[str, Any]]:
    """One cluster of each datastore, all asked for at once, each with a volume, with its credentials."""
    asked = {name: dtrove.create(f"main-{name}", version, volume_gb=1) for name, version in DATASTORES.items()}
    made = {}
    for name, (cluster, operation) in asked.items():
        ended = dtrove.end_of(operation)
        assert ended["status"] == "succeeded", ended["problem"]
        made[name] = dtrove.get(f"/v1/clusters/{cluster}") | {
            "creation": ended, "login": dtrove.get(f"/v1/clusters/{cluster}/credentials"),
        }  # fmt: skip
    return made


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
    assert all(step["status"] == "succeeded" and step["host"] == f"main-{datastore}-1" for step in steps)
    assert all(step["started_at"] <= step["finished_at"] for step in steps)


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


def test_a_plan_tells_commands_and_files_and_changes_nothing(dtrove: Installation) -> None:
    wish = {"name": "only-planned", "datastore": "pgsql 15"}
    answer = dtrove.ask("POST", "/v1/clusters?plan=true", wish)
    assert answer.status_code == 200
    (host,) = answer.json()["plan"]["hosts"]
    assert any("postgresql-15" in command["command"] for command in host["commands"])
    assert any(file["path"].endswith("pg_hba.conf") for file in host["files"])
    assert not dtrove.get("/v1/clusters?name=only-planned")["clusters"]


def test_a_deleted_cluster_leaves_no_host_no_volume_and_no_secret(
    dtrove: Installation, clusters: dict[str, dict[str, Any]]
) -> None:
    cluster = clusters["redis"]
    plan = dtrove.ask("DELETE", f"/v1/clusters/{cluster['id']}?plan=true").json()["plan"]
    assert any("volume of 1 GB" in line for line in plan["lost"])
    assert dtrove.containers(cluster["id"])
    ended = dtrove.end_of(dtrove.delete(cluster["id"]))
    assert ended["status"] == "succeeded", ended["problem"]
    assert dtrove.ask("GET", f"/v1/clusters/{cluster['id']}").status_code == 404
    assert not dtrove.containers(cluster["id"])
    assert not (dtrove.home / "volumes" / cluster["instances"][0]["id"]).exists()
    assert cluster["instances"][0]["id"] not in Path("/proc/mounts").read_text()
