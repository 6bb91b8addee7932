"""The process around a service: how it starts, how it ends, what it says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.component.bus.conftest import Stage
from tests.support.installation import ROOT, wait_for
from tests.support.postgres import PrivatePostgres

# What shared.bus.process allows itself; to import it here would patch the whole suite.
GRACE_SECONDS = 8.0


def test_a_container_that_dies_ends_the_process_with_an_error(stage: Stage) -> None:
    process = stage.start()
    stage.request("sleep", b'{"args": [60], "kwargs": {}}', reply_to="nowhere")
    stage.noted("sleeping")
    stage.request("die", b'{"args": [], "kwargs": {}}', reply_to="nowhere")
    assert process.wait(GRACE_SECONDS + 5) == 1
    assert stage.said("the container is to die")


SLEEPERS = """
import sys, types
import shared.bus.process
for name, module in list(sys.modules.items()):
    for found in list(vars(module).values()) if isinstance(module, types.ModuleType) else ():
        if isinstance(found, types.BuiltinFunctionType) and found.__name__ == 'sleep' and 'original' not in name:
            print(name)
"""


def test_no_library_in_the_process_holds_a_sleep_that_would_stop_all_its_green_threads() -> None:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", SLEEPERS], cwd=ROOT, capture_output=True, text=True,
                          timeout=60, check=True)  # fmt: skip
    assert done.stdout == ""


def test_sigterm_ends_an_idle_process_cleanly(stage: Stage) -> None:
    process = stage.start()
    process.send_signal(signal.SIGTERM)
    assert process.wait(GRACE_SECONDS + 5) == 0


def test_sigterm_ends_a_process_in_bounded_time_whatever_it_is_in_the_middle_of(stage: Stage) -> None:
    process = stage.start()
    stage.request("sleep", b'{"args": [60], "kwargs": {}}', reply_to="nowhere")
    stage.ask("file", subjects=["s"], seconds=60)
    stage.ask("wait")
    stage.noted("sleeping")
    stage.noted("began")
    process.send_signal(signal.SIGTERM)
    assert process.wait(GRACE_SECONDS + 30) == 0


def test_a_stopped_process_hands_its_tasks_to_the_next_one_without_a_wait_for_their_leases(stage: Stage) -> None:
    process = stage.start()
    stage.ask("file", subjects=["s"], seconds=3)
    stage.noted("began")
    process.send_signal(signal.SIGTERM)
    process.wait(20)
    stage.start(wait=False)
    wait_for(lambda: stage.said(" runs"), 20)
    first, second = stage.noted("began", count=2)
    assert (first["task"], second["claims"]) == (second["task"], 1)
    stage.noted("ended")


@pytest.fixture
def scheduler(stage: Stage, postgres: PrivatePostgres) -> Stage:
    """The scheduler as a process, on PostgreSQL, not started yet."""
    settings = {"AMQP_URI": stage.uri, "SCHEDULER_DATABASE_URL": postgres.fresh("late"), "DTROVE_HOME": str(stage.home)}
    (stage.home / "config.yaml").write_text(yaml.safe_dump(settings))
    return stage


def test_a_service_waits_for_its_database_and_says_so(scheduler: Stage, postgres: PrivatePostgres) -> None:
    postgres.pause()
    try:
        process = scheduler.run("services.scheduler.service")
        wait_for(lambda: scheduler.said("waiting for the database of scheduler"), 20)
        assert process.poll() is None
    finally:
        postgres.resume()
    wait_for(lambda: scheduler.said("scheduler runs"), 20)


def test_sigterm_ends_a_process_that_still_waits(scheduler: Stage, postgres: PrivatePostgres) -> None:
    postgres.pause()
    try:
        process = scheduler.run("services.scheduler.service")
        wait_for(lambda: scheduler.said("waiting for the database of scheduler"), 20)
        process.terminate()
        assert process.wait(5) == 0
    finally:
        postgres.resume()


def test_a_wrong_configuration_ends_the_process_at_once_with_everything_that_is_wrong(tmp_path: Path) -> None:
    wrong = {"AMQP_URI": "", "API_DATABASE_URL": "", "DTROVE_MAX_CLUSTER_SIZE": "many", "DTROVE_HOME": str(tmp_path)}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(wrong))
    done = subprocess.run(
        [sys.executable, "-m", "shared.bus.process", "--config", str(tmp_path / "config.yaml"), "services.api.service"],
        cwd=ROOT, env={**os.environ}, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 78
    assert all(name in done.stdout for name in ("AMQP_URI", "DTROVE_MAX_CLUSTER_SIZE"))


def test_what_a_handler_logs_carries_operation_and_cluster_and_no_secret(stage: Stage) -> None:
    stage.start()
    stage.ask("log", operation_id="op-1", cluster_id="cl-1")
    stage.ask("refuse", operation_id="op-2", cluster_id="cl-2")
    wait_for(lambda: stage.said("the stage will not"))
    told = {line["event"]: line for line in stage.lines()}
    line = told["the word is ***"]
    assert (line["operation_id"], line["cluster_id"], line["level"]) == ("op-1", "cl-1", "info")
    assert line["service"]
    assert line["timestamp"]
    refused = next(one for words, one in told.items() if "the stage will not" in words)
    assert (refused["operation_id"], refused["level"]) == ("op-2", "warning")
    assert "canary" not in (stage.home / "output").read_text()
