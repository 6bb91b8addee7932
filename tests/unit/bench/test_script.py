from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bench import script
from services.datastore_agentless.domain.instance import Instance
from shared.secrets import Secret

DATASTORES = {"pgsql": ("15", "postgresql-15"), "mysql": ("10.11", "mariadb-server"), "redis": ("7.0", "redis-server")}


@pytest.fixture(params=DATASTORES)
def parts(request: pytest.FixtureRequest) -> list[script.Part]:
    version, package = DATASTORES[request.param]
    manager = script.manager_of({"id": "1", "manager": request.param, "version": version, "image": "debian-12",
                                 "packages": [package], "default_parameters": {}})  # fmt: skip
    node = Instance(id="1", cluster_id="1", name="node-1", addr="192.0.2.1", user="root", ram_mb=1024,
                    admin_user="dtrove", admin_password=Secret("it's-secret"))  # fmt: skip
    return script.write(manager, node)


def test_the_script_holds_every_step_that_works_on_the_host_in_order(parts: list[script.Part]) -> None:
    steps = list(dict.fromkeys(part.step for part in parts))
    assert steps == ["connect", "trust", "pin", "preflight", "prepare", "verify"]
    assert any(part.title.startswith("install ") for part in parts)


def test_the_script_is_shell_that_parses(parts: list[script.Part]) -> None:
    done = subprocess.run(["sh", "-n"], input=script.text(parts), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_script_stops_at_the_first_command_that_fails(tmp_path: Path) -> None:
    failing = [script.Part("a", "first", "true\n"), script.Part("a", "second", "echo late; exit 3\n")]
    done = subprocess.run(["sh"], input=script.text(failing), capture_output=True, text=True, check=False,
                          env={**os.environ, "TMPDIR": str(tmp_path)})  # fmt: skip
    assert done.returncode == 3
    with pytest.raises(ValueError, match="2 commands left 1 marks"):
        script.times(failing, done.stdout)


def test_the_time_of_each_command_is_read_from_its_marks() -> None:
    parts = [script.Part("a", "one", ""), script.Part("b", "two", "")]
    output = f"{script.MARK} begin 10.0\nnoise\n{script.MARK} 0 10.5\n{script.MARK} 1 12.5\n"
    assert script.times(parts, output) == [0.5, 2.0]
