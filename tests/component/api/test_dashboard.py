"""What is shipped for Grafana and Prometheus names only what /metrics shows, with the labels that it has there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
import yaml

from shared.clock import ManualClock
from shared.contracts.backups import BackupVerified
from shared.contracts.numbers import NUMBERS
from tests.component.api.test_archives import seen as log_seen
from tests.component.api.test_node_metrics import FACTS, Labels, scraped, see, serving
from tests.component.api.test_proving import PROOF, verifying
from tests.support.api import Api
from tests.support.installation import ROOT

BOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/dtrove.json").read_text())
RULES: dict[str, Any] = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
# Set by Prometheus itself.
OF_PROMETHEUS = {"job", "replica", "le"}
SHOWN = ("timeseries", "stat", "table")


def targets() -> Iterator[str]:
    for panel in BOARD["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


def asked() -> list[str]:
    """Everything that asks for a metric: panels, variables, alerts."""
    variables = [one["definition"] for one in BOARD["templating"]["list"] if one["type"] == "query"]
    return [*targets(), *variables, *(rule["expr"] for group in RULES["groups"] for rule in group["rules"])]


@pytest.fixture
def shown(api: Api) -> dict[str, set[str]]:
    """The names of all samples with the labels that they have; of nodes with every number, mysql's among them."""
    api.database.clock = ManualClock()
    for name, datastore in (("one", "pgsql 15"), ("two", "mysql 10.11")):
        size = 2 if datastore.startswith("pgsql") else 1
        cluster = serving(api, name, datastore=datastore, size=size)
        api.hear(log_seen(cluster, 60))
        api.hear(BackupVerified(**verifying(api, cluster), proof=PROOF))
        see(
            api, cluster, 0, numbers={one.name: 1.0 for one in NUMBERS}, facts=FACTS | {"lag_seconds": 1.0, "behind": 1}
        )
    api.observer.look()
    found: dict[str, list[tuple[Labels, float]]] = scraped(api)
    return {name: set().union(*(labels for labels, _ in samples)) for name, samples in found.items()}


def test_every_metric_that_is_asked_for_is_exposed_with_the_labels_it_is_asked_by(
    api: Api, shown: dict[str, set[str]]
) -> None:
    used = set()
    for expression in asked():
        for name, selector in re.findall(r"\b(dtrove_\w+)(?:\{([^}]*)\})?", expression):
            assert name in shown, expression
            assert set(re.findall(r"(\w+)\s*[=!]~?", selector)) <= shown[name], expression
            used.add(name)
        labels = {one for by in re.findall(r"\bby \(([^)]*)\)", expression) for one in re.split(r",\s*", by)}
        known = OF_PROMETHEUS.union(*(shown[name] for name in re.findall(r"\bdtrove_\w+", expression)))
        assert labels <= known, expression
    assert len(used) > 30


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    assert (BOARD["uid"], BOARD["schemaVersion"]) == ("dtrove", 39)
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids)
    places = [panel["gridPos"] for panel in BOARD["panels"]]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        apart = (
            one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        )  # fmt: skip
        assert apart, (one, other)
    variables = {one["name"] for one in BOARD["templating"]["list"]}
    for panel in BOARD["panels"]:
        if panel["type"] == "row":
            continue
        assert panel["type"] in SHOWN
        assert panel["title"]
        assert panel["description"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert [one["refId"] for one in panel["targets"]] == list("ABCD")[: len(panel["targets"])]
    named = {name for one in asked() for name in re.findall(r"\$(?!__)(\w+)", one)}
    assert {"project", "cluster", "instance"} <= named - {"labels", "value"} <= variables


def test_every_alert_says_what_is_wrong_and_what_to_do() -> None:
    for rule in (rule for group in RULES["groups"] for rule in group["rules"]):
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert set(rule["annotations"]) == {"summary", "what_to_do"}
