"""Jobs that are lost, killed, cancelled or never born: known for what they are, and started again where that is right."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from services.datastore_agentless.hosts.base import CommandFailed, HostUnreachable, Job
from services.datastore_agentless.hosts.jobs import JobFolder
from services.datastore_agentless.hosts.runner import HostRunner
from services.datastore_agentless.hosts.ssh import PoolSettings, SshPool
from shared.errors import Cancelled, Retryable
from tests.component.hosts.driving import folder_of, one, start
from tests.component.hosts.sshd import Sshd
from tests.support.installation import wait_for

MakeRunner = Callable[..., HostRunner]


@pytest.mark.fault(4)
def test_a_reboot_shows_as_lost_and_the_next_try_starts_it_again(runner: MakeRunner) -> None:
    job = Job("long", "sleep 60", title="work")
    folder = start(runner(), job)
    wait_for((folder / "pid").exists, 5)
    pid = int((folder / "pid").read_text().split()[0])
    os.killpg(pid, 9)
    (folder / "pid").write_text(f"{pid} 1 00000000-0000-0000-0000-000000000000\n")
    with pytest.raises(Retryable, match="`work` on node-1 is lost: starting it again"):
        runner().execute(one(job))
    assert not folder.exists()
    assert runner().execute(one(Job("long", "echo anew"))).stdout == "anew\n"


def test_a_job_whose_process_was_killed_shows_as_vanished(runner: MakeRunner) -> None:
    job = Job("killed", "sleep 60", title="work")
    folder = start(runner(), job)
    wait_for((folder / "pid").exists, 5)
    os.killpg(int((folder / "pid").read_text().split()[0]), 9)
    with pytest.raises(Retryable, match="is vanished"):
        runner().execute(one(job))


def test_a_job_that_was_claimed_and_never_came_to_life_is_started_again(runner: MakeRunner) -> None:
    driver, job = runner(), Job("stillborn", "echo alive", title="work")
    folder = folder_of(driver, job)
    folder.mkdir(parents=True)
    os.utime(folder, (time.time() - 60, time.time() - 60))
    with pytest.raises(Retryable, match="is vanished"):
        driver.execute(one(job))
    assert driver.execute(one(job)).stdout == "alive\n"


def test_a_job_declared_dead_never_comes_to_life_behind_our_backs(runner: MakeRunner, tmp_path: Path) -> None:
    driver, job = runner(), Job("late", f"echo ran >> {tmp_path}/ran")
    made = JobFolder(f"{driver.task_id}-{job.name}", driver.root, driver.memory)
    # Started by hand up to the moment before its birth, then given up by somebody else.
    script = made.start(job.script).replace("setsid sh ./run", "sleep 1; setsid sh ./run").replace("&\nfi", "\nfi")
    slow = threading.Thread(target=driver.remote, args=(script,))
    slow.start()
    wait_for((folder_of(driver, job) / "run").exists, 5)
    driver.remote(made.stop())
    slow.join()
    assert driver.execute(one(Job("late", "echo second"))).stdout == "second\n"
    assert not (tmp_path / "ran").exists()


def test_cancelling_ends_everything_that_the_job_started(runner: MakeRunner, tmp_path: Path) -> None:
    mark = f"{tmp_path}/marked-sleep"
    asked = threading.Event()

    def check() -> None:
        if asked.is_set():
            raise Cancelled("the operation was cancelled")

    job = Job("tree", f"cp /bin/sleep {mark}; {mark} 60 & ({mark} 60; true) & trap '' TERM; {mark} 60; {mark} 60; wait")
    threading.Thread(target=lambda: wait_for(lambda: _count(mark) >= 3, 10) and asked.set()).start()
    with pytest.raises(Cancelled):
        runner(check=check).execute(one(job))
    assert _count(mark) == 0
    assert not folder_of(runner(), job).exists()


def test_a_host_out_of_reach_does_not_keep_a_user_from_cancelling(own_sshd: Sshd, runner: MakeRunner) -> None:
    pool = SshPool(PoolSettings(connect_timeout=1))
    asked = threading.Event()

    def check() -> None:
        if asked.is_set():
            raise Cancelled("the operation was cancelled")

    def stop(text: str, _: int | None) -> None:
        if "goes on there" in text:
            asked.set()

    driver = runner(target=own_sshd.target(), pool=pool, check=check, on_progress=stop)
    threading.Timer(0.7, own_sshd.stop).start()
    with pytest.raises(Cancelled):
        driver.execute(one(Job("away", "sleep 5")))


def test_a_job_past_its_time_is_ended_and_says_so(runner: MakeRunner, tmp_path: Path) -> None:
    mark = f"{tmp_path}/marked-sleep"
    job = Job("slow", f"cp /bin/sleep {mark}; echo still here >&2; {mark} 60", title="wait", timeout=2)
    with pytest.raises(CommandFailed, match="did not end within 2 s") as caught:
        runner().execute(one(job))
    assert caught.value.stderr == "still here"
    wait_for(lambda: _count(mark) == 0, 5)


def test_input_that_did_not_arrive_whole_starts_nothing(runner: MakeRunner, tmp_path: Path) -> None:
    driver = runner()
    made = JobFolder("t-cut", driver.root, driver.memory)
    output = driver.remote(made.start(f"touch {tmp_path}/ran", size=10))
    assert output.code == 1
    assert b"did not arrive whole" in output.stderr
    assert not (tmp_path / "ran").exists()
    assert not Path(driver.root, "jobs", "t-cut").exists()


def test_folders_of_jobs_long_ended_go_with_the_next_start(runner: MakeRunner) -> None:
    driver, old = runner(), Job("old", "echo old")
    driver.execute(one(old))
    ended = folder_of(driver, old)
    os.utime(ended, (time.time() - 5 * 86_400,) * 2)
    driver.execute(one(Job("new", "echo new")))
    assert not ended.exists()


def test_a_host_that_stays_away_ends_the_wait_at_the_timeout(own_sshd: Sshd, runner: MakeRunner) -> None:
    pool = SshPool(PoolSettings(connect_timeout=1))
    driver = runner(target=own_sshd.target(), pool=pool)
    threading.Timer(0.7, own_sshd.stop).start()
    with pytest.raises(HostUnreachable):
        driver.execute(one(Job("gone", "sleep 1", timeout=3)))


def _count(mark: str) -> int:
    done = subprocess.run(["pgrep", "-fc", f"^{mark}"], capture_output=True, text=True, check=False)
    return int(done.stdout or 0)
