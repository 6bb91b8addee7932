import errno
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from client.local.processes import Child
from client.supervisor import SERVICES, Supervisor
from shared.errors import Conflict, Failure

ROOT = Path(__file__).parents[3]


class NoDatabase(Supervisor):
    """A supervisor whose services only wait."""

    def _migrate(self, environ):
        pass

    def _child(self, name, environ):
        return Child(name, [sys.executable, "-c", "import signal; signal.pause()"], self.home, environ, self.home)


RUN = (
    "import sys; sys.path.insert(0, sys.argv[3]); from pathlib import Path;"
    "from tests.unit.client.test_supervisor import NoDatabase; NoDatabase(Path(sys.argv[1]), Path(sys.argv[2])).up()"
)


def wait_for(condition, seconds=15.0):
    tick = threading.Event()
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        tick.wait(0.05)
    raise AssertionError("it did not happen in time")


@pytest.fixture
def supervisor(tmp_path: Path):
    return NoDatabase(tmp_path / "home", ROOT / "config.yaml")


@pytest.fixture
def running(supervisor, monkeypatch):
    monkeypatch.setenv("AMQP_URI", "pyamqp://nobody@127.0.0.1:1//")
    supervisor._make_directories()
    command = [sys.executable, "-c", RUN, str(supervisor.home), str(supervisor.config), str(ROOT)]
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
    wait_for(lambda: all(state.pid for state in supervisor.status()))
    yield process
    supervisor.down()
    process.wait()


def test_every_service_runs_in_a_process_of_its_own(supervisor, running):
    assert len({state.pid for state in supervisor.status()}) == 1 + len(SERVICES)


def test_a_killed_service_comes_back(supervisor, running):
    victim = supervisor._pid("api").read()
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: supervisor._pid("api").read() not in (None, victim))


class Unlucky:
    """A service or a broker that cannot be started at first: this many times."""

    name, uri = "unlucky", "pyamqp://nobody@127.0.0.1:1//"

    def __init__(self, failures, enough):
        self.failures, self.enough, self.asked = failures, enough, 0

    def look(self):
        self.asked += 1
        if self.asked <= self.failures:
            raise BlockingIOError(errno.EAGAIN, "no room for another process")
        self.enough()
        return ""

    def is_running(self):
        return False

    def start(self):
        if self.asked < self.failures:
            self.asked += 1
            raise Failure("epmd does not answer")


def test_what_cannot_be_started_now_is_tried_again_and_nothing_else_is_ended(supervisor, monkeypatch):
    monkeypatch.setattr(f"{Supervisor.__module__}.RETRY_SECONDS", 0.01)
    broker = Unlucky(2, None)
    child = Unlucky(3, lambda: broker.asked == 2 and supervisor._stopping.set())
    keeper = threading.Thread(target=supervisor._keep, args=([child], broker), daemon=True)
    keeper.start()
    keeper.join(10)
    assert not keeper.is_alive()
    assert (child.asked > 3, broker.asked) == (True, 2)


def test_two_supervisors_never_share_a_home(supervisor, running):
    with pytest.raises(Conflict):
        supervisor.up()


def test_down_leaves_no_process_even_after_the_supervisor_was_killed(supervisor, running):
    running.kill()
    running.wait()
    supervisor.down()
    assert not any(state.pid for state in supervisor.status())


def test_where_the_usual_port_is_taken_another_is_chosen_and_remembered(supervisor):
    supervisor._make_directories()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 8780))
            taken.listen()
        except OSError:
            pass  # someone else has it: as good
        address = supervisor.environment.choose_address()
    assert address != "127.0.0.1:8780"
    assert supervisor.url == f"http://{address}"
    assert supervisor.environment.choose_address() == address
