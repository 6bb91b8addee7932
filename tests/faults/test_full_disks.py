"""Row 14: a disk that is full is noticed by whatever wants to write to it, said plainly, and forgotten once there is room."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.figures import at_most
from services.datastore_agentless.hosts.base import CommandFailed, Job, Put, Script
from services.datastore_agentless.hosts.runner import HostRunner
from services.datastore_agentless.hosts.ssh import SshPool
from services.datastore_agentless.hosts.transcript import Transcript
from tests.faults.node import Node
from tests.faults.stack import Stack
from tests.faults.stranger import databases_of, target_of
from tests.support.installation import wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.fault(14), pytest.mark.timeout(3600)]
NOTICED = at_most(60, "s")


def volume_of(stack: Stack, cluster: str) -> Path:
    """Where the only instance's volume is mounted on this machine, once it is."""
    instance = stack.get(f"/v1/clusters/{cluster}/instances")["instances"][0]["id"]
    mounted = stack.home / "volumes" / instance / "mnt"
    wait_for(lambda: str(mounted) in Path("/proc/mounts").read_text(), 60, 0.01, "the volume")
    return mounted


def fill(mounted: Path, leave_mb: int = 0) -> Path:
    """Fill a file system, all but so many MB."""
    filler, there = mounted / "filler", os.statvfs(mounted)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, there.f_bavail * there.f_frsize - leave_mb * 1024**2)
    return filler


@pytest.mark.parametrize(
    ("datastore", "step", "leave_mb"), [("redis 7.0", "preflight", 100), ("pgsql 15", "prepare", 2)]
)
def test_a_full_data_volume_is_told_and_a_retry_goes_on_once_there_is_room(
    real: Stack, datastore: str, step: str, leave_mb: int, figure: Callable[..., None]
) -> None:
    cluster, operation = real.create(f"full-{step}", datastore, volume_gb=1)
    mounted = volume_of(real, cluster)
    if step == "prepare":
        # Past the check that comes before anything is installed.
        real.step_begins(operation, step)
    filler, began = fill(mounted, leave_mb), time.monotonic()
    ended = real.end_of(operation, 600)
    noticed = time.monotonic() - began
    assert ended["status"] == "failed", ended
    assert ended["problem"]["step"] == step
    said = f"{ended['problem']['message']} {ended['problem']['stderr']}"
    assert "MB are free on /var/lib/dtrove-data" in said if step == "preflight" else "No space left" in said
    assert real.get(f"/v1/clusters/{cluster}")["status"] == "failed"
    filler.unlink()
    assert real.ask("POST", f"/v1/operations/{operation}/retry").status_code == 202
    assert real.end_of(operation, 600)["status"] == "succeeded"
    assert real.end_of(real.delete(cluster))["status"] == "succeeded"
    figure(14, f"data volume full at {step} ({datastore}), told after", 1, noticed, "s", NOTICED)


@contextmanager
def crowded(node: Node) -> Iterator[None]:
    """The host's shared memory full to the last byte, for the length of the block."""
    node.sh("head -c 100000000 /dev/zero > /dev/shm/filler 2>/dev/null")
    try:
        yield
    finally:
        node.sh("rm -f /dev/shm/filler")


def test_full_temporary_space_is_told_at_once_and_forgotten_once_there_is_room(
    node: Node, times: Callable[[int, int], int], figure: Callable[..., None]
) -> None:
    rounds, pool, taken = times(1, 10), SshPool(), []
    target = target_of(databases_of(node.stack), node.instance)

    def written(path: str) -> Script:
        return (yield Put(path, "x" * 10_000))

    def job(name: str) -> Script:
        return (yield Job(name, "echo done"))

    for number in range(rounds):
        driver = HostRunner(pool=pool, target=target, task_id=f"full-{number}", epoch=1, subject="full",
                            transcript=Transcript("node"), root="/dev/shm/dtrove", memory="/dev/shm/memory")  # fmt: skip
        driver.remote("true")
        with crowded(node):
            began = time.monotonic()
            with pytest.raises(CommandFailed, match="could not be written"):
                driver.execute(written("/dev/shm/file"))
            with pytest.raises(CommandFailed) as caught:
                driver.execute(job("crowded"))
            taken.append(time.monotonic() - began)
            assert "No space left" in caught.value.stderr or "could not be" in caught.value.stderr
        driver.execute(written("/dev/shm/file"))
        assert driver.execute(job("crowded")).stdout == "done\n"
    pool.close()
    figure(14, "temporary space full, told after at most", rounds, max(taken), "s", NOTICED)
