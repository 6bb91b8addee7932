"""`dtrove up` and `dtrove down`: a private RabbitMQ and each service in a process of its own, kept alive."""

from __future__ import annotations

import argparse
import fcntl
import importlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import requests
from urllib3.exceptions import InsecureRequestWarning

from client.configuration import settings_of
from client.local.addresses import url_of
from client.local.broker import Broker, private_rabbitmq
from client.local.configuration import load
from client.local.environment import LocalEnvironment
from client.local.handing import hand_over, take_back
from client.local.processes import Child, PidFile, end
from shared.errors import Conflict, Failure

SERVICES = ("api", "provisioner", "datastore_agentless", "scheduler")
BROKER_SECONDS = 120.0
RETRY_SECONDS = 2.0

log = logging.getLogger("dtrove.supervisor")
Say = Callable[[str], None]


@dataclass(frozen=True)
class ProcessState:
    """One process as `dtrove status` shows it; no pid: it does not run."""

    name: str
    pid: int | None
    log: Path


def quiet(_: str) -> None:
    """Say nothing."""


class Supervisor:
    """Everything that runs for the installation in `home`, as the file `config` describes it."""

    def __init__(self, home: Path, config: Path, broker: Broker | None = None) -> None:
        self.home = home.resolve()
        self.config = config.resolve()
        self.run_dir = self.home / "run"
        self.environment = LocalEnvironment(self.home, self.config)
        self._broker = broker
        self._stopping = threading.Event()

    # What others ask

    @property
    def running(self) -> int | None:
        """The number of the supervising process, or None."""
        return PidFile(self.run_dir / "supervisor.pid").read()

    @property
    def url(self) -> str:
        """Where the API answers, as far as it is known."""
        return url_of(self.environment.address())

    def status(self) -> list[ProcessState]:
        """Each process that belongs to the installation."""
        names = ("supervisor", *SERVICES)
        return [ProcessState(name, self._pid(name).read(), self.home / "logs" / f"{name}.log") for name in names]

    def ready(self) -> tuple[bool, str]:
        """Whether every service says it is ready, and what is still missing where not."""
        if self.running is None or not self.environment.file.exists():
            return False, "DTrove is not up yet"
        try:
            # The certificate is for the name that users know; here it is our own child that is asked, and no token is sent.
            with warnings.catch_warnings(category=InsecureRequestWarning, action="ignore"):
                answer = requests.get(f"{self.url}/readyz", timeout=5, verify=False)  # noqa: S501
        except requests.RequestException:
            return False, "the API does not answer yet"
        return answer.ok, "" if answer.ok else _unready(answer)

    # Up

    def up_detached(self, say: Say = quiet, timeout: float = 180.0) -> None:
        """Start in the background where nothing runs yet; wait until all is ready. Raises Failure after `timeout`."""
        if self.running is None:
            self._make_directories()
            self.environment.forget()
            command = [sys.executable, "-m", "client.supervisor", str(self.home), str(self.config)]
            with (self.home / "logs" / "supervisor.log").open("ab") as output:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=Path(__file__).parent.parent,
                    start_new_session=True,
                )
        else:
            process = None
        self._wait_ready(process, say, timeout)

    def up(self) -> None:
        """Start everything, keep it alive, and end it on SIGTERM or SIGINT. Raises Conflict where it runs already."""
        self._make_directories()
        with self._lock():
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, lambda *_: self._stopping.set())
            self.environment.forget()
            self._pid("supervisor").write(os.getpid())
            try:
                self._serve()
            finally:
                self.environment.forget()
                self._pid("supervisor").remove()

    def _serve(self) -> None:
        self._end_leftovers()
        # RabbitMQ, too, inherits what this process was started with.
        handed = self._hand_over(os.environ)
        os.environ.clear()
        os.environ.update(handed)
        broker = self._private_broker()
        try:
            environ = self.environment.make(self._start_broker(broker))
            self.environment.write(environ)
            self._migrate(environ)
            handed = self._hand_over(environ)
            children = [self._child(name, handed) for name in SERVICES]
            try:
                for child in children:
                    child.start()
                if broker:
                    # Services wait for it by themselves: they have imported all they need by then.
                    broker.wait_ready(BROKER_SECONDS)
                self._keep(children, broker)
            finally:
                end([child.process.pid for child in children if child.process])
                for child in children:
                    child.pid_file.remove()
                take_back(self.run_dir / "secrets")
        finally:
            if broker:
                broker.stop()

    def _keep(self, children: list[Child], broker: Broker | None) -> None:
        looks = [partial(self._look_at, child) for child in children]
        if broker:
            looks.append(partial(self._look_at_broker, broker))
        while not self._stopping.wait(0.2):
            for look in looks:
                try:
                    look()
                except (OSError, Failure) as error:
                    # No room for one more process, a full disk: it passes, and whatever runs is to go on running.
                    log.warning("%s; trying again in %g s", error, RETRY_SECONDS)
                    self._stopping.wait(RETRY_SECONDS)

    def _look_at(self, child: Child) -> None:
        if news := child.look():
            log.warning(news)

    def _look_at_broker(self, broker: Broker) -> None:
        if not broker.is_running():
            log.warning("RabbitMQ has ended; starting it again")
            broker.start()
            self._stopping.wait(RETRY_SECONDS)

    def _start_broker(self, broker: Broker | None) -> str:
        if broker is None:
            return str(self.environment.options()["AMQP_URI"])
        log.info("starting RabbitMQ")
        broker.start()
        return broker.uri

    def _private_broker(self) -> Broker | None:
        """Ours, unless the configuration names one that exists."""
        if self.environment.options().get("AMQP_URI"):
            return None
        return self._broker or private_rabbitmq(self.home)

    # Down

    def down(self, purge: bool = False, say: Say = quiet) -> None:
        """Stop everything; with `purge` also remove every host and file that the installation made."""
        pid = self.running
        if pid is not None:
            say("stopping DTrove")
            # Its own stop takes up to ten seconds for the services and as long for RabbitMQ.
            end([pid], patience=40.0)
        self._end_leftovers()
        if purge:
            say("removing what DTrove made")
            importlib.import_module("services.provisioner.providers.local").clean_up(self.home)
            self._forget()

    def _forget(self) -> None:
        """Delete all but the cache of host images, which costs minutes to make again."""
        if not self.home.exists():
            return
        for path in self.home.iterdir():
            if path.name == "images":
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _end_leftovers(self) -> None:
        """End what a supervisor that was killed has left behind."""
        files = [self._pid(name) for name in SERVICES]
        end([pid for file in files if (pid := file.read()) is not None])
        for file in files:
            file.remove()
        if (self.home / "rabbitmq").exists() and (broker := self._private_broker()):
            broker.stop()

    # Parts

    def _child(self, name: str, environ: dict[str, str]) -> Child:
        module = f"services.{name}.service"
        command = [sys.executable, "-m", "shared.bus.process", "--config", str(self.config), module]
        return Child(name, command, self.home, environ, Path(__file__).parent.parent)

    def _hand_over(self, environ: Mapping[str, str]) -> dict[str, str]:
        return hand_over(environ, [settings_of(name) for name in SERVICES], self.run_dir / "secrets")

    def _migrate(self, environ: dict[str, str]) -> None:
        options = load(self.config, environ)
        for service in SERVICES:
            key = f"{service.partition('_')[0].upper()}_DATABASE_URL"
            url = options.get(key) or f"sqlite:///{self.home}/{service}.sqlite"
            importlib.import_module("shared.db.migrate").upgrade(service, url)

    def _pid(self, name: str) -> PidFile:
        return PidFile(self.run_dir / f"{name}.pid")

    def _make_directories(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("run", "logs"):
            (self.home / name).mkdir(exist_ok=True)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Held while we live; the system lets go of it however we end."""
        with (self.run_dir / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Conflict(f"DTrove runs already in {self.home}", what_to_do="`dtrove down` stops it") from None
            yield

    def _wait_ready(self, process: subprocess.Popen[bytes] | None, say: Say, timeout: float) -> None:
        deadline, last = time.monotonic() + timeout, ""
        while time.monotonic() < deadline:
            if process is not None and process.poll() is not None:
                raise self._not_up("DTrove ended while it started")
            ready, missing = self.ready()
            if ready:
                return
            if missing != last:
                say(missing)
                last = missing
            time.sleep(0.1)
        raise self._not_up(f"DTrove is not ready after {timeout:g} s: {last}")

    def _not_up(self, message: str) -> Failure:
        path = self.home / "logs" / "supervisor.log"
        tail = "\n".join(path.read_text(errors="replace").splitlines()[-20:]) if path.exists() else ""
        return Failure(message, stderr=tail, what_to_do=f"look at the logs in {path.parent}")


def _unready(answer: requests.Response) -> str:
    try:
        checks = answer.json().get("checks", {})
        return "waiting for " + ", ".join(sorted(name for name, state in checks.items() if state != "ok"))
    except (ValueError, AttributeError):
        return f"the API answers {answer.status_code}"


def main() -> None:
    """Run as the background process of `dtrove up --detach`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("config", type=Path)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    Supervisor(asked.home, asked.config).up()


if __name__ == "__main__":
    main()
