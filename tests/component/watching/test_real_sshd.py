"""A probe over a real sshd: it comes back, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.datastore_agentless.datastores import load_manager
from services.datastore_agentless.datastores.base import probing
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Run, Script
from services.datastore_agentless.hosts.runner import HostRunner
from services.datastore_agentless.hosts.ssh import PoolSettings, SshPool
from services.datastore_agentless.hosts.transcript import Transcript
from services.datastore_agentless.settings import BUILT_IN
from tests.component.hosts.sshd import Sshd


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = Sshd(tmp_path_factory.mktemp("sshd")).start()
    yield server
    server.stop()


@pytest.fixture
def pool() -> Iterator[SshPool]:
    made = SshPool(PoolSettings(connect_timeout=3.0, channels=2, poll=2.0))
    yield made
    made.close()


def runner(sshd: Sshd, pool: SshPool, root: Path, **options: object) -> HostRunner:
    return HostRunner(pool=pool, target=sshd.target(), task_id="", subject="node", transcript=Transcript("node-1"),
                      root=str(root), memory=f"{root}/memory", **options)  # type: ignore[arg-type] # fmt: skip


def one(command: Run) -> Script:
    return (yield command)


def test_a_probe_comes_back_over_ssh_and_neither_asks_nor_raises_a_fence(
    sshd: Sshd, pool: SshPool, tmp_path: Path
) -> None:
    runner(sshd, pool, tmp_path, epoch=9).execute(one(Run("true")))
    (fence,) = (tmp_path / "fences").iterdir()
    manager = load_manager("redis", Datastore("d", "redis", "redis", "7.0", "debian-12"), BUILT_IN)
    looking = runner(sshd, pool, tmp_path, epoch=0, look_seconds=5.0)
    found = looking.execute(probing.probe(manager, Instance("i", "c", "node-1")))
    assert found.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert fence.read_text().strip() == "9"
    assert [one.name for one in tmp_path.rglob("*")] == ["fences", fence.name]


def test_a_command_that_hangs_is_given_up_after_the_time_of_a_look(sshd: Sshd, pool: SshPool, tmp_path: Path) -> None:
    looking = runner(sshd, pool, tmp_path, epoch=0, look_seconds=1.0)
    with pytest.raises(CommandFailed, match="did not end within 1 s"):
        looking.execute(one(Run("sleep 30", changes=False, timeout=60.0)))


def test_a_connection_that_rarely_looks_up_answers_as_fast(sshd: Sshd, pool: SshPool, tmp_path: Path) -> None:
    looking = runner(sshd, pool, tmp_path, epoch=0, look_seconds=5.0)
    looking.execute(one(Run("true", changes=False)))
    began = looking.clock.monotonic()
    for _ in range(10):
        looking.execute(one(Run("true", changes=False)))
    assert looking.clock.monotonic() - began < 10 * pool.settings.poll
