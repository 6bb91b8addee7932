"""A whole DTrove in the test's own hands: replicas of each service as plain processes, no supervisor, every line behind a proxy."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import requests
from sqlalchemy.engine import make_url

from client import installation
from client.local.addresses import any_free
from client.local.processes import end
from client.rabbitmq import PrivateRabbit
from services.provisioner.providers.local import clean_up
from shared.db import migrate
from tests.support.installation import ROOT, SERVICES, Installation, wait_for
from tests.support.postgres import PrivatePostgres
from tests.support.proxy import CommitProxy, Proxy
from tests.support.rabbit_cluster import RabbitCluster

# A dozen processes may share two cores with another test.
START_SECONDS = 150.0
URLS = {"api": "API_DATABASE_URL", "provisioner": "PROVISIONER_DATABASE_URL", "scheduler": "SCHEDULER_DATABASE_URL",
        "datastore_agentless": "DATASTORE_DATABASE_URL"}  # fmt: skip
ONE_EACH = dict.fromkeys(SERVICES, 1)
TWO_WORKERS = {**ONE_EACH, "provisioner": 2, "datastore_agentless": 2}


@dataclass(frozen=True)
class Held:
    """A task in a process's hands."""

    id: str
    epoch: int
    step: str
    claims: int


class Stack(Installation):
    """`replicas` says how many processes a service has; they are called `provisioner`, `provisioner-2` and so on.

    The lines to RabbitMQ and PostgreSQL go through `amqp` and `sql`. A process that was killed stays dead until `start`.
    On a broker of several nodes, which somebody else starts and ends, nothing stands in the lines to it.
    """

    def __init__(
        self, home: Path, postgres: PrivatePostgres, replicas: Mapping[str, int], cluster: RabbitCluster | None = None,
        **environ: str,
    ) -> None:  # fmt: skip
        super().__init__(home, **environ)
        self.rabbit, self.cluster = PrivateRabbit(home), cluster
        self.urls = {service: postgres.fresh(service) for service in SERVICES}
        self.postgres = postgres
        self.names = {f"{service}-{number}" if number > 1 else service: service
                      for service, count in replicas.items() for number in range(1, count + 1)}  # fmt: skip
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.addresses = {name: any_free() for name in self.names if name.startswith("api-")}
        self.amqp: Proxy
        self.sql: CommitProxy

    def up(self) -> None:
        """Start the broker, then every process, and wait until all is ready."""
        (self.home / "logs").mkdir(parents=True, exist_ok=True)
        (self.home / "run").mkdir(exist_ok=True)
        (self.home / "images").symlink_to(ROOT / "var" / "images")
        if not self.cluster:
            self.rabbit.start()
        installation.init(self.home)
        for service, url in self.urls.items():
            migrate.upgrade(service, url)
        if not self.cluster:
            self.rabbit.wait_ready(60)
            self.amqp = Proxy(int(self.rabbit.uri.rpartition(":")[2].strip("/")))
        self.sql = CommitProxy(self.postgres.port)
        self._choose_address()
        self.environ |= self._told()
        self.learn_token()
        for name in self.names:
            self.start(name)
        self.wait_ready()

    def down(self) -> None:
        """End everything, hosts and files included."""
        living = [process.pid for process in self.processes.values() if process.poll() is None]
        for pid in living:
            os.kill(pid, signal.SIGCONT)
        end(living, patience=10.0)
        for process in self.processes.values():
            process.wait(10)
        self.rabbit.stop()
        for proxy in (one for one in (getattr(self, "amqp", None), getattr(self, "sql", None)) if one):
            proxy.close()
        if self.environ.get("DTROVE_PROVIDER", "local") == "local":
            clean_up(self.home)
        (self.home / "images").unlink(missing_ok=True)
        shutil.rmtree(self.home, ignore_errors=True)

    # Processes

    def start(self, name: str, **environ: str) -> None:
        """Start a process anew; `environ` is for this one alone. Each replica of the API has an address of its own."""
        if name in self.addresses:
            environ = {"WEB_SERVER_ADDRESS": self.addresses[name], **environ}
        command = [sys.executable, "-m", "shared.bus.process", "--config", str(ROOT / "config.yaml"),
                   f"services.{self.names[name]}.service"]  # fmt: skip
        with (self.home / "logs" / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=ROOT, env={**self.environ, **environ}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def pid(self, service: str) -> int:
        """The number of a process."""
        return self.processes[service].pid

    def kill(self, service: str) -> None:
        """kill -9; it stays dead until it is started again."""
        self.processes[service].kill()
        self.processes[service].wait(10)

    def stop(self, name: str) -> None:
        """End a process in good order."""
        end([self.pid(name)])
        self.processes[name].wait(10)

    def restart(self, name: str, **environ: str) -> None:
        """End a process and start it again, with other options."""
        self.stop(name)
        self.start(name, **environ)
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until every service answers."""
        try:
            wait_for(self.ready, START_SECONDS, 0.1, "readiness")
        except AssertionError as error:
            state = requests.get(f"{self.url}/readyz", timeout=10).text
            raise AssertionError(f"{error}: {state}\n{self.logs()}") from None

    def ready(self) -> bool:
        """Whether every service answers over the bus."""
        try:
            return requests.get(f"{self.url}/readyz", timeout=10).ok
        except requests.RequestException:
            return False

    def logs(self, lines: int = 15) -> str:
        """What the processes warned of last."""
        told = []
        for log in sorted((self.home / "logs").glob("*.log")):
            found = [line for line in log.read_text(errors="replace").splitlines() if '"level": "info"' not in line]
            told += [f"--- {log.name}", *[line[:500] for line in found[-lines:] if line.startswith("{")]]
        return "\n".join(told)

    # What the databases say

    def rows(self, service: str, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Ask a service's database, past the proxy."""
        with self._sql(service) as cursor:
            cursor.execute(query, values)
            return list(cursor.fetchall()) if cursor.description else []

    def held_by(self, name: str, pid: int) -> list[Held]:
        """The tasks that process `pid` of a service has claimed, and has not given up or ended."""
        query = "select id, epoch, step, claims from tasks where status = 'open' and lease_until is not null and lease_owner like %s"
        return [Held(*row) for row in self.rows(self.names[name], query, (f"%%:{pid}",))]

    def open_tasks(self) -> int:
        """How many tasks are not at their end, over all services."""
        return sum(
            int(self.rows(service, "select count(*) from tasks where status = 'open'")[0][0]) for service in SERVICES
        )

    @contextmanager
    def _sql(self, service: str) -> Iterator[Any]:
        url = make_url(self.urls[service])
        connection = psycopg2.connect(host=url.host, port=url.port, user=url.username, dbname=url.database)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()

    # Parts

    def _choose_address(self) -> None:
        (self.home / "run" / "web").write_text(any_free() + "\n")

    def _told(self) -> dict[str, str]:
        urls = {URLS[service]: url.replace(f":{self.postgres.port}/", f":{self.sql.port}/")
                for service, url in self.urls.items()}  # fmt: skip
        broker = self.cluster.uri if self.cluster else f"{self.rabbit.uri.rpartition(':')[0]}:{self.amqp.port}/"
        return {
            **urls, "AMQP_URI": broker,
            "WEB_SERVER_ADDRESS": (self.home / "run" / "web").read_text().strip(),
            "DTROVE_KEYRING": str(self.home / "keyring"), "PYTHONUNBUFFERED": "1",
            "DTROVE_BOOTSTRAP_TOKEN_HASH": (self.home / "bootstrap_token_hash").read_text().strip(),
        }  # fmt: skip
