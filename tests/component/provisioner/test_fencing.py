"""Fencing over the bus, in a whole DTrove on the cloud in memory: what is asked for there is done, told, and shown to users."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.provisioner.providers.fake import Cloud
from services.provisioner.providers.fake.provider import STATE_FILE
from shared.contracts.base import Event, new_id
from shared.contracts.datastore_agentless import NodeFenceRequested, NodePowerRequested
from tests.support.installation import ROOT, Installation, wait_for

pytestmark = [pytest.mark.rabbit, pytest.mark.slow]


@pytest.fixture(scope="module")
def dtrove(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with Installation(tmp_path_factory.mktemp("fake"), DTROVE_PROVIDER="fake") as made:
        yield made


def say(dtrove: Installation, event: Event) -> None:
    """Announce an event as datastore_agentless does."""
    told = json.dumps(event.to_payload())
    line = f"n.dispatch_event('datastore_agentless', '{event.topic}', __import__('json').loads({told!r}))\n"
    subprocess.run(
        [str(Path(sys.executable).parent / "nameko"), "shell", "--interface", "plain", "--config", str(ROOT / "config.yaml")],
        input=line, env=dtrove.environ, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip


def test_a_node_is_fenced_and_switched_on_again(dtrove: Installation) -> None:
    cluster, operation = dtrove.create("fenced", "redis 7.0")
    assert dtrove.end_of(operation)["status"] == "succeeded"
    node: dict[str, Any] = dtrove.get(f"/v1/clusters/{cluster}")["instances"][0]
    project = dtrove.get(f"/v1/clusters/{cluster}")["project"]
    here = Cloud(path=dtrove.home / STATE_FILE)
    ids = {"instance_id": node["id"], "cluster_id": cluster, "project_id": project, "operation_id": new_id()}

    def status() -> str:
        return str(dtrove.get(f"/v1/instances/{node['id']}")["status"])

    say(dtrove, NodeFenceRequested(**ids))
    wait_for(lambda: status() == "off", 20, what="the fence of the node")
    assert [one.power for one in here.servers(node["id"])] == ["off"]
    say(dtrove, NodePowerRequested(**ids))
    wait_for(lambda: status() != "off", 20, what="the node's return")
    assert [one.power for one in here.servers(node["id"])] == ["on"]
    steps = {one["step"]: one["status"] for one in dtrove.get(f"/v1/operations/{ids['operation_id']}")["steps"]}
    assert steps == dict.fromkeys(("power_off", "see_off", "power_on", "wait_until_up"), "succeeded")
