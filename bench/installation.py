"""A DTrove of the benchmark's own: a fresh directory, the supervisor, the API over HTTP; nothing of it stays."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

import requests

from client import installation as client_installation
from client.supervisor import SERVICES, Supervisor

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "config.yaml"
LOOK_SECONDS = 0.02
OPERATION_SECONDS = 600.0
ENDED = ("succeeded", "failed", "cancelled")

Say = Callable[[str], None]


class Broken(Exception):
    """The benchmark itself, or what it measures, did not work: there is no figure to show."""


class Installation:
    """DTrove as `dtrove up` starts it, in `home`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.supervisor = Supervisor(home, CONFIG)
        self.session = requests.Session()
        self.url = ""
        self.token = ""

    def start(self, say: Say) -> None:
        """Make keyring and token, start all processes, wait until they are ready."""
        client_installation.init(self.home)
        self.supervisor.up_detached(say=say)
        self.url = self.supervisor.url
        self.token = str(json.loads((self.home / "client.json").read_text())["token"])
        self.session.headers["Authorization"] = f"Bearer {self.token}"

    def pids(self) -> dict[str, int]:
        """The number of each service's process."""
        return {one.name: one.pid for one in self.supervisor.status() if one.name in SERVICES and one.pid}

    def database(self, service: str) -> Path:
        """The SQLite file of a service."""
        return self.home / f"{service}.sqlite"

    def ask(self, method: str, path: str, body: Any = None) -> requests.Response:
        """One request. Raises Broken where the answer is an error."""
        answer = self.session.request(method, self.url + path, json=body, timeout=60)
        if not answer.ok:
            raise Broken(f"{method} {path} was answered {answer.status_code}: {answer.text[:500]}")
        return answer

    def get(self, path: str) -> Any:
        """The JSON answer of a GET."""
        return self.ask("GET", path).json()

    def create(self, name: str, datastore: str, size: int = 1, **more: Any) -> tuple[str, str]:
        """Ask for a cluster; returns its id and the operation's."""
        answer = self.ask("POST", "/v1/clusters", {"name": name, "datastore": datastore, "size": size, **more})
        return str(answer.json()["id"]), operation_of(answer)

    def perform(self, instance: str, *commands: str) -> str:
        """Ask for commands on an instance; returns the operation."""
        wish = {"name": "benchmark", "commands": list(commands)}
        return operation_of(self.ask("POST", f"/v1/instances/{instance}/perform", wish))

    def end_of(self, operation: str) -> dict[str, Any]:
        """Follow an operation to its end, as the command line does; returns it. Raises Broken where it does not succeed."""
        url, until = f"{self.url}/v1/operations/{operation}", time.monotonic() + OPERATION_SECONDS
        with self.session.get(url, params={"follow": "true"}, stream=True, timeout=(5, 60)) as answer:
            for line in answer.iter_lines():
                if time.monotonic() > until:
                    break
                if not line.startswith(b"data: "):
                    continue
                shown = json.loads(line[6:])
                if shown["status"] == "succeeded":
                    return dict(shown)
                if shown["status"] in ENDED:
                    raise Broken(f"operation {operation} is {shown['status']}: {json.dumps(shown['problem'])}")
        raise Broken(f"operation {operation} did not end within {OPERATION_SECONDS:.0f} s")

    def settled(self, operation: str) -> dict[str, Any]:
        """An operation that has ended, once the reports of all its steps have come in as well."""
        until = time.monotonic() + OPERATION_SECONDS
        while time.monotonic() < until:
            shown = self.get(f"/v1/operations/{operation}")
            if all(step["finished_at"] for step in shown["steps"]):
                return dict(shown)
            time.sleep(LOOK_SECONDS)
        raise Broken(f"operation {operation} never said how all its steps ended")

    def cluster(self, name: str, datastore: str) -> dict[str, Any]:
        """Make a cluster and wait until it is active; returns it."""
        made, operation = self.create(name, datastore)
        self.end_of(operation)
        return dict(self.get(f"/v1/clusters/{made}"))

    def delete(self, cluster: str) -> None:
        """Delete a cluster and wait until it is gone."""
        self.end_of(operation_of(self.ask("DELETE", f"/v1/clusters/{cluster}")))

    def logs(self, lines: int = 10) -> str:
        """The last lines of every log, for whoever looks into a broken benchmark."""
        found = sorted((self.home / "logs").glob("*.log"))
        tails = [(log.name, "\n".join(log.read_text(errors="replace").splitlines()[-lines:])) for log in found]
        return "\n".join(f"--- {name}\n{text}" for name, text in tails)


def operation_of(answer: requests.Response) -> str:
    """The operation that an answer points to."""
    return answer.headers["Location"].rpartition("/")[2]


# One client asks here as much as many do elsewhere.
UNLIMITED = {
    f"DTROVE_{name}": "0"
    for name in ("RATE_PER_TOKEN", "RATE_PER_PROJECT", "RATE_PER_ADDRESS", "AT_ONCE_PER_TOKEN", "STREAMS_PER_TOKEN")
}


@contextmanager
def installation(say: Say, provider: str, **options: str) -> Iterator[Installation]:
    """A running installation with this provider and no limits for clients; it is removed at the end, whatever the end is."""
    home = Path(tempfile.mkdtemp(prefix="dtrove-bench-"))
    made = Installation(home)
    with _environment({"DTROVE_HOME": str(home), "DTROVE_PROVIDER": provider, **UNLIMITED, **options}):
        try:
            if provider == "local":
                _copy_images(home)
            say("starting RabbitMQ and the four services")
            made.start(lambda _: None)
            yield made
        except Exception as error:
            raise Broken(f"{error}\n{made.logs()}") from error
        finally:
            with _undisturbed():
                say("removing the installation")
                made.session.close()
                made.supervisor.down(purge=True)
                shutil.rmtree(home, ignore_errors=True)


def _copy_images(home: Path) -> None:
    """Take the host image along where the checkout has one: making it costs a minute."""
    cached = ROOT / "var" / "images"
    if cached.exists():
        shutil.copytree(cached, home / "images", ignore=shutil.ignore_patterns("lock", "partial"), symlinks=True)


@contextmanager
def _environment(options: dict[str, str]) -> Iterator[None]:
    """Set these options and unset every other that DTrove knows: the caller's own installation is none of ours."""
    known = {*re.findall(r"\$\{(\w+)", CONFIG.read_text()), "DTROVE_TOKEN", "DTROVE_URL", "DTROVE_CONFIG"}
    before = {name: os.environ.pop(name) for name in known if name in os.environ}
    os.environ.update(options)
    try:
        yield
    finally:
        for name in options:
            os.environ.pop(name, None)
        os.environ.update(before)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let no second Ctrl-C end the tidying up."""

    def later(_number: int, _frame: FrameType | None) -> None:
        return None

    before = {number: signal.signal(number, later) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def seconds_of(step: dict[str, Any]) -> float:
    """How long a step of an operation took, by the times that it shows."""
    begun, ended = (datetime.fromisoformat(step[name]) for name in ("started_at", "finished_at"))
    return (ended - begun).total_seconds()
