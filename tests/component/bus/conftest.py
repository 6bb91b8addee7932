"""A stage to play on: a service in a process of its own, a broker, and a plain AMQP client beside it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kombu
import pytest
import yaml
from amqp.exceptions import MessageNacked

from client.rabbitmq import PrivateRabbit
from tests.support.installation import ROOT, wait_for


class Stage:
    """One run of tests/component/bus/stage.py and its like; `name` keeps its queues apart from all others."""

    def __init__(self, uri: str, home: Path, **environ: str) -> None:
        self.uri, self.home = uri, home
        self.name = f"stage{uuid.uuid4().hex[:8]}"
        self.queue = f"evt.tester.stage.asked--{self.name}"
        self.environ = {**os.environ, "STAGE_NAME": self.name, "STAGE_HOME": str(home), **environ}
        self.processes: list[subprocess.Popen[bytes]] = []
        (home / "config.yaml").write_text(yaml.safe_dump({"AMQP_URI": uri, "DTROVE_LOG_LEVEL": "INFO"}))

    # The process

    def start(self, *modules: str, wait: bool = True, **environ: str) -> subprocess.Popen[bytes]:
        """Start a process with the stage (or its like) in it; wait until it consumes."""
        process = self.run(*[f"tests.component.bus.{name}" for name in modules or ("stage",)], **environ)
        if wait:
            wait_for(lambda: self.said(" runs") and self.consumers(self.queue), 30, what="the stage's start")
        return process

    def run(self, *modules: str, **environ: str) -> subprocess.Popen[bytes]:
        """Start a process with these modules in it."""
        command = [sys.executable, "-m", "shared.bus.process", "--config", str(self.home / "config.yaml"), *modules]
        with (self.home / "output").open("ab") as output:
            process = subprocess.Popen(
                command, cwd=ROOT, env={**self.environ, **environ}, stdout=output, stderr=output, start_new_session=True
            )
        self.processes.append(process)
        return process

    def end(self) -> None:
        """Kill what still runs."""
        for process in self.processes:
            if process.poll() is None:
                os.kill(process.pid, signal.SIGCONT)
                process.kill()
            process.wait()

    def lines(self) -> list[dict[str, Any]]:
        """What the processes have logged."""
        path = self.home / "output"
        found = path.read_text(errors="replace").splitlines() if path.exists() else []
        return [json.loads(line) for line in found if line.startswith("{")]

    def said(self, words: str) -> bool:
        """Whether a line of the log holds `words`."""
        return any(words in str(line.get("event")) for line in self.lines())

    def notes(self, what: str) -> list[dict[str, Any]]:
        """What the stage told of itself."""
        path = self.home / "notes"
        found = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [one for one in found if one["what"] == what]

    def noted(self, what: str, seconds: float = 20, count: int = 1, **values: Any) -> list[dict[str, Any]]:
        """Wait for `count` notes with these values."""

        def there() -> list[dict[str, Any]]:
            found = [one for one in self.notes(what) if values.items() <= one.items()]
            return found if len(found) >= count else []

        try:
            return list(wait_for(there, seconds, what=f"{count} x {what}"))
        except AssertionError as error:
            output = (self.home / "output").read_text(errors="replace")[-6000:]
            raise AssertionError(f"{error}\n{output}") from None

    def tasks(self) -> list[tuple[str, int]]:
        """Status and epoch of each task in the stage's file."""
        with sqlite3.connect(self.home / "stage.sqlite") as connection:
            return list(connection.execute("select status, epoch from tasks order by id"))

    def unsent(self) -> int:
        """How many messages wait in the stage's outbox."""
        with sqlite3.connect(self.home / "stage.sqlite") as connection:
            return int(connection.execute("select count(*) from outbox where due_at is not null").fetchone()[0])

    # The bus

    @contextmanager
    def channel(self) -> Iterator[Any]:
        """A plain channel; what is published is confirmed."""
        told = {"confirm_publish": True}
        with (
            kombu.Connection(self.uri, connect_timeout=5, transport_options=told) as connection,
            connection.channel() as channel,
        ):
            yield channel

    def ask(self, wish: str, *, times: int = 1, event_id: str = "", **values: Any) -> str:
        """Announce `stage.asked`; returns the event's id."""
        event_id = event_id or str(uuid.uuid4())
        ids = {name: values.pop(name) for name in ("cluster_id", "operation_id") if name in values}
        body = {"event_id": event_id, "occurred_at": "2026-11-01T00:00:00Z", "wish": wish, "values": values, **ids}
        for _ in range(times):
            self.publish(json.dumps(body).encode())
        return event_id

    def publish(self, body: bytes, **options: Any) -> None:
        """Put a body, whatever it is, on the way to the stage alone; again while the broker refuses it."""
        settings = {"content_type": "application/json", "content_encoding": "utf-8", "delivery_mode": 2, **options}

        def confirmed() -> bool:
            try:
                with self.channel() as channel:
                    producer = kombu.Producer(channel)
                    producer.publish(body, exchange="", routing_key=self.queue, serializer=None, **settings)
            except MessageNacked:
                return False
            return True

        wait_for(confirmed, 20, 0.2, "the broker's confirmation")

    def take_and_die(self, queue: str) -> None:
        """Take a message as a process does that dies over it: the connection ends without an answer."""
        with kombu.Connection(self.uri) as connection:
            channel = connection.channel()
            wait_for(lambda: channel.basic_get(queue), 5, what=f"a message in {queue}")
            connection.collect()

    def request(self, method: str, body: bytes, **options: Any) -> None:
        """Put an RPC request, right or wrong, into the stage's queue."""
        settings = {"content_type": "application/json", "content_encoding": "utf-8", **options}
        with self.channel() as channel:
            exchange = kombu.Exchange("nameko-rpc", type="topic", durable=True)
            kombu.Producer(channel, exchange).publish(
                body, routing_key=f"{self.name}.{method}", serializer=None, **settings
            )

    def depth(self, queue: str) -> int:
        """How many messages lie in a queue."""
        with self.channel() as channel:
            return int(channel.queue_declare(queue, passive=True).message_count)

    def consumers(self, queue: str) -> int:
        """How many consume from a queue; none where there is no such queue."""
        try:
            with self.channel() as channel:
                return int(channel.queue_declare(queue, passive=True).consumer_count)
        except Exception:
            return 0

    @contextmanager
    def listening(self, topic: str, kind: str = "classic") -> Iterator[list[dict[str, Any]]]:
        """A queue for what the stage announces under `topic`; the bodies that came while the block ran."""
        exchange = kombu.Exchange(f"{self.name}.events", type="topic", durable=True)
        queue = kombu.Queue(f"ear-{self.name}", exchange, routing_key=topic, durable=True,
                            queue_arguments={"x-queue-type": kind})  # fmt: skip
        heard: list[dict[str, Any]] = []
        with self.channel() as channel:
            queue(channel).declare()
        yield heard
        with kombu.Connection(self.uri) as connection:
            bound = queue(connection.channel())
            while message := bound.get(no_ack=True):
                heard.append(json.loads(message.body))

    def parked(self, seconds: float = 20, count: int = 1) -> list[dict[str, Any]]:
        """Wait for parked messages of this stage (a keeper must run)."""
        return self.noted("parked", seconds, count, service=self.name)


