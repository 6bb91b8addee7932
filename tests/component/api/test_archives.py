"""How far a cluster's log is kept, as the API hears it and shows it."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import Any

from shared.clock import ManualClock
from shared.contracts.archives import ArchiveBroken, ArchiveSeen
from shared.contracts.datastore_agentless import ClusterDegraded, ClusterRecovered
from tests.component.api.test_node_metrics import scraped
from tests.component.api.test_scaling import nodes, serves
from tests.support.api import Api

START = ManualClock().now()


def shop(api: Api, name: str = "shop") -> str:
    cluster, operation = api.create(name=name)
    serves(api, cluster, operation, *nodes(api, cluster).values())
    return cluster


def seen(cluster: str, seconds: float, **values: Any) -> ArchiveSeen:
    at = START + timedelta(seconds=seconds)
    return ArchiveSeen(cluster_id=cluster, project_id="p", occurred_at=at, until=at - timedelta(seconds=60), **values)


def shown(api: Api, cluster: str) -> Any:
    return api.get(f"/v1/clusters/{cluster}/health")["archive"]


def test_how_far_a_log_is_kept_is_shown_with_the_cluster_s_health(api: Api) -> None:
    cluster = shop(api)
    assert shown(api, cluster) is None
    api.hear(seen(cluster, 120, trouble="shop-n1 does not answer", broken_at=START))
    assert shown(api, cluster) == {
        "until": "2026-01-01T00:01:00.000000Z", "broken_at": "2026-01-01T00:00:00.000000Z",
        "trouble": "shop-n1 does not answer", "stale": False, "seen_at": "2026-01-01T00:02:00.000000Z",
    }  # fmt: skip


def test_the_newest_word_counts_whatever_order_they_come_in(api: Api) -> None:
    for number, order in enumerate(permutations(range(3))):
        cluster = shop(api, f"shop-{number}")
        said = [seen(cluster, 60), seen(cluster, 120, trouble="away"), seen(cluster, 180)]
        for one in order:
            api.hear(said[one])
        assert shown(api, cluster)["seen_at"] == "2026-01-01T00:03:00.000000Z"
        api.hear(seen(cluster, 240, ended=True))
        api.hear(seen(cluster, 200))
        assert shown(api, cluster) is None


def test_a_hole_is_news_and_how_far_a_log_is_kept_is_not(api: Api) -> None:
    cluster = shop(api)
    api.hear(seen(cluster, 60))
    api.hear(ArchiveBroken(cluster_id=cluster, project_id="p", until=START))
    topics = [one["type"] for one in api.get("/v1/events")["events"]]
    assert "archive.broken" in topics
    assert "archive.seen" not in topics


def status(api: Api, cluster: str) -> tuple[str, str]:
    found = api.get(f"/v1/clusters/{cluster}")
    return found["status"], found["message"]


def test_a_cluster_whose_log_is_stale_is_not_well_and_says_why_until_it_is_kept_again(api: Api) -> None:
    cluster = shop(api)
    api.hear(seen(cluster, 600, stale=True, trouble="the store minio does not answer"))
    assert status(api, cluster) == (
        "degraded", "its log is kept until 2026-01-01T00:09:00.000000Z only: the store minio does not answer",
    )  # fmt: skip
    api.hear(seen(cluster, 660, stale=True, broken_at=START))
    assert status(api, cluster) == (
        "degraded", "its log has a hole: what is written now can only be restored once there is a new full backup",
    )  # fmt: skip
    api.hear(seen(cluster, 720))
    assert status(api, cluster) == ("active", "")


def test_a_log_that_is_kept_no_more_makes_nobody_ill(api: Api) -> None:
    cluster = shop(api)
    api.hear(seen(cluster, 600, stale=True))
    api.hear(seen(cluster, 660, stale=True, ended=True))
    assert status(api, cluster)[0] == "active"


def test_a_node_that_is_not_well_is_said_before_a_log_that_is_stale(api: Api) -> None:
    cluster = shop(api)
    node = api.get(f"/v1/clusters/{cluster}")["instances"][0]["id"]
    api.hear(ClusterDegraded(cluster_id=cluster, instance_id=node, verdict="DB_DOWN", message="nobody answers",
                             occurred_at=START + timedelta(seconds=10)))  # fmt: skip
    api.hear(seen(cluster, 600, stale=True))
    assert status(api, cluster) == ("degraded", "nobody answers")
    api.hear(ClusterRecovered(cluster_id=cluster, occurred_at=START + timedelta(seconds=700)))
    assert status(api, cluster)[1].startswith("its log is kept until")


def test_how_old_a_log_is_and_whether_it_is_stale_is_told_to_prometheus(api: Api) -> None:
    labels = {"project": "default", "cluster": "shop"}
    cluster = shop(api)
    assert scraped(api).get("dtrove_archive_age_seconds", []) == []
    api.hear(seen(cluster, 600, stale=True))
    api.database.clock = ManualClock(START + timedelta(seconds=1000))
    assert scraped(api)["dtrove_archive_age_seconds"] == [(labels, 460.0)]
    assert scraped(api)["dtrove_archive_stale"] == [(labels, 1.0)]
