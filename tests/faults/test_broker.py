"""Row 8: RabbitMQ restarts, and what lay in its queues is thrown away: every operation comes to its end all the same."""

from __future__ import annotations

import random
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import kombu
import pytest

from bench.figures import at_most
from client.rabbitmq import SCRIPTS
from tests.faults.stack import Stack
from tests.faults.traffic import Traffic
from tests.support.faults import exactly
from tests.support.installation import ENDED, wait_for

pytestmark = [pytest.mark.rabbit, pytest.mark.slow, pytest.mark.fault(8), pytest.mark.timeout(3600)]
# Who is put aside while messages for it gather.
GATHER_SECONDS = 15.0
GROUPS = (("provisioner", "provisioner-2"), ("datastore_agentless", "datastore_agentless-2"), ("api",))


def queues(stack: Stack) -> list[str]:
    """The queues of events, as the broker lists them."""
    settings = stack.rabbit._settings()
    program = next(path for path in (Path(one).with_name("rabbitmqctl") for one in SCRIPTS) if path.exists())
    done = subprocess.run(
        [str(program), "-n", f"dtrove-{settings['port']}@localhost", "--silent", "list_queues", "name"],
        env=stack.rabbit._environment(settings), capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return [line for line in done.stdout.split() if line.startswith(("evt.", "retry"))]


def purge(stack: Stack, names: list[str]) -> int:
    """Throw away all that lies in them; how many messages that were."""
    with kombu.Connection(stack.rabbit.uri) as connection, connection.channel() as channel:
        return sum(int(channel.queue_purge(name) or 0) for name in names)


def gather(stack: Stack, names: list[str]) -> None:
    """Let messages gather for whoever is away: for a moment, and as long as nothing has come, up to GATHER_SECONDS."""
    until = time.monotonic() + GATHER_SECONDS
    with kombu.Connection(stack.rabbit.uri) as connection, connection.channel() as channel:
        while True:
            threading.Event().wait(1.5)
            there = sum(int(channel.queue_declare(name, passive=True).message_count) for name in names)
            if there or time.monotonic() > until:
                return


def open_operations(stack: Stack) -> set[str]:
    """The operations that have not ended."""
    found = stack.rows("api", "select id from operations where status not in %s", (ENDED,))
    return {str(row[0]) for row in found}


def test_operations_whose_messages_were_thrown_away_are_recovered(
    sim: Stack, times: Callable[[int, int], int], figure: Callable[..., None]
) -> None:
    rounds, chance, lost, taken = times(2, 20), random.Random(8), 0, []
    names = queues(sim)
    assert "evt.api.cluster.requested--provisioner" in names
    with Traffic(sim, clients=6).flowing() as traffic:
        for number in range(rounds):
            threading.Event().wait(chance.uniform(0.5, 2))
            group = GROUPS[number % len(GROUPS)]
            for name in group:
                sim.stop(name)
            gather(sim, names)
            lost += purge(sim, names)
            for name in group:
                sim.start(name)
            sim.wait_ready()
            began, struck = time.monotonic(), open_operations(sim)
            wait_for(lambda struck=struck: not struck & open_operations(sim), 180, 0.1, "the end of what was open")
            taken.append(time.monotonic() - began)
    traffic.nothing_is_left()
    assert lost > 0
    figure(8, f"purges of all queues ({lost} messages lost), all that was open ended after", rounds, max(taken), "s",
           at_most(30, "s"))  # fmt: skip
    figure(8, "operations lost with their messages", traffic.served, 0, "", exactly(0))


def test_a_broker_that_restarts_under_load_loses_nothing(
    sim: Stack, times: Callable[[int, int], int], figure: Callable[..., None]
) -> None:
    rounds, chance, taken = times(1, 6), random.Random(88), []
    with Traffic(sim, clients=6).flowing() as traffic:
        for _ in range(rounds):
            threading.Event().wait(chance.uniform(1, 3))
            sim.rabbit.stop()
            threading.Event().wait(chance.uniform(0, 5))
            sim.rabbit.start()
            sim.rabbit.wait_ready(60)
            began, struck = time.monotonic(), open_operations(sim)
            wait_for(lambda struck=struck: not struck & open_operations(sim), 180, 0.1, "the end of what was open")
            taken.append(time.monotonic() - began)
    traffic.nothing_is_left()
    figure(8, "restarts of RabbitMQ, all that was open ended after", rounds, max(taken), "s", at_most(30, "s"))
