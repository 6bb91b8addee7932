"""A roll: the nodes of a cluster are started, stopped, restarted or resized one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.instance import Instance, Status


class Action(StrEnum):
    """What becomes of each node."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    RESIZE = "resize"


# What leaves a node for a while without its engine: of several the primary hands over first.
INTERRUPTING = (Action.RESTART, Action.RESIZE)


class State(StrEnum):
    """Whether it still goes on."""

    OPEN = "open"
    ENDED = "ended"


# What undoes what has come about of it; what was restarted serves again.
BACK = {Action.START: Action.STOP, Action.STOP: Action.START}


@dataclass
class Roll:
    """One roll; its id is the operation's.

    `wanted` is what was asked for, `action` what is done at present: the opposite, once it is taken back. `only_id` is the one
    node that is meant, empty for all. `in_hand` is the node that is worked on, empty for none, and `turn` grows with every node
    that is taken in hand: work of an earlier turn is void. `done_ids` are those that are through. `lived` has since when each
    node's engine lived when the roll began, `lives` since when it lives now. `ending` is how it ends once it is taken back: a
    status, and the problem as JSON.
    """

    operation_id: str
    cluster_id: str
    wanted: Action
    action: Action
    only_id: str = ""
    in_hand: str = ""
    turn: int = 0
    done_ids: list[str] = field(default_factory=list)
    lived: dict[str, str] = field(default_factory=dict)
    lives: dict[str, str] = field(default_factory=dict)
    ending: dict[str, Any] = field(default_factory=dict)
    state: State = State.OPEN

    def following(self, cluster: Cluster, nodes: Sequence[Instance]) -> Instance | None:
        """Whose turn it is next: replicas come before the primary, but for a start."""
        left = [node for node in self.of(nodes) if node.id not in self.done_ids]
        primary_first = self.action == Action.START
        return min(left, key=lambda node: (cluster.leads(node.id) != primary_first, node.name), default=None)

    def of(self, nodes: Sequence[Instance]) -> list[Instance]:
        """Those of a cluster's nodes that it is about."""
        return [node for node in nodes if node.status == Status.READY and self.only_id in ("", node.id)]

    def turn_back(self, status: str, problem: dict[str, Any] | None) -> None:
        """Undo from now on what was done, to end like this."""
        self.action, self.ending = BACK[self.action], {"status": status, "problem": problem}
        self.done_ids, self.in_hand = [], ""

    def begin_again(self) -> None:
        """Go on with what was wanted: where it was left, or from the first node where it was taken back."""
        self.state, self.ending = State.OPEN, {}
        if self.action != self.wanted:
            self.action, self.done_ids, self.in_hand = self.wanted, [], ""
