"""The port of a replay: data that came from a backup take the log that was kept after it, up to a moment.

A manager that has an archive names its class in `replaying_class`. What the log consists of is in datastores.base.archiving. Its
pieces lie on the node in a folder beside the data to come; the data that they are for are unpacked and taken to the moment by one
job, so that what has the name of restored data is always whole. Scripts are find-or-do, as a manager's; lines of bash run as
those of `Dumping` do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.dumping import RESTORED
from services.datastore_agentless.domain.archive import LogRun, Stretch
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Run, Script, quote

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.base.manager import BaseManager


@dataclass(frozen=True)
class Place:
    """A piece of a line, by its number; or, where numbers do not tell, how far the engine's history had come, in its own words."""

    line: str
    number: int
    position: str = ""


@dataclass(frozen=True)
class Replay:
    """How far the log is taken: what was committed at `moment` or before is there, and nothing that was committed later.

    An engine whose log counts whole seconds has what was committed before the moment's second, and nothing of that second. `line` is
    the last one on the way there, and `last` the name of the last piece that lies on the node; `runs` are all that do, in order.
    """

    moment: datetime
    line: str
    last: str
    runs: tuple[LogRun, ...] = ()


class Replaying(ABC):
    """How one engine's data take the log that was kept of it."""

    def __init__(self, manager: BaseManager) -> None:
        self.manager = manager

    @abstractmethod
    def needs_from(self, node: Instance) -> Script:
        """From where on a backup that begins now needs the log, at the earliest; returns a Place."""

    @abstractmethod
    def came_from(self, stretch: Stretch, others: Sequence[Stretch]) -> Stretch | None:
        """Which of these one goes on from without a hole, as much of it as leads there; None where it is none of them."""

    @abstractmethod
    def after(self, place: Place, stretch: Stretch) -> Stretch | None:
        """What there is of a stretch from a place on; None where the place is not in it."""

    @abstractmethod
    def comes_next(self, place: Place, newest: Stretch) -> bool:
        """Whether a stretch ends right before a place, or a while before it on the same way."""

    def needed(self, run: LogRun, place: Place, stretch: Stretch) -> bool:
        """Whether a run of a stretch has anything that data lack which came from that place."""
        return True

    def free(self, node: Instance) -> Script:
        """How many bytes there are for the data and the log; returns None where one or the other lies there already."""
        where = {"data": quote(self.manager.data_path(node)), "log": self._log(node), "mark": RESTORED}
        told = yield Run(_FREE.format(**where), title="see how much room there is for the data and the log", changes=False,
                         sample="begun\n")  # fmt: skip
        return None if told.text == "begun" else int(told.text)

    @abstractmethod
    def takes_in(self, node: Instance) -> str:
        """What reads a stream that `Archiving.sends` has made, and puts its pieces beside the data to come."""

    @abstractmethod
    def receives(self, node: Instance, replay: Replay, count: int) -> str:
        """As `Increments.receives`, of `count` streams; then the data take the log. Ends in an error unless they have come to the moment.

        A moment after which nothing was committed is reached with the end of the log.
        """

    def forget(self, node: Instance) -> Script:
        """Keep no piece beside the data."""
        yield Run(f"rm -rf {self._log(node)}", title="remove the log that was replayed", timeout=300)

    def _log(self, node: Instance) -> str:
        """The folder of the pieces, for the shell."""
        return quote(f"{self.manager.data_path(node)}.log")


_FREE = """d={data}
if [ -e {log} ] || [ -e "$d.restored" ] || [ -e "$d/{mark}" ]; then echo begun
else df -B1 --output=avail "$(dirname "$d")" | tail -n 1 | tr -d ' '; fi"""
