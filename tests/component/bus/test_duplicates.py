"""Messages that come several times, and out of order, over a real broker, into the real services: one effect each."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kombu
import pytest
import yaml

from shared.contracts.api import ClusterDeleteRequested, ClusterRequested
from shared.contracts.base import Event, new_id
from shared.contracts.values import DatastoreRef, Flavor, InstanceRef
from shared.secrets import Keyring, new_key, write_keyring
from tests.component.bus.conftest import Broker, Stage
from tests.support.faults import exactly
from tests.support.installation import wait_for

SERVICES = ("services.provisioner.service", "services.datastore_agentless.service")
FLAVOR = Flavor(id="small", name="small", vcpus=1, ram_mb=1024, disk_gb=10)

pytestmark = pytest.mark.fault(9)


class Services:
    """Provisioner and datastore_agentless in a process of their own, over the fake provider, and an ear beside them."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.home = stage, stage.home
        write_keyring(self.home / "keyring", Keyring((new_key(),)))
        names = {"PROVISIONER_DATABASE_URL": "provisioner", "DATASTORE_DATABASE_URL": "datastore"}
        settings = {name: f"sqlite:///{self.home}/{file}.sqlite" for name, file in names.items()}
        settings |= {"AMQP_URI": stage.uri, "DTROVE_HOME": str(self.home), "DTROVE_PROVIDER": "fake"}
        (self.home / "config.yaml").write_text(yaml.safe_dump(settings))
        self.heard: list[dict[str, Any]] = []
        self.chance = random.Random(9)
        self._connection = kombu.Connection(stage.uri)
        channel = self._connection.channel()
        self._queue = kombu.Queue(f"ear-{stage.name}", exclusive=True)(channel)
        self._queue.declare()
        for publisher in ("provisioner", "datastore_agentless"):
            kombu.Exchange(f"{publisher}.events", type="topic", durable=True)(channel).declare()
            self._queue.bind_to(f"{publisher}.events", "#")
        stage.run(*SERVICES)
        wait_for(lambda: stage.consumers("evt.api.cluster.requested--datastore_agentless"), 40)
        wait_for(lambda: stage.consumers("evt.api.cluster.requested--provisioner"), 40)
        self.datastore = wait_for(self._pgsql, 20)

    def close(self) -> None:
        """Let the ear go."""
        self._connection.close()

    def listen(self) -> list[dict[str, Any]]:
        """All that was announced so far, with its topic."""
        while message := self._queue.get(no_ack=True):
            self.heard.append({**json.loads(message.body), "topic": message.delivery_info["routing_key"]})
        return self.heard

    def count(self, topic: str, cluster_id: str) -> int:
        """How many different events of a topic speak of a cluster."""
        found = {
            one["event_id"] for one in self.listen() if (one["topic"], one.get("cluster_id")) == (topic, cluster_id)
        }
        return len(found)

    def tell(self, *events: Event, shuffled: bool = False) -> int:
        """Announce events as the API does, each two to five times; how many messages that made."""
        messages = [event for event in events for _ in range(self.chance.randint(2, 5))]
        if shuffled:
            self.chance.shuffle(messages)
        with self.stage.channel() as channel:
            exchange = kombu.Exchange("api.events", type="topic", durable=True)
            producer = kombu.Producer(channel, exchange)
            for event in messages:
                producer.publish(event.to_payload(), routing_key=event.topic, serializer="json")
        return len(messages)

    def servers(self, cluster_id: str) -> int:
        """How many servers the cloud has for a cluster."""
        with sqlite3.connect(self.home / "fake-cloud.sqlite") as connection:
            query = "select count(*) from servers where cluster_id = ?"
            return int(connection.execute(query, (cluster_id,)).fetchone()[0])

    def _pgsql(self) -> DatastoreRef | None:
        for one in self.listen():
            if one["topic"] == "datastore.registered" and one["manager"] == "pgsql":
                return DatastoreRef(id=one["id"], manager="pgsql", version=one["version"], image=one["image"],
                                    packages=tuple(one["packages"]), name=one["name"])  # fmt: skip
        return None


