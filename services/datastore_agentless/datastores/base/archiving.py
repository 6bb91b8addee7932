"""The port of an archive: how the pieces of an engine's log come to lie where DTrove fetches them, and what is known of them.

A manager names its class in `archiving_class`. What an engine writes down before it does it is its log; a piece of that is
finished once nothing comes to it any more. Finished pieces lie in a spool on their node, until DTrove has let the node go of
them: an engine whose spool is full keeps its log itself. Scripts are find-or-do, as a manager's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.datastore_agentless.domain.archive import LogRun
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Script

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.base.manager import BaseManager

# A piece in which something was written is finished after so many seconds, be it full or not.
PIECE_SECONDS = 60
# So many pieces wait on a node at most, beside the log that the engine keeps itself.
SPOOLED = 64
# Where less of the volume is left, in percent, pieces are given up: a full disk would end the database.
SPARED_PERCENT = 10


@dataclass(frozen=True)
class Piece:
    """A finished piece. `line` is what one writer has written without an interruption, `number` counts up by one within it.

    `at` is when it was finished, at the latest, by the host's clock in seconds since 1970; nothing in it is younger. `begins` and
    `ends` are how far the engine's history had come before it and with it, in the engine's own words; empty where numbers tell.
    """

    line: str
    number: int
    name: str
    size: int
    at: float
    begins: str = ""
    ends: str = ""


@dataclass(frozen=True)
class Spool:
    """What a look at a node has found, at `at` by the host's clock. `line` is what the engine writes now, empty where it only follows.

    `runs` is whether the engine archives as it runs; else it does from its next start. `pieces` wait for DTrove, in the order of their
    line and number; `beside` are files that go along with the pieces of a line. `waiting` pieces are finished that the engine
    has not put there yet, `failing` is its trouble with that. `lost` are pieces that were given up.
    """

    at: float
    line: str = ""
    runs: bool = True
    pieces: tuple[Piece, ...] = ()
    beside: tuple[tuple[str, str], ...] = ()
    waiting: int = 0
    failing: str = ""
    lost: tuple[str, ...] = ()

    @property
    def covers(self) -> float | None:
        """Until when all that was acknowledged is in pieces, once those of this look are safe; None: the engine is behind."""
        behind = not self.runs or self.waiting or self.failing or self.lost
        return None if behind else self.at - PIECE_SECONDS


class Archiving(ABC):
    """How one engine's log is kept."""

    # What a node needs for it beside the database.
    packages: Sequence[str] = ()

    def __init__(self, manager: BaseManager) -> None:
        self.manager = manager

    @abstractmethod
    def begin(self, node: Instance) -> Script:
        """From now on have finished pieces put into the spool; an engine that cannot before its next start does so from then on.

        For each node, also those that follow: one of them may lead at any time.
        """

    @abstractmethod
    def end(self, node: Instance) -> Script:
        """Put none there any more, and keep none."""

    @abstractmethod
    def look(self, node: Instance) -> Script:
        """See what lies there; returns a Spool. Raises CommandFailed where what is said cannot be read.

        An engine that lets a piece grow for as long as it likes is told to finish one that is old enough; nothing else is changed.
        """

    @abstractmethod
    def sends(self, node: Instance, names: Sequence[str]) -> str:
        """What prints these files of the spool as one stream: bash, as `Dumping.sends`."""

    @abstractmethod
    def joins(self, newest: LogRun, first: Piece) -> bool:
        """Whether a piece goes on, without a hole, where the newest run ended, which is of another line or of another node."""

    def has(self, newest: LogRun, piece: Piece) -> bool:
        """Whether all that is in a piece is safe already, as that of another line."""
        return False

    @abstractmethod
    def let_go(self, node: Instance, names: Sequence[str]) -> Script:
        """Remove these from the spool: they are safe, or known to be lost."""


def runs(pieces: Iterable[Piece], most: int) -> list[tuple[Piece, ...]]:
    """Pieces in runs that follow each other without a hole, each of one line and at most so long."""
    found: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda one: (one.line, one.number)):
        last = found[-1][-1] if found else None
        joins = last is not None and last.line == piece.line and last.number + 1 == piece.number
        if joins and len(found[-1]) < most:
            found[-1].append(piece)
        else:
            found.append([piece])
    return [tuple(one) for one in found]
