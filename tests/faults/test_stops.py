"""Row 2: a worker that stands still for longer than its lease is replaced, and finds everything shut when it wakes up."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest

from bench.figures import at_most
from services.datastore_agentless.hosts.base import Run
from services.datastore_agentless.hosts.runner import HostRunner
from services.datastore_agentless.hosts.ssh import SshPool
from services.datastore_agentless.hosts.transcript import Transcript
from shared.db import Database
from shared.db import tasks as task_rows
from shared.engine import LEASE_SECONDS
from shared.errors import StaleEpoch
from tests.faults.node import Node
from tests.faults.stack import Held, Stack
from tests.faults.stranger import databases_of, target_of
from tests.faults.traffic import Traffic
from tests.support.faults import exactly
from tests.support.installation import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.fault(2), pytest.mark.timeout(3600)]
WORKERS = ("provisioner", "provisioner-2", "datastore_agentless", "datastore_agentless-2")


@contextmanager
def stopped(stack: Stack, name: str) -> Iterator[int]:
    """SIGSTOP for the length of the block."""
    pid = stack.pid(name)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGCONT)


def holder(stack: Stack) -> tuple[str, Held]:
    """Who works for datastore_agentless at this moment, and on what."""

    def look() -> list[tuple[str, Held]]:
        names = [name for name in WORKERS if name.startswith("datastore")]
        return [(name, one) for name in names for one in stack.held_by(name, stack.pid(name))]

    return wait_for(look, 30, 0.05, "a worker at work")[0]  # type: ignore[no-any-return]


@pytest.mark.real
def test_a_stopped_worker_is_replaced_and_its_epoch_is_refused_by_database_and_host(
    node: Node, times: Callable[[int, int], int], figure: Callable[..., None]
) -> None:
    stack, rounds, seconds = node.stack, times(1, 3), times(16, 60)
    waited = []
    for number in range(rounds):
        mark = f"/root/started-{number}"
        command = f"echo $$ >> {mark}; n=0; while [ $n -lt {seconds + 5} ]; do echo tick $n; n=$((n+1)); sleep 1; done"
        operation = node.perform(command)
        node.runs(operation)
        name, held = holder(stack)
        with stopped(stack, name) as pid:
            began = time.monotonic()
            wait_for(
                lambda pid=pid, held=held, name=name: held not in stack.held_by(name, pid), 60, 0.05, "another worker"
            )
            waited.append(time.monotonic() - began)
            threading.Event().wait(max(0.0, seconds - waited[-1]))
            _is_refused(node, name, held)
        results = node.performed(operation)
        assert results[0]["stdout"] == "".join(f"tick {n}\n" for n in range(seconds + 5))
        # The command itself was started once, whoever followed it.
        assert len(node.sh(f"cat {mark}").splitlines()) == 1
        wait_for(
            lambda name=name: "gave up" in (stack.home / "logs" / f"{name}.log").read_text(), 60, what="its giving up"
        )
    figure(2, f"stops of a worker for {seconds} s, taken over after at most", rounds, max(waited), "s",
           at_most(LEASE_SECONDS + 5, "s"))  # fmt: skip
    figure(2, "work of a stale epoch that database or host took", 2 * rounds, 0, "", exactly(0))


def _is_refused(node: Node, name: str, held: Held) -> None:
    """What the stopped worker would do next, done in its name."""
    database: Database = databases_of(node.stack)
    with database.read() as connection:
        task = task_rows.get(connection, database, held.id)
    assert task is not None
    assert task.epoch > held.epoch
    with pytest.raises(StaleEpoch), database.write() as tx:
        task_rows.save(tx, replace(task, epoch=held.epoch), message="from the past")
    pool = SshPool()
    driver = HostRunner(pool=pool, target=target_of(database, node.instance), task_id=held.id, epoch=held.epoch,
                        subject=task.subject, transcript=Transcript("stale"))  # fmt: skip
    with pytest.raises(StaleEpoch):
        driver.run(Run("touch /root/never"))
    assert node.sh("ls /root/never 2>/dev/null") == ""
    pool.close()


@pytest.mark.rabbit
def test_workers_that_stand_still_one_after_the_other_double_and_lose_nothing(
    sim: Stack, times: Callable[[int, int], int], figure: Callable[..., None]
) -> None:
    rounds, seconds = times(1, 4), times(13, 60)

    def stop(name: str) -> None:
        # Never both of a kind at once: somebody has to be there to take over.
        threading.Event().wait(0.5 if name.startswith("prov") else 1.5)
        with stopped(sim, name):
            threading.Event().wait(seconds)

    with Traffic(sim, clients=6).flowing() as traffic, ThreadPoolExecutor(2) as threads:
        for pair in [WORKERS[0::2], WORKERS[1::2]] * rounds:
            list(threads.map(stop, pair))
    traffic.nothing_is_left()
    figure(2, f"stops for {seconds} s under load, second servers", 4 * rounds, 0, "", exactly(0))
