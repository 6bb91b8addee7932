"""Three RabbitMQ nodes on this machine that are one broker, each a process that a test may kill."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from client.local.addresses import free_ports
from client.rabbitmq import SCRIPTS, PrivateRabbit
from shared.broker import BETWEEN
from tests.support.installation import wait_for

SIZE = 3


class Node(PrivateRabbit):
    """One of them. They share a port mapper, a password and Erlang's cookie; a node that is new joins the first."""

    def __init__(self, home: Path, ports: dict[str, int], password: str, cookie: str) -> None:
        super().__init__(home)
        self.directory.mkdir(parents=True)
        (self.directory / "ports.json").write_text(json.dumps({**ports, "password": password}))
        (self.directory / ".erlang.cookie").write_text(cookie)
        (self.directory / ".erlang.cookie").chmod(0o400)
        self.first: Node | None = None
        self.has_mapper = False

    def kill(self) -> None:
        """As when its machine loses power: at once, and all of it but the mapper, which is everybody's."""
        pid = self._pid("server").read()
        assert pid is not None
        os.killpg(pid, signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def back(self) -> None:
        """Start again and wait until it answers."""
        self.start()
        self.wait_ready(90)

    def members(self) -> int:
        """How many nodes run, as this one sees it."""
        told = self._ask("cluster_status")
        return len(told["running_nodes"]) if told else 0

    def consumers(self) -> dict[str, int]:
        """How many consumers each queue has; nothing while the node does not answer."""
        return {queue["name"]: queue["consumers"] for queue in self._ask("list_queues", "name", "consumers") or []}

    def _ask(self, *words: str) -> Any:
        told = subprocess.run(
            [str(Path(SCRIPTS[0]).with_name("rabbitmqctl")), "--silent", "--formatter", "json", *words],
            env=self._environment(self._settings()), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return json.loads(told.stdout) if told.returncode == 0 else None

    def _environment(self, settings: dict[str, str | int]) -> dict[str, str]:
        environ = super()._environment(settings)
        lines = ["cluster_partition_handling = pause_minority"]
        if self.first is not None:
            lines += ["cluster_formation.peer_discovery_backend = classic_config",
                      f"cluster_formation.classic_config.nodes.1 = {self.first.name}",
                      f"cluster_formation.classic_config.nodes.2 = {self.name}"]  # fmt: skip
        with Path(environ["RABBITMQ_CONFIG_FILE"]).open("a") as file:
            file.write("\n".join([*lines, ""]))
        return environ

    def _start_epmd(self, environ: dict[str, str], log: BinaryIO) -> None:
        if self.has_mapper:
            super()._start_epmd(environ, log)
            # Nodes come and go under the one mapper.
            self.has_mapper = False


class RabbitCluster:
    """The nodes, as one broker."""

    def __init__(self, home: Path) -> None:
        mapper, *ports = free_ports(1 + 2 * SIZE)
        password, cookie = secrets.token_urlsafe(24), secrets.token_hex(16)
        self.nodes = [
            Node(home / f"node{number}", {"port": port, "dist": dist, "epmd": mapper}, password, cookie)
            for number, (port, dist) in enumerate(zip(ports[::2], ports[1::2], strict=True), 1)
        ]
        self.nodes[0].has_mapper = True
        for node in self.nodes[1:]:
            node.first = self.nodes[0]

    @property
    def uri(self) -> str:
        """All nodes, as AMQP_URI takes them."""
        return BETWEEN.join(node.uri for node in self.nodes)

    def start(self) -> None:
        """Start all; return when they are one."""
        self.nodes[0].back()
        for node in self.nodes[1:]:
            node.start()
        for node in self.nodes[1:]:
            node.wait_ready(90)
        wait_for(lambda: self.nodes[0].members() == SIZE, 60, 0.5, "a cluster of three nodes")

    def stop(self) -> None:
        """End all; the first, which has the mapper, last."""
        for node in reversed(self.nodes):
            node.stop()


@contextmanager
def clustered(home: Path) -> Iterator[RabbitCluster]:
    """Three nodes for the length of the block."""
    made = RabbitCluster(home)
    try:
        made.start()
        yield made
    finally:
        made.stop()
