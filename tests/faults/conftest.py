"""Installations to ill-treat: one under its supervisor, one in the test's own hands with a real host."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from client.rabbitmq import PrivateRabbit
from tests.faults.node import SSHD_PORT, Node
from tests.faults.stack import TWO_WORKERS, Stack
from tests.support.installation import Installation
from tests.support.postgres import PrivatePostgres
from tests.support.proxy import Proxy
from tests.support.rabbit import running

# Long enough for a fault to find a step in the middle.
SLOW = {"DTROVE_PROVIDER": "fake", "DTROVE_FAKE_BUILD_SECONDS": "1.5", "DTROVE_SIMULATED_LATENCY": "0.15"}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRabbit]:
    """A RabbitMQ that the supervisor does not start again by itself."""
    with running(PrivateRabbit(tmp_path_factory.mktemp("broker"))) as made:
        yield made


@pytest.fixture(scope="module")
def dtrove(tmp_path_factory: pytest.TempPathFactory, broker: PrivateRabbit) -> Iterator[Installation]:
    """DTrove with the local provider, on that broker."""
    with Installation(tmp_path_factory.mktemp("faults"), AMQP_URI=broker.uri) as made:
        yield made
        told = (made.home / "logs" / "supervisor.log").read_text()
        assert " exited with " not in told, f"a process died that nobody had killed\n{made.logs(60)}"


@pytest.fixture(scope="package")
def sim(tmp_path_factory: pytest.TempPathFactory, postgres: PrivatePostgres) -> Iterator[Stack]:
    """DTrove with the provider `fake` and two workers of each kind, on PostgreSQL; steps take a moment."""
    with Stack(tmp_path_factory.mktemp("sim"), postgres, TWO_WORKERS, **SLOW) as made:
        yield made


@pytest.fixture(scope="package")
def real(tmp_path_factory: pytest.TempPathFactory, postgres: PrivatePostgres) -> Iterator[Stack]:
    """DTrove with the local provider and two workers of each kind, on PostgreSQL."""
    with Stack(tmp_path_factory.mktemp("real"), postgres, TWO_WORKERS) as made:
        yield made


@pytest.fixture(scope="package")
def served(real: Stack) -> Iterator[Node]:
    """A real host with a Redis on it."""
    cluster, operation = real.create("served", "redis 7.0", flavor="tiny")
    ended = real.end_of(operation, 600)
    assert ended["status"] == "succeeded", ended
    node = Node(real, cluster)
    yield node
    node.client.close()


@pytest.fixture
def node(served: Node) -> Iterator[Node]:
    """The same host, which DTrove reaches as it is."""
    served.through(None)
    yield served
    served.through(None)


@pytest.fixture
def lined(served: Node) -> Iterator[Node]:
    """The same host, which DTrove reaches through a proxy and a second sshd."""
    served.start_sshd()
    line = Proxy(SSHD_PORT, served.addr)
    served.through(line)
    yield served
    served.through(None)
    served.stop_sshd()
    line.close()
