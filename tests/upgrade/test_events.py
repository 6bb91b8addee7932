"""Services of this release and of the last one side by side: each understands what the other says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.reference import _example
from services.api.store import tables
from shared.contracts import REGISTRY, Event, dump
from tests.support.api import Api, open_database

RECORDED = sorted(Path(__file__).parent.glob("events-*.json"))


def recorded(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def contract_of(publisher: str, topic: str) -> type[Event]:
    return REGISTRY.get((publisher, topic)) or REGISTRY["*", topic]


@pytest.fixture(params=RECORDED, ids=lambda path: path.stem)
def last(request: pytest.FixtureRequest) -> dict[str, Any]:
    return recorded(request.param)


def test_every_event_of_the_last_release_is_understood(last: dict[str, Any]) -> None:
    for said in last["life"]:
        contract = contract_of(said["exchange"].removesuffix(".events"), said["topic"])
        assert contract.from_payload(said["payload"]).event_id == said["payload"]["event_id"]
    for name, known in last["contracts"].items():
        publisher, topic = name.split(":")
        assert contract_of(publisher, topic).from_payload(known["example"])


def test_the_last_release_finds_in_every_event_what_it_needs(last: dict[str, Any]) -> None:
    for name, known in last["contracts"].items():
        publisher, topic = name.split(":")
        now = dump(_example(contract_of(publisher, topic), ""))
        for field in known["required"]:
            assert field in now, f"{name} has lost {field}"
        for field, before in known["example"].items():
            assert type(now.get(field, before)) is type(before), f"{name}.{field} is of another kind than it was"


def test_a_whole_life_as_the_last_release_tells_it_ends_the_same_here(last: dict[str, Any], tmp_path: Path) -> None:
    api = Api(open_database(f"sqlite:///{tmp_path}/api.sqlite"))
    wish = next(said["payload"] for said in last["life"] if said["topic"] == "cluster.requested")
    perform = next(said["payload"] for said in last["life"] if said["topic"] == "perform.requested")
    goodbye = next(said["payload"] for said in last["life"] if said["topic"] == "cluster.delete_requested")
    _wished(api, last["project_id"], wish, perform, goodbye)
    for said in last["life"]:
        publisher = said["exchange"].removesuffix(".events")
        if publisher != "api":
            api.hear(contract_of(publisher, said["topic"]).from_payload(said["payload"]))
    ended = {row.kind: row.status for row in api.rows("operations")}
    assert ended == {"create_cluster": "succeeded", "perform": "succeeded", "delete_cluster": "succeeded"}
    assert [row.status for row in api.rows("clusters")] == ["deleted"]
    assert [row.status for row in api.rows("instances")] == ["deleted"]
    assert api.rows("transcript")


def _wished(api: Api, project_id: str, wish: dict[str, Any], *others: dict[str, Any]) -> None:
    """The rows that the API had when it announced these wishes."""
    now = api.database.clock.now()
    with api.database.write() as tx:
        tx.insert_new(tables.clusters, id=wish["cluster_id"], project_id=project_id, name=wish["name"],
                      status="requested", size=1, datastore=wish["datastore"], flavor=wish["flavor"], message="",
                      deletion_protection=False, created_at=now)  # fmt: skip
        for ref in wish["instances"]:
            tx.insert_new(tables.instances, id=ref["id"], cluster_id=wish["cluster_id"], project_id=project_id,
                          name=ref["name"], status="requested", addr="", server="", message="",
                          server_state="requested", ready=False)  # fmt: skip
        kinds = ("create_cluster", "perform", "delete_cluster")
        for kind, said in zip(kinds, (wish, *others), strict=True):
            tx.insert_new(tables.operations, id=said["operation_id"], kind=kind, cluster_id=wish["cluster_id"],
                          project_id=project_id, status="pending", output="", exclusive=False, weights={},
                          created_at=now)  # fmt: skip
