"""What users want of a cluster's parameters: a version of the whole set, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class State(StrEnum):
    """A version is tried; it is what the nodes have, or was; or it was taken back, because it failed or nobody wanted it more."""

    WANTED = "wanted"
    APPLIED = "applied"
    FAILED = "failed"


@dataclass
class Version:
    """One version; its id is the operation's under which it was asked for.

    `wanted` is the whole set that a user has chosen. With `restart_now` engines are restarted for it, node by node; `in_hand` is
    the node whose engine is being restarted, empty for none.
    """

    operation_id: str
    cluster_id: str
    version: int
    at: datetime
    wanted: dict[str, str] = field(default_factory=dict)
    restart_now: bool = False
    author: str = ""
    in_hand: str = ""
    state: State = State.WANTED
