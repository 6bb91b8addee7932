"""What an operator asks of the provisioner from a nameko shell, over a whole DTrove on the cloud in memory."""

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
from tests.support.installation import ROOT, Installation, wait_for

pytestmark = [pytest.mark.rabbit, pytest.mark.slow]


@pytest.fixture(scope="module")
def dtrove(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with Installation(tmp_path_factory.mktemp("fake"), DTROVE_PROVIDER="fake") as made:
        yield made


@pytest.fixture(scope="module")
def cluster(dtrove: Installation) -> dict[str, Any]:
    """A cluster with a volume."""
    made, operation = dtrove.create("asked", "redis 7.0", volume_gb=2)
    ended = dtrove.end_of(operation)
    assert ended["status"] == "succeeded", ended["problem"]
    return dict(dtrove.get(f"/v1/clusters/{made}"))


def shell(dtrove: Installation, *calls: str) -> list[Any]:
    """Make calls in a nameko shell; each answer, or the name of the error."""
    lines = ["import json"]
    for call in calls:
        lines += ["try:", f"    print('said', json.dumps(n.rpc.provisioner.{call}))", "except Exception as e:",
                  "    print('said', json.dumps(getattr(e, 'exc_type', repr(e))))", ""]  # fmt: skip
    done = subprocess.run(
        [str(Path(sys.executable).parent / "nameko"), "shell", "--interface", "plain", "--config", str(ROOT / "config.yaml")],
        input="\n".join(lines) + "\n", env=dtrove.environ, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    answers = [line.partition("said ")[2] for line in done.stdout.splitlines() if "said " in line]
    assert len(answers) == len(calls), done.stdout + done.stderr
    return [json.loads(answer) for answer in answers]


def cloud(dtrove: Installation) -> Cloud:
    """The same cloud that the provisioner has, seen from here."""
    return Cloud(path=dtrove.home / STATE_FILE)


def test_flavors_and_the_providers_state_are_answered_at_once(dtrove: Installation, cluster: dict[str, Any]) -> None:
    every, fit, state = shell(dtrove, "flavors()", "flavors('mysql')", "provider_status()")
    assert [one["name"] for one in every] == ["micro", "tiny", "small", "medium", "large"]
    assert [one["name"] for one in fit] == ["tiny", "small", "medium", "large"]
    assert (state["provider"], state["answers"], state["message"]) == ("fake", True, "")
    assert state["flavors"] == 5


def test_volumes_are_filed_as_tasks_and_made_once(dtrove: Installation, cluster: dict[str, Any]) -> None:
    instance = cluster["instances"][0]["id"]
    made, attached = shell(dtrove, f"create_volume('{instance}')", f"attach_volume('{instance}', '')")
    assert made.startswith(f"create_volume:{instance}")
    assert attached.startswith(f"attach_volume:{instance}")
    wait_for(lambda: {"create_volume", "attach_volume"} <= done(dtrove, cluster), 20, what="the end of both tasks")
    (disk,) = cloud(dtrove).volumes(instance)
    assert disk.size_gb == 2
    assert disk.server_id


def done(dtrove: Installation, cluster: dict[str, Any]) -> set[str]:
    operations = dtrove.get(f"/v1/operations?cluster={cluster['id']}")["operations"]
    steps = [step for one in operations for step in dtrove.get(f"/v1/operations/{one['id']}")["steps"]]
    return {step["step"] for step in steps if step["status"] == "succeeded"}


def test_one_server_can_be_asked_about(dtrove: Installation, cluster: dict[str, Any]) -> None:
    instance = cluster["instances"][0]["id"]
    here = cloud(dtrove)
    (server,) = here.servers(instance)
    here.set_power(server, "off")
    seen, nobody = shell(dtrove, f"server_status('{instance}')", "server_status('nobody')")
    here.set_power(server, "on")
    assert (seen["status"], seen["message"]) == ("SHUTOFF", "")
    assert seen["console"].startswith("simulated server starts")
    assert nobody == "NotFound"


def test_what_cannot_be_done_is_refused_by_name(dtrove: Installation, cluster: dict[str, Any]) -> None:
    instance = cluster["instances"][0]["id"]
    assert shell(dtrove, f"create_server('{instance}')", "create_server('nobody')", "create_volume('nobody')") == [
        "Conflict", "NotFound", "NotFound",
    ]  # fmt: skip


def test_a_server_that_comes_to_light_after_its_cluster_was_deleted_is_gone_within_a_minute(
    dtrove: Installation,
) -> None:
    made, operation = dtrove.create("late", "redis 7.0")
    assert dtrove.end_of(operation)["status"] == "succeeded"
    instance = dtrove.get(f"/v1/clusters/{made}")["instances"][0]["id"]
    assert dtrove.end_of(dtrove.delete(made))["status"] == "succeeded"
    here = cloud(dtrove)
    assert here.servers(instance) == []
    here.add_server(instance, made, "late-1", "small")
    wait_for(lambda: not here.servers(instance), 60, 0.5, "the end of the orphan")
