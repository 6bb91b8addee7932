"""The last day of a cluster in the console: what was measured of its nodes, as lines and in figures."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from services.api.web import plots
from services.api.web.plots import LEFT, WIDTH, drawn
from tests.component.api.test_scaling import nodes, serves
from tests.support.api import Api
from tests.support.browser import Browser

NOW = datetime(2026, 1, 2, tzinfo=UTC)
UNKNOWN = dict.fromkeys(one.name for one in plots.KINDS)


def sample(minutes: float, now: datetime = NOW, **measured: float) -> dict[str, Any]:
    """What was measured so many minutes ago."""
    return {**UNKNOWN, "at": (now - timedelta(minutes=minutes)).isoformat(), **measured}


def node(*samples: dict[str, Any], name: str = "shop-1") -> dict[str, Any]:
    return {"name": name, "samples": samples}


def test_a_line_goes_from_a_day_ago_to_now_and_is_broken_where_nothing_was_seen() -> None:
    (plot,) = drawn(
        [node(sample(1440, load=0.0), sample(1430, load=2.0), sample(10, load=1.0), sample(0, load=1.0))], NOW
    )
    assert (plot.kind.title, plot.top) == ("Load", "2")
    (line,) = plot.lines
    first, second = line.pieces
    assert first.startswith(f"{LEFT},128 ")
    assert second.endswith(f"{WIDTH},69")
    assert (line.last, line.least, line.most) == ("1", "0", "2")


def test_what_was_measured_of_no_node_has_no_picture_and_each_node_has_a_line() -> None:
    two = [node(sample(0, connections=3.0)), node(sample(0, connections=250.0, lag_seconds=0.25), name="shop-2")]
    of = {plot.kind.name: plot for plot in drawn(two, NOW)}
    assert list(of) == ["lag_seconds", "connections"]
    assert [(line.name, line.look) for line in of["connections"].lines] == [("shop-1", 0), ("shop-2", 1)]
    assert [(line.name, line.last) for line in of["lag_seconds"].lines] == [("shop-2", "0.25 s")]
    assert of["connections"].top == "250"


def test_a_single_sample_is_a_point_that_can_be_seen() -> None:
    (plot,) = drawn([node(sample(0, load=0.5))], NOW)
    assert len(plot.lines[0].pieces[0].split()) == 2


def test_the_page_draws_what_datastore_agentless_has_kept(api: Api, member: Browser) -> None:
    cluster, operation = api.create(size=2)
    ids = nodes(api, cluster)
    serves(api, cluster, operation, *ids.values())
    assert "Nothing was measured yet" in member.get(f"/clusters/{cluster}/day").text
    now = api.database.clock.now()
    api.databases.samples = [
        {
            "cluster": cluster,
            "instance": one,
            "samples": [{"at": (now - timedelta(minutes=5)).isoformat(), "load": 0.5}],
        }
        for one in (*ids.values(), "00000000-0000-4000-8000-000000000000")
    ]
    shown = api.get(f"/v1/clusters/{cluster}/samples")["nodes"]
    assert sorted(one["name"] for one in shown) == ["shop-1", "shop-2"]
    assert {one["samples"][0]["connections"] for one in shown} == {None}
    text = member.get(f"/clusters/{cluster}/day").text
    assert len(re.findall(r"<polyline", text)) == 4
    assert "Operations a second" not in text
    api.databases.away = True
    assert member.get(f"/clusters/{cluster}/day").status_code == 503
