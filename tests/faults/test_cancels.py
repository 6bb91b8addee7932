"""Row 23: whatever step a cancel finds, the operation ends as cancelled and nothing is left, or it had succeeded already."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from tests.faults.node import Node
from tests.faults.stack import Stack
from tests.faults.traffic import Traffic, insist
from tests.support.faults import exactly
from tests.support.installation import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.fault(23), pytest.mark.timeout(3600)]
STEPS = ("issue_key", "create_server", "wait_for_server", "attach_volume", "announce", "connect", "trust", "pin",
         "preflight", "mount", "prepare", "verify")  # fmt: skip


@pytest.mark.rabbit
def test_a_create_that_is_cancelled_at_any_step_leaves_nothing(
    sim: Stack, times: Callable[[int, int], int], figure: Callable[..., None]
) -> None:
    rounds = times(1, 12)

    def cancel(place: tuple[int, str]) -> str:
        number, step = place
        cluster, operation = sim.create(f"given-up-{step.replace('_', '-')}-{number}", "redis 7.0", volume_gb=1)
        sim.step_begins(operation, step)
        threading.Event().wait(Random(f"{place}").uniform(0, 0.3) if number else 0)
        answer = insist(sim, "POST", f"/v1/operations/{operation}/cancel")
        assert answer.status_code in (202, 409), answer.text
        ended = str(sim.end_of(operation)["status"])
        if ended == "cancelled":
            assert sim.ask("GET", f"/v1/clusters/{cluster}").status_code == 404
        else:
            assert ended == "succeeded"
            assert sim.end_of(sim.delete(cluster))["status"] == "succeeded"
        return ended

    with ThreadPoolExecutor(6) as threads:
        ended = Counter(threads.map(cancel, [(number, step) for number in range(rounds) for step in STEPS]))
    assert ended["cancelled"] >= rounds * len(STEPS) / 2, ended
    Traffic(sim).nothing_is_left()
    left = "select count(*) from keys join clusters on clusters.id = keys.cluster_id where status in ('deleting', 'deleted')"
    assert sim.rows("datastore_agentless", left) == [(0,)]
    words = f"cancels at {len(STEPS)} steps ({ended['cancelled']} cancelled, {ended['succeeded']} came too late), things left"
    figure(23, words, sum(ended.values()), 0, "", exactly(0))


@pytest.mark.real
def test_a_users_command_that_is_cancelled_ends_on_the_host_with_all_that_it_started(
    node: Node, times: Callable[[int, int], int], figure: Callable[..., None]
) -> None:
    rounds = times(1, 10)
    node.sh("cp /bin/sleep /root/marked")
    for _ in range(rounds):
        operation = node.perform("echo going; (trap '' TERM; /root/marked 600) & /root/marked 600")
        node.runs(operation)
        assert insist(node.stack, "POST", f"/v1/operations/{operation}/cancel").status_code == 202
        assert node.stack.end_of(operation, 60)["status"] == "cancelled"
        wait_for(
            lambda: not node.sh("cat /proc/[0-9]*/comm | grep -x marked"), 20, what="the end of all that it started"
        )
    figure(23, "cancelled commands, processes left on the host", rounds, 0, "", exactly(0))
