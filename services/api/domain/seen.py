"""What the API has seen of the whole of DTrove at one moment: the stuff that checks, readiness and metrics are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from shared.contracts.state import ServiceState


@dataclass(frozen=True)
class Answer:
    """What came of asking a service: its state, or why there is none.

    `ahead` is how many seconds its clock is ahead of the API's, known to `within` seconds.
    """

    state: ServiceState | None = None
    trouble: str = ""
    ahead: float = 0.0
    within: float = 0.0


@dataclass(frozen=True)
class Stuck:
    """An operation that is open and of which nobody has spoken for `seconds`; its last step, empty before the first."""

    id: str
    kind: str
    cluster: str
    seconds: float
    step: str = ""
    service: str = ""
    host: str = ""
    message: str = ""


@dataclass(frozen=True)
class Seen:
    """Everything, as it was at `at`. `broker` and `database` say what is wrong with them, empty for nothing; `unproven`
    are lines about backups that have not passed their last proof.
    """

    at: datetime
    broker: str = ""
    database: str = ""
    services: dict[str, Answer] = field(default_factory=dict)
    stuck: tuple[Stuck, ...] = ()
    parked: int = 0
    unproven: tuple[str, ...] = ()
    stuck_after: float = 600.0

    @property
    def states(self) -> list[ServiceState]:
        """The states of the services that answered."""
        return [answer.state for answer in self.services.values() if answer.state is not None]

    def state_of(self, service: str) -> ServiceState | None:
        """One service's state, if it answered."""
        answer = self.services.get(service)
        return None if answer is None else answer.state
