"""An installation whose RabbitMQ the test holds in its own hands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from client.rabbitmq import PrivateRabbit
from tests.support.installation import Installation


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRabbit]:
    """A RabbitMQ that the supervisor does not start again by itself."""
    made = PrivateRabbit(tmp_path_factory.mktemp("broker"))
    made.start()
    made.wait_ready(60)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def dtrove(tmp_path_factory: pytest.TempPathFactory, broker: PrivateRabbit) -> Iterator[Installation]:
    """DTrove with the local provider, on that broker."""
    with Installation(tmp_path_factory.mktemp("faults"), AMQP_URI=broker.uri) as made:
        yield made
