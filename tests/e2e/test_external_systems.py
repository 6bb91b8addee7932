"""The two plain AMQP clients of examples/external against a whole DTrove on the fake provider: asked for, made, refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.support.installation import ROOT, Installation, wait_for

pytestmark = [pytest.mark.rabbit, pytest.mark.slow]
EXAMPLES = ROOT / "examples" / "external"
DEADLINE = 60


@pytest.fixture(scope="module")
def dtrove(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """DTrove with the cloud in memory and simulated hosts: no container engine is asked."""
    with Installation(tmp_path_factory.mktemp("external"), DTROVE_PROVIDER="fake") as made:
        yield made


@pytest.fixture(scope="module")
def nodejs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command of the Node.js client, with its packages as its lock file says."""
    assert shutil.which("npm"), "Node.js is not installed: `make test` installs it"
    place = tmp_path_factory.mktemp("nodejs")
    shutil.copytree(EXAMPLES / "nodejs", place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=place, check=True, timeout=120, capture_output=True)
    return ["node", str(place / "request_cluster.js")]


@pytest.fixture(params=["python", "nodejs"])
def client(request: pytest.FixtureRequest) -> list[str]:
    """Each client in turn."""
    if request.param == "nodejs":
        return list(request.getfixturevalue("nodejs"))
    return [sys.executable, str(EXAMPLES / "python" / "request_cluster.py")]


def broker(dtrove: Installation) -> str:
    """Where the installation's RabbitMQ answers."""
    line = next(one for one in (dtrove.home / "run" / "environment").read_text().splitlines() if "AMQP_URI=" in one)
    return line.partition("=")[2].strip("'\"")


def run(dtrove: Installation, command: list[str], token: str = "", seconds: int = DEADLINE, **environ: str) -> Any:
    """Run a client to its end."""
    given = {"AMQP_URI": broker(dtrove), "DTROVE_TOKEN": token or dtrove.token, "DTROVE_SECONDS": str(seconds)}
    return subprocess.run(command, env={"PATH": os.environ["PATH"], **given, **environ}, capture_output=True, text=True,
                          timeout=seconds + 30, check=False)  # fmt: skip


def parked(dtrove: Installation) -> list[dict[str, Any]]:
    """What `dtrove parked list` shows."""
    return list(json.loads(dtrove.dtrove("parked", "list", "--json").stdout))


def test_another_system_asks_for_a_cluster_and_sees_it_become_active(dtrove: Installation, client: list[str]) -> None:
    name = f"asked-in-{Path(client[1]).suffix[1:]}"
    done = run(dtrove, [*client, name, "redis 7.0"])
    assert done.returncode == 0, done.stdout + done.stderr + dtrove.logs()
    answer = json.loads(done.stdout)
    assert str(UUID(answer["cluster"])) == answer["cluster"]
    # The bus told the client, maybe before it told the API.
    where = f"/v1/clusters/{answer['cluster']}"
    shown = wait_for(lambda: (found := dtrove.get(where))["status"] == "active" and found, 20, what="the API's hearing")
    assert (shown["name"], shown["endpoint"]["url"], answer["status"]) == (name, answer["url"], "active")


@pytest.mark.parametrize(
    ("stem", "arguments", "token", "reason"),
    [
        ("guest", [], "guessed", "token"),
        ("Wrong Name", [], "", "name"),
        ("unknown", ["oracle 23"], "", "datastore"),
    ],
)  # fmt: skip
def test_a_wish_that_is_refused_waits_for_an_operator_with_its_reason(
    dtrove: Installation, client: list[str], stem: str, arguments: list[str], token: str, reason: str
) -> None:
    before = {one["id"] for one in parked(dtrove)}
    done = run(dtrove, [*client, stem, *arguments], token=token, seconds=3)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "dtrove parked list" in done.stderr
    (refused,) = wait_for(lambda: [one for one in parked(dtrove) if one["id"] not in before], 20, 0.5)
    assert refused["topic"] == "cluster.requested"
    assert reason in refused["reason"]
    assert dtrove.token not in json.dumps(refused)
    assert stem not in [one["name"] for one in dtrove.get("/v1/clusters")["clusters"]]


def test_a_client_that_finds_no_dtrove_at_its_broker_is_told_at_once(dtrove: Installation, client: list[str]) -> None:
    done = run(dtrove, [*client, "nobody"], AMQP_URI="amqp://nobody:nothing@127.0.0.1:9/")
    assert done.returncode not in (0, 2)
    assert not done.stdout
