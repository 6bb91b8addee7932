"""A whole DTrove of a test's own: RabbitMQ, four processes, HTTP, in a directory that goes with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from client.local.addresses import any_free, url_of
from client.local.processes import PidFile

ROOT = Path(__file__).parents[2]
SERVICES = ("api", "provisioner", "datastore_agentless", "scheduler")
ENDED = ("succeeded", "failed", "cancelled")


def wait_for(condition: Callable[[], Any], seconds: float = 30.0, every: float = 0.05, what: str = "it") -> Any:
    """Wait until `condition` gives something true; return that. Raises AssertionError after `seconds`."""
    until, tick = time.monotonic() + seconds, threading.Event()
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > until:
            raise AssertionError(f"{what} did not happen within {seconds:g} s")
        tick.wait(every)


class Installation:
    """An installation in `home`; `environ` holds the options that differ from the defaults."""

    def __init__(self, home: Path, **environ: str) -> None:
        self.home = home
        # Two that look for an address at once would find the same one free.
        self.environ = {**os.environ, "DTROVE_HOME": str(home), "WEB_SERVER_ADDRESS": any_free(), **environ}
        self._session = requests.Session()
        self._verify: bool | str = True

    def up(self) -> None:
        """Start everything and wait until it is ready."""
        # The database packages that hosts fetch are shared with other installations of this checkout.
        shared = ROOT / "var" / "images"
        shared.mkdir(parents=True, exist_ok=True)
        self.home.mkdir(parents=True, exist_ok=True)
        if not (self.home / "images").exists():
            (self.home / "images").symlink_to(shared)
        self.dtrove("up", "--detach", timeout=240)
        self.learn_token()

    def learn_token(self) -> None:
        """Ask as the first administrator from now on."""
        token = json.loads((self.home / "client.json").read_text())["token"]
        self._session.headers["Authorization"] = f"Bearer {token}"

    def trust(self, authority: Path) -> None:
        """Speak TLS with an API whose certificate this authority has signed."""
        self._verify = str(authority)

    def down(self) -> None:
        """Stop everything and remove what it made."""
        self.dtrove("down", "--purge", timeout=120)

    def __enter__(self) -> Installation:
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def dtrove(self, *arguments: str, timeout: float = 60, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the command line against this installation."""
        command = [str(Path(sys.executable).parent / "dtrove"), *arguments]
        done = subprocess.run(
            command, env=self.environ, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.logs()}")
        return done

    def logs(self, lines: int = 15) -> str:
        """The last lines of every log, for the message of a failed test."""
        found = sorted((self.home / "logs").glob("*.log"))
        return "\n".join(
            f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) for log in found
        )

    # HTTP

    @property
    def url(self) -> str:
        """Where the API answers."""
        return url_of((self.home / "run" / "web").read_text())

    @property
    def token(self) -> str:
        """The first administrator's token."""
        return str(self._session.headers["Authorization"]).removeprefix("Bearer ")

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        """One request; the answer whatever its status."""
        return self._session.request(method, self.url + path, json=body, timeout=30, verify=self._verify, **options)

    def is_ready(self) -> bool:
        """Whether the API answers, and has all that it needs."""
        try:
            return self.ask("GET", "/readyz").ok
        except requests.RequestException:
            return False

    def get(self, path: str) -> Any:
        """The JSON answer of a GET that must succeed."""
        answer = self.ask("GET", path)
        assert answer.ok, answer.text
        return answer.json()

    def create(self, name: str, datastore: str = "pgsql 15", **wish: Any) -> tuple[str, str]:
        """Ask for a cluster; returns its id and the operation's."""
        answer = self.ask("POST", "/v1/clusters", {"name": name, "datastore": datastore, **wish})
        assert answer.status_code == 202, answer.text
        return answer.json()["id"], answer.headers["Location"].rpartition("/")[2]

    def delete(self, cluster: str) -> str:
        """Ask for a cluster's end; returns the operation."""
        answer = self.ask("DELETE", f"/v1/clusters/{cluster}")
        assert answer.status_code == 202, answer.text
        return answer.headers["Location"].rpartition("/")[2]

    def remove(self, *clusters: str) -> None:
        """Delete clusters, those that are there, and wait: what runs on costs every later test its share of the machine."""
        there = [one for one in clusters if self.ask("GET", f"/v1/clusters/{one}").ok]
        for operation in [self.delete(one) for one in there]:
            ended = self.end_of(operation)
            assert ended["status"] == "succeeded", ended["problem"]

    def events(self) -> list[dict[str, Any]]:
        """All of the project's events, the oldest first."""
        found, page = list[dict[str, Any]](), "/v1/events?limit=100"
        while page:
            told = self.get(page)
            found, page = [*found, *told["events"]], told["next"]
        return found

    def operation(self, operation: str) -> dict[str, Any] | None:
        """An operation as it stands; None while the API is away."""
        try:
            answer = self.ask("GET", f"/v1/operations/{operation}")
        except requests.RequestException:
            return None
        return dict(answer.json()) if answer.ok else None

    def end_of(self, operation: str, seconds: float = 180) -> dict[str, Any]:
        """Wait for an operation's end; return it as it ended."""

        def ended() -> dict[str, Any] | None:
            shown = self.operation(operation)
            return shown if shown and shown["status"] in ENDED else None

        try:
            return dict(wait_for(ended, seconds, 0.1, f"the end of operation {operation}"))
        except AssertionError as error:
            raise AssertionError(f"{error}: {json.dumps(self.operation(operation), indent=1)}\n{self.logs()}") from None

    def step_begins(self, operation: str, step: str, seconds: float = 120) -> None:
        """Wait until an operation has come to `step`."""

        def there() -> bool:
            shown = self.operation(operation) or {"steps": [], "status": ""}
            return any(one["step"] == step for one in shown["steps"]) or shown["status"] in ENDED

        wait_for(there, seconds, 0.02, f"step {step}")

    # Faults

    def pid(self, service: str) -> int:
        """The number of a service's process."""
        return int(wait_for(lambda: PidFile(self.home / "run" / f"{service}.pid").read(), 40, what=f"a {service}"))

    def kill(self, service: str) -> None:
        """kill -9; the supervisor starts it again."""
        os.kill(self.pid(service), signal.SIGKILL)

    @contextmanager
    def frozen(self, service: str) -> Iterator[None]:
        """SIGSTOP for the length of the block."""
        pid = self.pid(service)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def containers(self, cluster: str = "") -> list[str]:
        """Names of this installation's hosts that the container engine holds."""
        from services.provisioner.providers.local.engine import connect, installation

        labels = [f"dtrove-home={installation(self.home)}"] + ([f"dtrove-cluster={cluster}"] if cluster else [])
        found = connect(self.home).containers.list(all=True, filters={"label": labels})
        return [str(one.name) for one in found]
