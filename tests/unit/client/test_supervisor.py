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
from shared.errors import Conflict

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