def _stages(directory: Path) -> Iterator[Callable[..., Stage]]:
    made: list[Stage] = []

    def make(uri: str, **environ: str) -> Stage:
        home = directory / f"stage{len(made)}"
        home.mkdir()
        made.append(Stage(uri, home, **environ))
        return made[-1]

    yield make
    for stage in made:
        stage.end()


@pytest.fixture
def stages(tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    """Makes stages on a broker; what they started ends with the test."""
    yield from _stages(tmp_path)


@pytest.fixture(scope="module")
def module_stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Stage]]:
    """The same, for stages that play for a whole module."""
    yield from _stages(tmp_path_factory.mktemp("stages"))


@pytest.fixture
def stage(rabbit: PrivateRabbit, stages: Callable[..., Stage]) -> Stage:
    """A stage on the suite's broker, not started yet."""
    return stages(rabbit.uri)


class Broker(PrivateRabbit):
    """A broker that a test may stop, kill and freeze."""

    def back(self) -> None:
        """Start again and wait until it answers."""
        self.start()
        self.wait_ready(60)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the node and its start script."""
        pid = self._pid("server").read()
        assert pid is not None
        os.killpg(pid, number)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """SIGSTOP for the length of the block."""
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A RabbitMQ of a module's own, to be ill-treated."""
    made = Broker(tmp_path_factory.mktemp("broker"))
    made.back()
    try:
        yield made
    finally:
        made.stop()
