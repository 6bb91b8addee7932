"""The port of a replay: data that came from a backup take the log that was kept after it, up to a moment.

A manager that has an archive names its class in `replaying_class`. What the log consists of is in datastores.base.archiving. Its
pieces lie on the node in a folder beside the data to come; the data that they are for are unpacked and taken to the moment by one
job, so that what has the name of restored data is always whole. Scripts are find-or-do, as a manager's; lines of bash run as
those of `Dumping` do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Script

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.base.manager import BaseManager


@dataclass(frozen=True)
class Place:
    """A piece of a line, by its number."""

    line: str
    number: int


@dataclass(frozen=True)
class Replay:
    """How far the log is taken: what was committed at `moment` or before is there, and nothing that was committed later.

    `line` is the last one on the way there, and `last` the name of the last piece that lies on the node.
    """

    moment: datetime
    line: str
    last: str


class Replaying(ABC):
    """How one engine's data take the log that was kept of it."""

    def __init__(self, manager: BaseManager) -> None:
        self.manager = manager

    @abstractmethod
    def needs_from(self, node: Instance) -> Script:
        """From which piece on a backup that begins now needs the log, at the earliest; returns a Place.

        Has the engine write down first what it holds in memory, as a backup does that begins.
        """

    @abstractmethod
    def came_from(self, line: str, others: Collection[str]) -> str:
        """Which of these lines one goes on from; empty where it is none of them."""

    @abstractmethod
    def free(self, node: Instance) -> Script:
        """How many bytes there are for the data and the log; returns None where one or the other lies there already."""

    @abstractmethod
    def takes_in(self, node: Instance) -> str:
        """What reads a stream that `Archiving.sends` has made, and puts its pieces beside the data to come."""

    @abstractmethod
    def receives(self, node: Instance, replay: Replay) -> str:
        """As `Dumping.receives`; then the data take the log. Ends in an error unless they have come to the moment.

        A moment after which nothing was committed is reached with the end of the log.
        """

    @abstractmethod
    def forget(self, node: Instance) -> Script:
        """Keep no piece beside the data."""
