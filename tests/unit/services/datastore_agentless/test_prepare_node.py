"""Preparing a node: what the host says while its identity is replaced."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from services.datastore_agentless import actions
from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.instance import Instance, Status
from services.datastore_agentless.domain.key import Key
from services.datastore_agentless.hosts.base import HostKeyChanged
from services.datastore_agentless.hosts.ssh import Output
from services.datastore_agentless.store import catalogue, clusters
from services.datastore_agentless.store.tables import metadata
from services.datastore_agentless.workflows.on_host import Hosts
from services.datastore_agentless.workflows.prepare_node import PrepareNode
from shared.clock import ManualClock
from shared.contracts.state import HostClocks
from shared.db import Database, Sealed, tasks
from shared.engine import StepEngine
from shared.secrets import Keyring
from shared.workflow import TaskDraft, Workflow
from tests.support.keeping import MemoryStores

BORN, FRESH, STRANGER = (f"ssh-ed25519 AAAA{name}" for name in ("born", "fresh", "stranger"))


class SlowSshd:
    """A pool whose one host shows the keys of `shown`, one a connection, and the last of them from then on."""

    def __init__(self, *shown: str) -> None:
        self.shown = list(shown)

    def run(self, target: Any, line: str, stdin: bytes = b"", timeout: float = 30.0) -> Output:
        key = self.shown.pop(0) if len(self.shown) > 1 else self.shown[0]
        if key not in target.known_host.splitlines():
            raise HostKeyChanged("shows another key", expected=target.known_host, seen=key)
        return Output(0, b"0\n" if "id -u" in line else b"", b"")


@pytest.fixture
def database(tmp_path: Path) -> Database:
    Sealed.keyring = Keyring((Fernet.generate_key().decode(),))
    made = Database(f"sqlite:///{tmp_path}/d.sqlite", "datastore_agentless", metadata, ManualClock())
    metadata.create_all(made.engine)
    with made.write() as tx:
        clusters.add_cluster(
            tx, Cluster(id="c", project_id="p", operation_id="o", name="c", datastore_id="d", size=1, ram_mb=1, vcpus=1)
        )  # fmt: skip
        node = Instance(id="i", cluster_id="c", name="c-1", addr="10.0.0.1", user="root", host_key=f"{BORN}\n{FRESH}")
        clusters.add_instance(tx, replace(node, status=Status.PREPARING))
        catalogue.add_key(tx, "c", Key.create("c"))
        tx.file(TaskDraft(id="t", kind="trusting", subject="i", cluster_id="c", operation_id="o",
                          payload={"instance_id": "i"}))  # fmt: skip
    return made


def trust(database: Database, pool: SlowSshd) -> str:
    """Run the step alone until its task ends; its status."""
    flow = PrepareNode(Hosts(database, pool, lambda _: None), MemoryStores()).workflow()  # type: ignore[arg-type]
    engine = StepEngine(
        database,
        {"trusting": Workflow("trusting", tuple(step for step in flow.steps if step.name in ("trust", "pin")))},
    )
    for _ in range(1000):
        pause = engine.run_due()
        if pause is None:
            break
        database.clock.sleep(pause)
    with database.read() as connection:
        assert tasks.get(connection, database, "t")
        return str(connection.execute(database.tasks.select()).one().status)


def pinned(database: Database) -> str:
    with database.read() as connection:
        return clusters.instance(connection, "i").host_key


def test_a_host_that_is_slow_to_show_its_new_key_is_asked_again(database: Database) -> None:
    assert trust(database, SlowSshd(BORN, BORN, BORN, BORN, FRESH)) == "succeeded"
    assert pinned(database) == FRESH


def test_the_new_key_is_pinned_only_once_it_was_seen(database: Database) -> None:
    assert trust(database, SlowSshd(BORN)) == "failed"
    assert pinned(database) == f"{BORN}\n{FRESH}"


def test_a_stranger_who_answers_in_between_is_refused_at_once(database: Database) -> None:
    assert trust(database, SlowSshd(BORN, STRANGER)) == "failed"
    with database.read() as connection:
        topics = [row.routing_key for row in connection.execute(database.outbox.select())]
    assert "node.identity_changed" in topics


def test_how_far_off_its_clock_is_stays_known_of_each_host_that_is_alive(database: Database) -> None:
    assert actions.clocks(database) == HostClocks()
    for name, ahead in (("slow", -31.0), ("fast", 4.0), ("silent", None)):
        with database.write() as tx:
            clusters.add_instance(tx, Instance(id=name, cluster_id="c", name=name, clock_ahead=ahead))
    assert actions.clocks(database) == HostClocks(known=2, worst_host="slow", worst_seconds=-31.0)
    with database.write() as tx:
        slow = clusters.instance(tx.connection, "slow")
        clusters.change_instance(tx, slow, status=Status.DELETED)
    assert actions.clocks(database) == HostClocks(known=1, worst_host="fast", worst_seconds=4.0)