@pytest.fixture(scope="module")
def services(broker: Broker, module_stages: Callable[..., Stage]) -> Iterator[Services]:
    made = Services(module_stages(broker.uri))
    yield made
    made.close()


def wishes(services: Services) -> tuple[ClusterRequested, ClusterDeleteRequested]:
    """A cluster, and its end."""
    cluster_id, instance = new_id(), InstanceRef(id=new_id(), name="one-1")
    create = ClusterRequested(
        cluster_id=cluster_id, operation_id=new_id(), project_id=new_id(), name="one", size=1,
        datastore=services.datastore, flavor=FLAVOR, instances=(instance,),
    )  # fmt: skip
    delete = ClusterDeleteRequested(
        cluster_id=cluster_id, operation_id=new_id(), project_id=create.project_id, instance_ids=(instance.id,)
    )
    return create, delete


def test_a_cluster_that_was_asked_for_several_times_is_built_once_and_deleted_once(services: Services) -> None:
    create, delete = wishes(services)
    services.tell(create)
    wait_for(lambda: services.count("cluster.active", create.cluster_id), 40, what="the cluster")
    assert services.servers(create.cluster_id) == 1
    for topic in ("instance.active", "node.ready", "cluster.active"):
        assert services.count(topic, create.cluster_id) == 1
    services.tell(delete, create)
    wait_for(lambda: services.count("cluster.deleted", create.cluster_id), 40, what="the end")
    _all_is_handled(services)
    assert services.servers(create.cluster_id) == 0
    assert services.count("cluster.active", create.cluster_id) == 1


def test_a_delete_that_overtakes_its_create_leaves_no_server(services: Services) -> None:
    create, delete = wishes(services)
    services.tell(delete)
    wait_for(lambda: services.count("instance.deleted", create.cluster_id), 20)
    services.tell(create)
    _all_is_handled(services)
    assert services.servers(create.cluster_id) == 0
    assert services.count("instance.active", create.cluster_id) == 0


def test_wishes_for_many_clusters_shuffled_together_come_to_one_cluster_each(
    services: Services, times: Callable[[int, int], int], figure: Callable[..., None]
) -> None:
    pairs = [wishes(services) for _ in range(times(5, 60))]
    told = services.tell(*[create for create, _ in pairs], shuffled=True)
    ids = [create.cluster_id for create, _ in pairs]
    wait_for(lambda: all(services.count("cluster.active", one) for one in ids), 120, what="all clusters")
    told += services.tell(*[event for pair in pairs for event in pair], shuffled=True)
    wait_for(lambda: all(services.count("cluster.deleted", one) for one in ids), 120, what="their end")
    _all_is_handled(services)
    assert [services.servers(one) for one in ids] == [0] * len(ids)
    for topic in ("instance.active", "node.ready", "cluster.active"):
        assert [services.count(topic, one) for one in ids] == [1] * len(ids)
    words = f"messages for {len(ids)} clusters, each event 2 to 5 times and shuffled; made or prepared once more"
    figure(9, words, told, 0, "", exactly(0))


def _all_is_handled(services: Services) -> None:
    """Wait until no message and no task is left."""
    queues = [f"evt.api.cluster.{wish}--{service}" for wish in ("requested", "delete_requested")
              for service in ("provisioner", "datastore_agentless")]  # fmt: skip
    wait_for(lambda: all(services.stage.depth(queue) == 0 for queue in queues), 20)
    files = [services.home / f"{name}.sqlite" for name in ("provisioner", "datastore")]
    wait_for(lambda: all(_open_tasks(file) == 0 for file in files), 30, what="the end of all tasks")


def _open_tasks(file: Path) -> int:
    with sqlite3.connect(file) as connection:
        return int(connection.execute("select count(*) from tasks where status = 'open'").fetchone()[0])
