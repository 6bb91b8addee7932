"""A cluster's own address, which leads to its primary, whichever host that is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.errors import Conflict


class State(StrEnum):
    """Where an address stands on its way. NONE: its provider has none for hosts like these."""

    WANTED = "wanted"
    TAKEN = "taken"
    NONE = "none"
    FAILED = "failed"
    GOING = "going"
    GONE = "gone"


TRANSITIONS = {
    State.WANTED: {State.TAKEN, State.NONE, State.FAILED, State.GOING},
    State.TAKEN: {State.GOING},
    State.NONE: {State.GOING},
    State.FAILED: {State.WANTED, State.GOING},
    State.GOING: {State.GONE},
    State.GONE: {State.GOING},
}


@dataclass
class ClusterAddress:
    """The address of one cluster. A provider fills `addr`.

    `wanted_id` is the instance that it is to lead to, by the newest wish, which was made at `wanted_at`; empty as long as nobody
    has said. `account` is whose account of the cloud it is in, as Instance has it. `epoch` is that of the claim under which a
    provider is asked, 0 where nobody can take over; it is not stored.
    """

    cluster_id: str
    project_id: str
    operation_id: str
    addr: str = ""
    wanted_id: str = ""
    wanted_at: datetime | None = None
    state: State = State.WANTED
    message: str = ""
    account: str = ""
    epoch: int = 0

    @property
    def goes(self) -> bool:
        """Whether its cluster is deleted, or about to be."""
        return self.state in (State.GOING, State.GONE)

    def become(self, state: State) -> None:
        """Move to `state`; repeating the current one is allowed. Raises Conflict on any other move."""
        if state != self.state and state not in TRANSITIONS[self.state]:
            raise Conflict(f"the address of cluster {self.cluster_id} is {self.state} and cannot become {state}")
        self.state = state
