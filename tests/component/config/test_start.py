"""A service with a wrong configuration does not start: it says everything that is wrong, once, and which kind of end it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.config import EXIT_CODE

ROOT = Path(__file__).parents[3]


def start(modules: list[str], **environ: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "shared.bus.process",
        "--config",
        str(ROOT / "config.yaml"),
        *modules,
    ]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environ}, capture_output=True, text=True, timeout=60, check=False
    )


def test_all_that_is_wrong_for_all_services_of_the_process_is_one_line_of_the_log(tmp_path: Path) -> None:
    done = start(
        ["services.api.service", "services.provisioner.service", "services.datastore_agentless.service"],
        AMQP_URI="", DTROVE_HOME=str(tmp_path), DTROVE_PROVIDER="nonsense", API_DATABASE_URL="mysql://u:hush@h/n",
        DTROVE_DATASTORE_MANAGERS="[('no.such.Manager', 'x')]", DTROVE_LOG_LEVEL="loud",
    )  # fmt: skip
    assert done.returncode == EXIT_CODE == 78
    (line,) = done.stdout.splitlines()
    said = json.loads(line)["event"]
    for words in (
        "AMQP_URI is not set",
        "no keyring at",
        "'nonsense'",
        "API_DATABASE_URL",
        "no.such.Manager",
        "DTROVE_LOG_LEVEL: 'loud'",
    ):
        assert words in said, words
    assert said.count("no keyring at") == 1
    assert "hush" not in done.stdout + done.stderr


@pytest.mark.parametrize("service", ["api", "provisioner", "datastore_agentless", "scheduler"])
def test_each_service_looks_before_it_starts(service: str, tmp_path: Path) -> None:
    done = start([f"services.{service}.service"], AMQP_URI="http://rabbit", DTROVE_HOME=str(tmp_path))
    assert done.returncode == EXIT_CODE
    assert "AMQP_URI" in done.stdout
