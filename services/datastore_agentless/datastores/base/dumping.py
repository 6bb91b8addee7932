"""The port of a dump: one engine's data as one stream that is consistent in itself, and data made of such a stream again.

A manager names its class in `dumping_class`. The lines of `sends` and `receives` are bash, run as root inside one pipeline with
`set -euo pipefail`: the exit status of each of their commands counts. Neither touches what serves.

Data that are whole lie beside those that serve, in `<data>.restored`, and have that name only then: `take_over` believes it.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Phase, Run, Script, quote
from shared.secrets import Secret

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.base.increments import Increments
    from services.datastore_agentless.datastores.base.manager import BaseManager

# In data that came from a stream: beside a restored folder that is gone, it says that they have been put in their place.
RESTORED = "dtrove-restored"
GB = 1024**3
# What `sends` ends with where the stream is of no use, and another one, a moment later, may well be.
SEND_ANEW = 11
# What a tar file has of each file beside its bytes: a header, and what fills its last block.
_PER_FILE = 1024
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_WELL = "10485760 300 10737418240\n"


@dataclass(frozen=True)
class Mark:
    """Where an engine stood at a moment: `position` in its own words, `at` by the host's clock, RFC 3339 in UTC."""

    engine: str
    position: str
    at: str


class Dumping(ABC):
    """How one engine's data leave a node whole, and come to another. Scripts are find-or-do, as a manager's."""

    # What a node needs for it beside the database.
    packages: Sequence[str] = ()
    # What lies in the data's folder and is not sent.
    unsent: Sequence[str] = ()
    # What belongs to the data, and goes with them where others take their place: by its ending, where it lies beside their folder, as
    # `archive` does in `<data>.archive`; and files elsewhere.
    beside: Sequence[str] = ()
    outside: Sequence[str] = ()
    # Why there are no incremental backups, as the end of a sentence about the datastore; empty where there are `increments`.
    full_only: str = "has no incremental backups: each of them is a full one"

    def __init__(self, manager: BaseManager) -> None:
        self.manager = manager

    @property
    def increments(self) -> Increments | None:
        """How what has changed since a backup is kept by itself; None: nobody knows."""
        return None

    def ready(self, node: Instance) -> Script:
        """Before `sends` or `receives`: see that the node has what they need."""
        yield from self.manager.install_packages(node, self.packages)

    def login(self, node: Instance) -> Secret:
        """One line that `sends` finds in the variable `login` of its shell, which is not exported; empty where it asks for none.

        Whoever runs it reads that line from the job's standard input.
        """
        return Secret("")

    @abstractmethod
    def mark(self, node: Instance) -> Script:
        """Where the engine stands now; returns a Mark."""

    def size(self, node: Instance) -> Script:
        """How many bytes the stream has at most, before it is compressed: an estimate from above, as an int.

        What is written while it is read can come on top: a gigabyte or half as much again, never more than the disk has room for.
        """
        data, left_out = self._data(node), " ".join(f"--exclude={quote(one)}" for one in self.unsent)
        told = yield Run(_SIZE.format(data=data, left_out=left_out), title="see how large the data are", changes=False,
                         sample=_WELL, timeout=300)  # fmt: skip
        try:
            size, files, free = map(int, told.text.split())
        except ValueError as error:
            raise CommandFailed(f"{node.name} does not say how large its data are: {told.text[:100]!r}", code=1,
                                what_to_do="see that du and df work on the host") from error  # fmt: skip
        return size + files * _PER_FILE + min(free, max(GB, size // 2))

    def room(self, node: Instance) -> Script:
        """How many bytes restored data may have on a node, as an int: what is free, and what a restore has filled of it so far."""
        told = yield Run(_ROOM.format(data=self._data(node)), title="see how much room there is", changes=False,
                         sample="10737418240 0\n", timeout=300)  # fmt: skip
        try:
            free, filled = map(int, told.text.split())
        except ValueError as error:
            raise CommandFailed(f"{node.name} does not say how much room it has: {told.text[:100]!r}", code=1,
                                what_to_do="see that du and df work on the host") from error  # fmt: skip
        return free + filled

    @abstractmethod
    def sends(self, node: Instance) -> str:
        """What prints the stream. It leaves nothing behind, also where it is ended half-way."""

    @abstractmethod
    def receives(self, node: Instance) -> str:
        """What reads the stream and makes data of it, in a folder of their own beside those that serve. Begins anew each time."""

    def take_over(self, node: Instance) -> Script:
        """Put the data that `receives` has made in the place of the node's own, at one stroke, and start the engine on them.

        Also where that is done already. Users come with the data: the administrator's login is set by `secure` afterwards.
        Raises CommandFailed where there is nothing to take over, Retryable while the engine still reads what it was given.
        """
        data = self._data(node)
        there = yield Run(
            _LOOK.format(data=data, mark=RESTORED), title="see what was restored", changes=False, sample="yes\n"
        )
        if there.text == "yes":
            yield Phase("putting the restored data in their place")
            yield from self.manager.stop()
            yield from self.stopped(node)
            yield Run(_TAKE_OVER.format(data=data), title="put the restored data in their place", timeout=120)
        yield Phase("starting the database on the restored data")
        yield from self.manager.start()
        yield from self.started(node)

    def stopped(self, node: Instance) -> Script:
        """Before the data change places, while no engine runs: what lies outside of them."""
        yield from ()

    @abstractmethod
    def started(self, node: Instance) -> Script:
        """On the engine that has begun on the restored data: see that it has them, follows nobody, and takes writes."""

    def _data(self, node: Instance) -> str:
        return quote(self.manager.data_path(node))


def mark_of(told: str, engine: str) -> Mark:
    """The mark in a line `version|position|at`. Raises CommandFailed for anything else."""
    version, *rest = told.split("|")
    if len(rest) != 2 or not _RFC_3339.fullmatch(rest[1]):
        raise CommandFailed(f"the database does not say where it stands: {told[:200]!r}", code=1,
                            what_to_do="look at the database's own log")  # fmt: skip
    return Mark(f"{engine} {version}", *rest)


# What comes and goes meanwhile is no trouble.
_SIZE = """size=$(du -s -B1 --apparent-size {left_out} {data} 2>/dev/null | cut -f 1)
files=$(find {data} 2>/dev/null | wc -l); free=$(df -B1 --output=avail {data} | tail -n 1)
echo "$size $files $free"
"""

_ROOM = """filled=$(du -c -s -B1 {data}.restor* 2>/dev/null | tail -n 1 | cut -f 1)
echo "$(df -B1 --output=avail "$(dirname {data})" | tail -n 1) ${{filled:-0}}"
"""

_LOOK = """if [ -d {data}.restored ]; then echo yes
elif [ -f {data}/{mark} ]; then echo done
else echo 'nothing was restored' >&2; exit 1
fi"""

_TAKE_OVER = """if [ -d {data}.restored ]; then
  rm -rf {data}.old; [ ! -d {data} ] || mv {data} {data}.old; mv {data}.restored {data} && sync -f {data} || exit 1
fi
rm -rf {data}.old"""
