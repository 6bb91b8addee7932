"""Three of every service and three nodes of RabbitMQ: whoever dies among them, the others bring all to its end, once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
import requests

from services.provisioner.providers.fake import Cloud
from services.provisioner.providers.fake.provider import STATE_FILE
from tests.faults.conftest import SLOW
from tests.faults.stack import Stack
from tests.faults.traffic import END_SECONDS, operation_of
from tests.support.faults import exactly
from tests.support.installation import SERVICES, url_of, wait_for
from tests.support.postgres import PrivatePostgres
from tests.support.rabbit_cluster import clustered

pytestmark = [pytest.mark.rabbit, pytest.mark.slow, pytest.mark.fault(1, 8), pytest.mark.timeout(1800)]
CLUSTERS = 10


@pytest.fixture
def wide(tmp_path_factory: pytest.TempPathFactory, postgres: PrivatePostgres) -> Iterator[Stack]:
    """DTrove with the provider `fake`, three processes of each service, and a broker of three nodes."""
    three = dict.fromkeys(SERVICES, 3)
    with (
        clustered(tmp_path_factory.mktemp("nodes")) as cluster,
        Stack(tmp_path_factory.mktemp("wide"), postgres, three, cluster, **SLOW) as made,
    ):
        yield made


def ask_any(wide: Stack, turn: int, method: str, path: str, body: Any = None) -> requests.Response:
    """One request, to one replica of the API after the other until one answers, as a load balancer does it."""
    addresses = [wide.url, *(url_of(address) for address in wide.addresses.values())]
    headers = {"Authorization": f"Bearer {wide.token}", "Idempotency-Key": str(uuid4())}

    def answer() -> list[requests.Response]:
        for number in range(len(addresses)):
            url = addresses[(turn + number) % len(addresses)]
            try:
                found = requests.request(method, url + path, json=body, headers=headers, timeout=30)
            except requests.RequestException:
                continue
            if found.status_code != 503:
                return [found]
        return []

    return wait_for(answer, 120, 0.2, f"an answer to {method} {path}")[0]  # type: ignore[no-any-return]


def at_work(wide: Stack, service: str) -> str:
    """A process of this service that is in the middle of a step."""

    def busy() -> str:
        names = (name for name, kind in wide.names.items() if kind == service)
        return next((name for name in names if wide.held_by(name, wide.pid(name))), "")

    return wait_for(busy, 120, 0.02, f"work for {service}")  # type: ignore[no-any-return]


def deaf(wide: Stack) -> dict[str, int]:
    """The queues of the services (`evt.from.topic--service`, `rpc-service`) that fewer processes listen to than live."""
    assert wide.cluster is not None
    living = Counter(kind for name, kind in wide.names.items() if wide.processes[name].poll() is None)
    heard = wide.cluster.nodes[0].consumers()
    theirs = {queue: re.split("--|^rpc-", queue)[-1] for queue in heard}
    assert set(theirs.values()) >= set(SERVICES), heard
    return {queue: heard[queue] for queue, service in theirs.items() if heard[queue] < living[service]}


def test_ten_creates_outlive_two_services_and_a_node_of_the_broker_and_each_is_made_once(
    wide: Stack, figure: Callable[..., None]
) -> None:
    assert wide.cluster is not None

    def create(number: int) -> str:
        wish = {"name": f"wide-{number}", "datastore": "redis 7.0", "volume_gb": 1}
        return operation_of(ask_any(wide, number, "POST", "/v1/clusters", wish))

    with ThreadPoolExecutor(CLUSTERS) as threads:
        operations = list(threads.map(create, range(CLUSTERS)))
    # In the middle of a step, on both sides of the bus; then the node, whose lines all the others lose.
    wide.kill(at_work(wide, "provisioner"))
    wide.cluster.nodes[1].kill()
    wide.kill(at_work(wide, "datastore_agentless"))

    ended = {one: wide.end_of(one, END_SECONDS)["status"] for one in operations}
    cloud = Cloud(path=wide.home / STATE_FILE)
    servers = [server.cluster_id for server in cloud.servers()]
    shown = ask_any(wide, 0, "GET", "/v1/clusters").json()["clusters"]
    active = {one["id"] for one in shown if one["status"] == "active"}
    doubled = len(servers) - len(set(servers))
    words = "creates on 3 of each service and 3 nodes of RabbitMQ, 2 services and a node killed;"
    figure(1, f"{words} clusters that serve", CLUSTERS, len(active), "", exactly(CLUSTERS))
    figure(1, f"{words} second servers", CLUSTERS, doubled, "", exactly(0))
    assert set(ended.values()) == {"succeeded"}, ended
    assert len(active) == CLUSTERS
    assert sorted(servers) == sorted(active)

    wait_for(lambda: not deaf(wide), 60, 0.5, "an ear of every process that lives")

    # The node comes back into a broker that has gone on without it, and all of it goes on.
    wide.cluster.nodes[1].back()
    gone = [operation_of(ask_any(wide, 1, "DELETE", f"/v1/clusters/{cluster}")) for cluster in active]
    assert {wide.end_of(one, END_SECONDS)["status"] for one in gone} == {"succeeded"}
    wait_for(lambda: not cloud.servers() and not cloud.volumes(), 60, what="an empty cloud")
