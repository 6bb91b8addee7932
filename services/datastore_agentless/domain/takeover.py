"""A takeover: another node becomes the primary of a cluster, by a user's wish or because the present one is dead."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from shared.errors import Conflict


class Kind(StrEnum):
    """With a primary that is well, which hands over; or with one that is not, which is switched off first."""

    SWITCHOVER = "switchover"
    FAILOVER = "failover"


class State(StrEnum):
    """How far it is. Past TAKING there is no way back: a second node may take writes from then on."""

    PROVING = "proving"
    FENCING = "fencing"
    TAKING = "taking"
    ENDED = "ended"


TRANSITIONS = {
    State.PROVING: {State.FENCING, State.TAKING, State.ENDED},
    State.FENCING: {State.TAKING, State.ENDED},
    State.TAKING: {State.ENDED},
    State.ENDED: {State.PROVING, State.FENCING, State.TAKING},
}


@dataclass
class Takeover:
    """One takeover; its id is the operation's.

    `former_id` is the primary that it began with, `wanted_id` whom the user has named (empty: nobody), `chosen_id` who takes
    over (empty until that is known). `accept_loss` is the user's word that writes may be lost for want of proof.
    `evidence` is what was found out on the way, as JSON, by the name of the step.
    """

    operation_id: str
    cluster_id: str
    kind: Kind
    former_id: str
    wanted_id: str = ""
    chosen_id: str = ""
    accept_loss: bool = False
    state: State = State.PROVING
    evidence: dict[str, Any] = field(default_factory=dict)

    def become(self, state: State) -> None:
        """Move to `state`; repeating the present one is allowed. Raises Conflict on any other move."""
        if state != self.state and state not in TRANSITIONS[self.state]:
            raise Conflict(f"takeover {self.operation_id} is {self.state} and cannot become {state}")
        self.state = state
