"""Whatever dies in the middle of a create: the create finishes, with one server."""

from __future__ import annotations

import threading
from itertools import count

import pytest

from client.rabbitmq import PrivateRabbit
from tests.support.clients import Redis
from tests.support.installation import SERVICES, Installation, wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow]
numbers = count(1)
# Asked for one after the other, so that the same fault finds each of them at another step.
STAGGER, CLUSTERS = 1.2, 4


def begin(dtrove: Installation) -> list[tuple[str, str]]:
    # What the test before has struck may still be on its way back.
    wait_for(dtrove.is_ready, 60, what="an API that is ready")
    pause, begun = threading.Event(), []
    for _ in range(CLUSTERS):
        begun.append(dtrove.create(f"survivor-{next(numbers)}", "redis 7.0", flavor="tiny"))
        pause.wait(STAGGER)
    return begun


def all_serve_with_one_server_each(dtrove: Installation, begun: list[tuple[str, str]]) -> None:
    for cluster, operation in begun:
        ended = dtrove.end_of(operation, 240)
        assert ended["status"] == "succeeded", ended["problem"]
        assert len(dtrove.containers(cluster)) == 1
        client = Redis(dtrove.get(f"/v1/clusters/{cluster}/credentials")["url"])
        assert client.ask("PING") == "PONG"
        client.close()
    gone = [(cluster, dtrove.delete(cluster)) for cluster, _ in begun]
    for cluster, operation in gone:
        assert dtrove.end_of(operation)["status"] == "succeeded"
        assert not dtrove.containers(cluster)


@pytest.mark.parametrize("service", SERVICES)
def test_a_create_finishes_with_one_server_though_a_service_is_killed(dtrove: Installation, service: str) -> None:
    begun = begin(dtrove)
    dtrove.kill(service)
    all_serve_with_one_server_each(dtrove, begun)


def test_a_create_finishes_with_one_server_though_every_service_is_killed_at_once(dtrove: Installation) -> None:
    begun = begin(dtrove)
    for service in SERVICES:
        dtrove.kill(service)
    all_serve_with_one_server_each(dtrove, begun)


def test_a_create_finishes_with_one_server_though_rabbitmq_is_away_for_thirty_seconds(
    dtrove: Installation, broker: PrivateRabbit
) -> None:
    begun = begin(dtrove)
    broker.stop()
    # A wish that comes meanwhile is kept as well.
    begun.append(dtrove.create(f"survivor-{next(numbers)}", "redis 7.0", flavor="tiny"))
    threading.Event().wait(30)
    broker.start()
    broker.wait_ready(60)
    all_serve_with_one_server_each(dtrove, begun)


def test_a_delete_in_the_middle_of_a_create_leaves_nothing(dtrove: Installation) -> None:
    begun = begin(dtrove)
    gone = [(cluster, dtrove.delete(cluster)) for cluster, _ in begun]
    dtrove.kill("provisioner")
    for (cluster, deletion), (_, creation) in zip(gone, begun, strict=True):
        assert dtrove.end_of(deletion)["status"] == "succeeded"
        assert dtrove.end_of(creation)["status"] in ("cancelled", "succeeded")
        assert not dtrove.containers(cluster)


def test_a_cancelled_create_is_undone_whole(dtrove: Installation) -> None:
    for cluster, operation in begin(dtrove):
        answer = dtrove.ask("POST", f"/v1/operations/{operation}/cancel")
        assert answer.status_code in (202, 409), answer.text
        ended = dtrove.end_of(operation)
        if ended["status"] == "cancelled":
            assert dtrove.ask("GET", f"/v1/clusters/{cluster}").status_code == 404
            assert not dtrove.containers(cluster)
        else:
            assert ended["status"] == "succeeded"
            assert dtrove.end_of(dtrove.delete(cluster))["status"] == "succeeded"
