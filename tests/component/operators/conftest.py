"""A whole DTrove on the cloud in memory, whose RabbitMQ the test holds in its own hands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from client.rabbitmq import PrivateRabbit
from tests.support.installation import Installation
from tests.support.rabbit import running


@pytest.fixture(scope="package")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRabbit]:
    """A RabbitMQ that the supervisor does not start again by itself."""
    with running(PrivateRabbit(tmp_path_factory.mktemp("broker"))) as made:
        yield made


@pytest.fixture(scope="package")
def dtrove(tmp_path_factory: pytest.TempPathFactory, broker: PrivateRabbit) -> Iterator[Installation]:
    """DTrove for which an operation is stuck after five seconds of silence."""
    options = {"DTROVE_PROVIDER": "fake", "DTROVE_STUCK_SECONDS": "5", "AMQP_URI": broker.uri}
    with Installation(tmp_path_factory.mktemp("operators"), **options) as made:
        yield made
