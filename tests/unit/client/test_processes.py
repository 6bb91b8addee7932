import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from client.local import processes
from client.local.processes import Child, PidFile, end, rotate, started_at

SLEEPER = [sys.executable, "-c", "import signal; signal.pause()"]
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"


def wait_for(condition, seconds=10.0):
    tick = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if result := condition():
            return result
        tick.wait(0.02)
    raise AssertionError("it did not happen in time")


@pytest.fixture
def make_child(tmp_path: Path):
    for name in ("run", "logs"):
        (tmp_path / name).mkdir()
    made = []

    def make(command):
        made.append(Child("thing", command, tmp_path, dict(os.environ), tmp_path))
        return made[-1]

    yield make
    end([child.process.pid for child in made if child.process], patience=0)


def test_a_pid_file_does_not_mean_a_later_process_of_the_same_number(tmp_path: Path):
    file = PidFile(tmp_path / "x.pid")
    file.write(os.getpid())
    assert file.read() == os.getpid()
    file.path.write_text(f"{os.getpid()} 1\n")
    assert file.read() is None


def test_a_child_that_is_killed_is_started_again(make_child):
    child = make_child(SLEEPER)
    child.start()
    first = child.process.pid
    os.kill(first, signal.SIGKILL)
    assert "killed by SIGKILL" in wait_for(child.look)
    wait_for(lambda: child.look() or child.process)
    assert child.pid_file.read() == child.process.pid != first


def test_a_child_that_keeps_dying_is_started_ever_later(make_child):
    child = make_child([sys.executable, "-c", "raise SystemExit(3)"])
    child.start()
    assert "exited with 3" in wait_for(child.look)
    first = child.delay
    wait_for(child.look)
    assert child.delay == 2 * first


def test_a_child_that_is_killed_again_and_again_after_it_was_well_is_never_kept_waiting(make_child, monkeypatch):
    child = make_child(SLEEPER)
    child.start()
    for _ in range(4):
        monkeypatch.setattr(child, "born", child.born - processes.WELL_AFTER)
        os.kill(child.process.pid, signal.SIGKILL)
        wait_for(child.look)
        assert child.delay == processes.FIRST_DELAY
        wait_for(lambda: child.look() or child.process)
    # Shorter than two leases, in which a killed worker is to be back.
    assert processes.WELL_AFTER <= 20


def test_a_process_that_is_deaf_to_term_is_killed(make_child):
    child = make_child([sys.executable, "-c", STUBBORN])
    child.start()
    wait_for(lambda: "deaf" in child.log.read_text())
    pid = child.process.pid
    end([pid], patience=0.2)
    assert started_at(pid) == ""


def test_a_long_log_is_moved_on_and_its_writer_keeps_writing(tmp_path: Path):
    log = tmp_path / "a.log"
    with log.open("a") as writer:
        for number in range(5):
            writer.write(f"{number}" * 100)
            writer.flush()
            rotate(log, limit=50, keep=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log", "a.log.1", "a.log.2", "a.log.3"]
    assert (tmp_path / "a.log.1").read_text() == "4" * 100
    assert log.read_text() == ""


def test_a_child_that_finds_its_configuration_wrong_is_not_started_again(make_child):
    child = make_child([sys.executable, "-c", "raise SystemExit(78)"])
    child.start()
    assert "not started again" in wait_for(child.look)
    assert child.due == float("inf")
    assert child.look() == ""
    assert child.process is None
