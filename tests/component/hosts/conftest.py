"""Hosts to speak to over SSH."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.datastore_agentless.hosts.runner import HostRunner
from services.datastore_agentless.hosts.ssh import PoolSettings, SshPool
from services.datastore_agentless.hosts.transcript import Transcript
from services.datastore_agentless.store import tables
from services.datastore_agentless.workflows.join_node import JoinNode
from services.datastore_agentless.workflows.leave_node import LeaveNode
from services.datastore_agentless.workflows.on_host import Hosts
from services.datastore_agentless.workflows.perform import Perform
from services.datastore_agentless.workflows.prepare_node import PrepareNode
from shared.db import Database, Sealed
from shared.engine import StepEngine
from shared.secrets import Keyring, KeyringFile, new_key, write_keyring
from tests.component.hosts.real import RealHosts, real_hosts_of_their_own
from tests.component.hosts.sshd import Sshd
from tests.component.hosts.wishes import manager_for
from tests.support.keeping import MemoryStores
from tests.support.proxy import Proxy

QUICK = PoolSettings(connect_timeout=3.0, watch_seconds=0.1, breaker_first=0.1, breaker_cap=0.3)


@pytest.fixture(scope="package")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A running sshd that tests share."""
    server = Sshd(tmp_path_factory.mktemp("sshd")).start()
    yield server
    server.stop()


@pytest.fixture
def own_sshd(tmp_path: Path) -> Iterator[Sshd]:
    """A running sshd of this test alone, to stop and to change."""
    server = Sshd(tmp_path / "sshd").start()
    yield server
    server.stop()


@pytest.fixture
def pool() -> Iterator[SshPool]:
    """A pool with short times."""
    made = SshPool(QUICK)
    yield made
    made.close()


@pytest.fixture
def line(sshd: Sshd) -> Iterator[Proxy]:
    """A line to the shared sshd."""
    made = Proxy(sshd.port)
    yield made
    made.close()


@pytest.fixture
def runner(sshd: Sshd, pool: SshPool, tmp_path: Path) -> Callable[..., HostRunner]:
    """Makes runners on the shared sshd whose fences and jobs lie in the test's own directory."""

    def make(**options: object) -> HostRunner:
        values: dict[str, object] = {
            "pool": pool, "target": sshd.target(), "task_id": tmp_path.name, "epoch": 1, "subject": "node",
            "transcript": Transcript("node-1"), "root": f"{tmp_path}/dtrove", "memory": f"{tmp_path}/memory",
        }  # fmt: skip
        return HostRunner(**{**values, **options})  # type: ignore[arg-type]

    return make


@pytest.fixture
def database(with_tables: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The service's own database, on each engine."""
    write_keyring(tmp_path / "keyring", Keyring((new_key(),)))
    monkeypatch.setattr(Sealed, "keyring", KeyringFile(tmp_path / "keyring"))
    return Database(with_tables("datastore_agentless"), "datastore_agentless", tables.metadata)


@pytest.fixture(scope="package")
def real_hosts() -> Iterator[RealHosts]:
    """Makes real hosts; all that was made goes with it."""
    with real_hosts_of_their_own() as made:
        yield made


@pytest.fixture
def engine(database: Database) -> StepEngine:
    hosts = Hosts(database, SshPool(), manager_for)
    leaving = LeaveNode(hosts)
    flows = (PrepareNode(hosts, MemoryStores()).workflow(), JoinNode(hosts).workflow(), leaving.leave(), leaving.dismiss(),
             Perform(hosts).workflow())  # fmt: skip
    return StepEngine(database, {flow.name: flow for flow in flows})
