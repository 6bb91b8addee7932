"""Rows 11 and 12: a cloud that stumbles, is slow to say so, has no room, or makes servers that never come up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bench.figures import at_most
from tests.faults.stack import Stack
from tests.faults.traffic import Traffic
from tests.support.faults import exactly
from tests.support.installation import wait_for

pytestmark = [pytest.mark.rabbit, pytest.mark.slow, pytest.mark.timeout(3600)]
PROVISIONERS = ("provisioner", "provisioner-2")
# Faults that pass, at every call that a cluster's life makes.
PASSING = (
    "create:500*2,update_status:500*3,attach_volume:500,destroy:500*2",
    "create:429*3,update_status:429,attach_volume:429*2,destroy:429",
    "create:late,attach_volume:late,destroy:late",
    "create:busy*2,create:late,update_status:late*2,destroy:busy*3",
)
SOME_OF_ALL = "create:500,create:429,create:late,update_status:500,attach_volume:late,destroy:busy,destroy:late"
# Faults that do not, and what the user is told.
LASTING = (
    ("create:quota*", "the quota of servers is used up", "quota raised"),
    ("create:image*", "the cloud has no such image", "upload the image"),
    ("create:refused*", "the cloud refused the call", "look at the cloud's own log"),
    ("create:error*", "no host has room for this flavor", "choose another flavor"),
    ("attach_volume:refused*", "the cloud refused the call", "look at the cloud's own log"),
)


@contextmanager
def cloudy(stack: Stack, **environ: str) -> Iterator[None]:
    """A provisioner that was started with these options, for the length of the block."""
    # One alone: two would each have the faults.
    for name in PROVISIONERS:
        stack.stop(name)
    stack.start(PROVISIONERS[0], **environ)
    stack.wait_ready()
    try:
        yield
    finally:
        stack.stop(PROVISIONERS[0])
        for name in PROVISIONERS:
            stack.start(name)
        stack.wait_ready()


def made(stack: Stack, name: str) -> tuple[str, dict[str, Any]]:
    """Ask for a cluster with a volume; its id, and how that ended."""
    cluster, operation = stack.create(name, "redis 7.0", volume_gb=1)
    return cluster, stack.end_of(operation)


def goes(stack: Stack, cluster: str) -> None:
    """A delete that leaves nothing."""
    ended = stack.end_of(stack.delete(cluster))
    assert ended["status"] == "succeeded", ended
    assert not held(stack, cluster)


def held(stack: Stack, cluster: str) -> list[str]:
    """What the cloud holds of a cluster."""
    cloud = Traffic(stack).cloud
    return [one.id for one in (*cloud.servers(), *cloud.volumes()) if one.cluster_id == cluster]


@pytest.mark.fault(11)
def test_a_cloud_that_stumbles_is_asked_again_and_makes_one_server(
    sim: Stack, times: Callable[[int, int], int], figure: Callable[..., None]
) -> None:
    rounds = times(1, 5)
    for number in range(rounds):
        for faults in (SOME_OF_ALL, *(PASSING if rounds > 1 else ())):
            with cloudy(sim, DTROVE_FAKE_FAULTS=faults):
                cluster, ended = made(sim, f"stumble-{number}")
                assert ended["status"] == "succeeded", ended
                assert sorted(one.partition("-")[0] for one in held(sim, cluster)) == ["server", "volume"]
                goes(sim, cluster)
    figure(11, "clusters through 500, 429, timeouts after accept; second servers", rounds * 5, 0, "", exactly(0))


@pytest.mark.fault(11)
def test_a_cloud_that_cannot_is_quoted_and_what_it_made_is_removed(
    sim: Stack, times: Callable[[int, int], int], figure: Callable[..., None]
) -> None:
    chosen = LASTING[: times(1, len(LASTING))]
    for number, (faults, words, remedy) in enumerate(chosen):
        with cloudy(sim, DTROVE_FAKE_FAULTS=faults):
            cluster, ended = made(sim, f"refused-{number}")
            assert ended["status"] == "failed", ended
            assert words in ended["problem"]["message"]
            assert remedy in ended["problem"]["what_to_do"]
            wait_for(lambda cluster=cluster: not held(sim, cluster), 30, what="a cloud that holds nothing of it")
        assert sim.ask("POST", f"/v1/operations/{ended['id']}/retry").status_code == 202
        assert sim.end_of(ended["id"])["status"] == "succeeded"
        goes(sim, cluster)
    figure(11, "refusals of a cloud, servers and volumes left behind", len(chosen), 0, "", exactly(0))


@pytest.mark.fault(12)
def test_a_server_that_never_comes_up_fails_at_its_deadline_with_the_end_of_its_console(
    sim: Stack, times: Callable[[int, int], int], figure: Callable[..., None]
) -> None:
    rounds, deadline, late = times(1, 5), 6.0, []
    for number in range(rounds):
        with cloudy(sim, DTROVE_FAKE_FAULTS="create:stuck", DTROVE_SERVER_DEADLINE=str(deadline)):
            began = time.monotonic()
            cluster, ended = made(sim, f"stuck-{number}")
            late.append(time.monotonic() - began - deadline)
            assert ended["status"] == "failed", ended
            step = next(one for one in ended["steps"] if one["step"] == "wait_for_server")
            assert "simulated server starts" in step["stderr"]
            assert ended["problem"]["what_to_do"]
            assert not held(sim, cluster)
            goes(sim, cluster)
    figure(12, "servers that never come up, failed after their deadline by", rounds, max(late), "s", at_most(10, "s"))
