"""A restore in place: a cluster's data become those of a backup, and what was there before is kept until somebody says what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from shared.errors import Conflict

# How long what was there before is kept where nobody says anything.
KEPT_FOR = timedelta(days=7)


class State(StrEnum):
    """Where a restore in place stands. `coming`: the data are fetched, or about to change places; `kept`: they serve, and what was there
    before lies beside them; `undoing` and `dropping`: that is about to come back, or to go.
    """

    COMING = "coming"
    KEPT = "kept"
    UNDOING = "undoing"
    DROPPING = "dropping"
    ENDED = "ended"


TRANSITIONS: dict[State, set[State]] = {
    State.COMING: {State.KEPT, State.ENDED},
    State.KEPT: {State.UNDOING, State.DROPPING},
    State.UNDOING: {State.KEPT, State.ENDED},
    # Of what is about to go some may be gone: nobody puts that back.
    State.DROPPING: {State.ENDED},
    State.ENDED: {State.COMING},
}
# What was there before lies on the node, or a part of it.
BESIDE = (State.KEPT, State.UNDOING, State.DROPPING)


@dataclass
class Restore:
    """One restore in place; its id is the operation's.

    `moment` is up to when the backup's data take the log, None for not at all. `taken` is the node that it was begun on, as
    `Sources.choose` tells it. `former` is the history of the data before, `beginnings` how often it was begun. `held` is
    whether it holds its cluster at present (workflows.holding). `purge_at` is when what was there before goes by itself.
    """

    operation_id: str
    cluster_id: str
    project_id: str
    backup_id: str
    created_at: datetime
    moment: datetime | None = None
    taken: dict[str, str] = field(default_factory=dict)
    former: str = ""
    beginnings: int = 0
    held: bool = False
    purge_at: datetime | None = None
    state: State = State.COMING

    def become(self, state: State) -> None:
        """Move to `state`; repeating the current one is allowed. Raises Conflict on any other move."""
        if state != self.state and state not in TRANSITIONS[self.state]:
            raise Conflict(f"restore {self.operation_id} is {self.state} and cannot become {state}")
        self.state = state

    @property
    def job(self) -> str:
        """The name of what fetches the data on their node, another one after each beginning."""
        return f"receive-{self.beginnings}"
