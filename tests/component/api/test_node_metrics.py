"""Nodes at /metrics: what was last seen of each, for whoever may see it, and nothing of what is gone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from falcon.testing import TestClient
from prometheus_client.parser import text_string_to_metric_families

from services.api.actions.access import digest
from services.api.app import make_app
from services.api.node_metrics import FAMILIES, STALE_SECONDS
from shared.clock import ManualClock
from shared.contracts import datastore_agentless as databases
from shared.contracts import provisioner
from shared.contracts.numbers import NUMBERS
from shared.contracts.values import NodeHealth
from tests.component.api.test_health import at
from tests.component.api.test_scaling import nodes, serves
from tests.support.api import Api

MB = 1024 * 1024
FACTS = {"role": "primary", "load": 0.5, "uptime_seconds": 60.5, "memory_mb": 512, "memory_free_mb": 256, "lag_seconds": None,
         "clock_ahead_seconds": -0.2, "disk_mb": 100, "disk_free_mb": 40, "root_mb": 50, "root_free_mb": 20, "tmp_mb": 10,
         "tmp_free_mb": 5, "position": "0/58"}  # fmt: skip
Labels = dict[str, str]


@pytest.fixture
def clock(api: Api) -> ManualClock:
    api.database.clock = ManualClock()
    return api.database.clock


def serving(api: Api, name: str = "shop", **options: Any) -> str:
    cluster, operation = api.create(name, **{"size": 2, **options})
    serves(api, cluster, operation, *nodes(api, cluster).values())
    return cluster


def see(api: Api, cluster: str, seconds: float, **changes: Any) -> None:
    """Both nodes of a cluster were seen."""
    found = tuple(
        NodeHealth(instance_id=one, cluster_id=cluster, seen_at=at(seconds).isoformat(), since=at(0).isoformat(),
                   **{"verdict": "OK", "message": "", "evidence": {"ssh": "answers", "database": "answers"},
                      "facts": FACTS if name.endswith("1") else FACTS | {"role": "replica", "lag_seconds": 1.5, "behind": 42},
                      "numbers": {"commits_total": 7.0, "connections": 3.0}} | changes)
        for name, one in nodes(api, cluster).items()
    )  # fmt: skip
    api.hear(databases.HealthSeen(nodes=found))


def scraped(api: Api, token: str | None = None) -> dict[str, list[tuple[Labels, float]]]:
    """What is at /metrics, read as Prometheus reads it: by the name of the samples."""
    answer = api.ask("GET", "/metrics", token=api.admin if token is None else token)
    assert answer.status_code == 200
    found: dict[str, list[tuple[Labels, float]]] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def test_each_node_shows_its_host_its_engine_and_its_lag(api: Api, clock: ManualClock) -> None:
    see(api, serving(api), 0)
    clock.advance(4)
    found = scraped(api)
    first = {"project": "default", "cluster": "shop", "instance": "shop-1", "engine": "pgsql", "role": "primary"}
    second = first | {"instance": "shop-2", "role": "replica"}
    assert found["dtrove_node_verdict"] == [(one | {"verdict": "OK"}, 1.0) for one in (first, second)]
    assert found["dtrove_engine_commits_total"] == [(first, 7.0), (second, 7.0)]
    assert found["dtrove_engine_connections"][0] == (first, 3.0)
    assert found["dtrove_engine_up"][0] == (first, 1.0)
    assert found["dtrove_engine_replication_lag_seconds"] == [(second, 1.5)]
    assert found["dtrove_engine_replication_behind_bytes"] == [(second, 42.0)]
    assert "dtrove_engine_replication_behind_transactions" not in found
    assert found["dtrove_node_seen_seconds_ago"][0] == (first, 4.0)
    assert found["dtrove_node_memory_available_bytes"][0] == (first, 256.0 * MB)
    assert found["dtrove_node_clock_ahead_seconds"][0] == (first, -0.2)
    assert [(labels["disk"], value) for labels, value in found["dtrove_node_disk_free_bytes"][:3]] == [
        ("data", 40.0 * MB), ("root", 20.0 * MB), ("tmp", 5.0 * MB),
    ]  # fmt: skip


def test_what_is_not_known_any_more_is_not_shown(api: Api, clock: ManualClock) -> None:
    cluster = serving(api)
    see(api, cluster, 0)
    dead = {"verdict": "HOST_DOWN", "evidence": {"ssh": "no answer"}, "facts": {"role": "primary"}, "numbers": {}}
    see(api, cluster, 2, **dead)
    clock.advance(3)
    found = scraped(api)
    assert found["dtrove_node_verdict"][0][0]["verdict"] == "HOST_DOWN"
    assert not {"dtrove_engine_up", "dtrove_engine_commits_total", "dtrove_node_load1"} & set(found)
    see(api, cluster, 3)
    assert len(scraped(api)["dtrove_engine_commits_total"]) == 2
    clock.advance(STALE_SECONDS + 1)
    assert "dtrove_node_verdict" not in scraped(api)


def test_a_node_that_is_gone_is_gone_from_the_metrics(api: Api, clock: ManualClock) -> None:
    cluster = serving(api)
    see(api, cluster, 0)
    api.hear(
        provisioner.InstanceDeleted(instance_id=nodes(api, cluster)["shop-1"], cluster_id=cluster, operation_id="o")
    )
    assert [labels["instance"] for labels, _ in scraped(api)["dtrove_node_verdict"]] == ["shop-2"]


def test_nobody_without_a_token_sees_a_node_and_a_project_sees_its_own(api: Api, clock: ManualClock) -> None:
    see(api, serving(api, "mine"), 0)
    stranger = api.token("reader", api.project())
    assert "dtrove_node_verdict" not in scraped(api, "")
    assert scraped(api, "")["dtrove_nodes"] == [({"verdict": "OK"}, 2.0)]
    assert "mine" not in api.ask("GET", "/metrics", token="").text
    assert "dtrove_node_verdict" not in scraped(api, stranger)
    assert len(scraped(api, api.reader)["dtrove_node_verdict"]) == 2
    assert api.ask("GET", "/metrics", token="bad").status_code == 401


def test_a_token_for_metrics_sees_every_node_there_and_can_do_nothing_else(api: Api, clock: ManualClock) -> None:
    see(api, serving(api), 0)
    client = TestClient(make_app(replace(api.context, metrics_token_hash=digest("only-looks"))))
    sent = {"Authorization": "Bearer only-looks"}
    assert "dtrove_node_verdict{" in client.simulate_get("/metrics", headers=sent).text
    assert client.simulate_get("/v1/clusters", headers=sent).status_code == 401
    assert client.simulate_get("/metrics", headers={"Authorization": "Bearer only-look"}).status_code == 401


def test_a_name_with_every_sign_is_one_label(api: Api, clock: ManualClock) -> None:
    odd = 'a"b\\c'
    project = api.project(f"{odd}\n")
    cluster = serving(api)
    see(api, cluster, 0)
    with api.database.write() as tx:
        clusters = api.database.metadata.tables["clusters"]
        tx.connection.execute(clusters.update().values(project_id=project))
    assert {labels["project"] for labels, _ in scraped(api)["dtrove_node_verdict"]} == {f"{odd}\n"}


def test_every_number_of_an_engine_has_a_family_in_base_units(api: Api, clock: ManualClock) -> None:
    see(
        api,
        serving(api),
        0,
        numbers={one.name: 1.0 for one in NUMBERS},
        facts=FACTS | {"lag_seconds": 1.0, "behind": 1},
    )
    found = scraped(api)
    missing = {one.name for one in FAMILIES} - set(found)
    assert missing == {"dtrove_engine_replication_behind_transactions"}
    kinds = {one.name: one.kind for one in FAMILIES}
    assert all((kind == "counter") == name.endswith("_total") for name, kind in kinds.items())
