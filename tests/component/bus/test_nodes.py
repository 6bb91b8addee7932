"""A broker of three nodes: a service goes on when any one of them dies, and is told of all by one option."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.component.bus.conftest import Stage
from tests.support.installation import wait_for
from tests.support.rabbit import remembers
from tests.support.rabbit_cluster import RabbitCluster, clustered

pytestmark = [pytest.mark.slow, pytest.mark.fault(8)]
BACK_SECONDS, TRIES = 60, 5


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitCluster]:
    """Three nodes, of which a test may kill one at a time."""
    with clustered(tmp_path_factory.mktemp("nodes")) as made:
        yield made


def is_answered(stage: Stage, mark: str) -> None:
    """A call may be lost with the node that had it, which its caller is told; whoever asks again is answered."""

    def settled(refused: int) -> str:
        if any(one["answer"] == [mark] for one in stage.notes("answer")):
            return "answered"
        return "refused" if len(stage.notes("refusal")) > refused else ""

    for _ in range(TRIES):
        refused = len(stage.notes("refusal"))
        stage.ask("call", service=stage.name, method="echo", args=[mark], timeout=4)
        if (
            wait_for(lambda refused=refused: settled(refused), BACK_SECONDS, what="an answer or a refusal")
            == "answered"
        ):
            return
    raise AssertionError(f"no answer to {TRIES} calls")


def test_events_calls_and_announcements_go_on_whichever_node_dies(
    cluster: RabbitCluster, stages: Callable[..., Stage]
) -> None:
    stage = stages(cluster.uri)
    stage.start()
    with stage.listening("operation.progressed", kind="quorum") as heard:
        queues = (stage.queue, f"rpc-{stage.name}", f"ear-{stage.name}")
        wait_for(lambda: all(remembers(node, queue) for node in cluster.nodes for queue in queues))
        # A queue that RabbitMQ 3.10 has only just made may not outlive its leader: each has taken something before one dies.
        stage.ask("file", subjects=["first"], seconds=0)
        wait_for(lambda: stage.unsent() == 0 and len(stage.notes("ended")) == 1, BACK_SECONDS)
        is_answered(stage, "first")
        for node in cluster.nodes:
            mark = f"without {node.name}"
            stage.ask("file", subjects=[node.name], seconds=1)
            stage.noted("began", count=cluster.nodes.index(node) + 2)
            node.kill()
            is_answered(stage, mark)
            wait_for(lambda: stage.unsent() == 0, BACK_SECONDS, what="an empty outbox")
            node.back()
            wait_for(lambda node=node: node.members() == len(cluster.nodes), 60, 0.5, f"{node.name} in its cluster")
    # The process that was there before is still there, and nothing that it said is lost.
    assert [process.poll() for process in stage.processes] == [None]
    once = {one["event_id"]: one["status"] for one in heard}
    assert sorted(once.values()) == ["running"] * 4 + ["succeeded"] * 4


def test_a_first_start_waits_for_every_node_so_that_its_queues_are_on_all_of_them_and_a_later_one_does_not(
    cluster: RabbitCluster, stages: Callable[..., Stage]
) -> None:
    stage, last = stages(cluster.uri), cluster.nodes[-1]
    last.kill()
    stage.start(wait=False)
    wait_for(lambda: stage.said("the first start needs all its nodes"))
    assert not stage.said(" runs")
    last.back()
    wait_for(lambda: stage.said(" runs"))
    wait_for(lambda: all(remembers(node, stage.queue) for node in cluster.nodes))
    # A message in it makes it safe to kill its leader.
    is_answered(stage, "first")

    stage.end()
    (stage.home / "output").unlink()
    last.kill()
    stage.start()
    assert not stage.said("the first start needs all its nodes")
    is_answered(stage, "second")
    last.back()
