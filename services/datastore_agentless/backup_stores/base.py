"""The port of a backup store: where the parts of a backup lie, and how a node gets them there and back.

A backup is one stream that a node has compressed and encrypted, cut into parts of `part_bytes` (the last may be smaller). To an
object store the node itself brings each part, by a URL that is good for this part alone and for some hours; to a store that lies
beside DTrove a carrier fetches them (`carried`). What a method asks for may be there already, or gone already: each is
find-or-do, and raises Retryable where the store does not answer, Failure where it refuses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

from services.datastore_agentless.hosts.base import Target
from shared.errors import Failure
from shared.secrets import Secret

MB = 1024 * 1024


class Damaged(Failure):
    """What a store has under `key` is not what was put there, or is not there. Never raised for a store that does not answer, or
    that nobody can say of whether it is the right one.
    """

    def __init__(self, message: str, *, key: str, stderr: str = "", what_to_do: str = "") -> None:
        super().__init__(message, stderr=stderr, what_to_do=what_to_do or "restore another backup, and back up anew")
        self.key = key


@dataclass(frozen=True)
class Part:
    """A part that is where it is to be: `number` counts from 1, `sha256` in hexadecimal; `tag` is the store's own word for it."""

    number: int
    size: int
    sha256: str
    tag: str = ""


@dataclass(frozen=True)
class Sending:
    """How a node is to deliver a backup's parts.

    `urls` has a line for each part that there may be, in order, to PUT it to: secret, for who has one may write. Empty: the node
    keeps the parts in the folder `spool`, at most `spooled` of them at a time, until the carrier has them. `token` is the store's
    word for what is begun, for `finish` and `abandon`.
    """

    part_bytes: int
    urls: Secret = field(default_factory=lambda: Secret(""))
    token: str = ""
    spool: str = ""
    spooled: int = 3


@dataclass(frozen=True)
class Stream:
    """One backup of several that are read one after the other: its key, and how many parts it has."""

    key: str
    count: int


@dataclass(frozen=True)
class Fetching:
    """How a node is to get a backup's parts: a URL to GET each from, in order, or the folder `spool` that the carrier fills.

    Where all parts are one object, its URL is followed by a blank and the range of bytes to ask for, as in `https://... 0-99`.
    `sources` is where the store itself has each part, for its carrier. With `streams` these are the parts of several backups, each one's
    behind those of the one before it, and numbered all through.
    """

    parts: Sequence[Part]
    urls: Secret = field(default_factory=lambda: Secret(""))
    spool: str = ""
    spooled: int = 3
    sources: tuple[str, ...] = ()
    streams: tuple[Stream, ...] = ()


@dataclass(frozen=True)
class Content:
    """Where all parts of a backup can be read as one file: at a `url`, which is good for some time, or in these `files` beside DTrove,
    one after the other.
    """

    url: Secret = field(default_factory=lambda: Secret(""))
    files: Sequence[str] = ()


class BackupStore(ABC):
    """One store. `key` names a backup in it, as in `project/cluster/backup`."""

    # What may be stored at once, in bytes, by one part; a store with rules about it says others.
    part_bytes: int = 64 * MB

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def begin(self, key: str, stream_bytes: int, token: str = "") -> Sending:
        """Make ready for a stream of at most `stream_bytes`. With the `token` of a beginning of before, that one goes on."""

    @abstractmethod
    def finish(self, key: str, token: str, parts: Sequence[Part], manifest: bytes) -> None:
        """All parts are there: keep them, with the manifest beside. Raises Failure where one is missing, or is not as it should be."""

    @abstractmethod
    def abandon(self, key: str, token: str) -> None:
        """Nothing came of it: keep nothing."""

    @abstractmethod
    def fetching(self, key: str, parts: Sequence[Part]) -> Fetching:
        """How a node gets the parts back. Raises Damaged where one of them is missing, or is not as large as it was."""

    def fetching_all(self, backups: Sequence[tuple[str, Sequence[Part]]]) -> Fetching:
        """How a node gets several backups back by one job, one after the other, by their keys. Raises Damaged where a part is missing."""
        ways = [self.fetching(key, parts) for key, parts in backups]
        if len(ways) == 1:
            return ways[0]
        parts = [part for way in ways for part in way.parts]
        return Fetching(
            tuple(replace(part, number=number) for number, part in enumerate(parts, 1)),
            Secret("\n".join(filter(None, (way.urls.reveal() for way in ways)))), ways[-1].spool, ways[-1].spooled,
            tuple(source for way in ways for source in way.sources),
            tuple(Stream(key, len(parts)) for key, parts in backups),
        )  # fmt: skip

    @abstractmethod
    def content(self, key: str, parts: Sequence[Part], name: str) -> Content:
        """Where who has no DTrove gets all of it as one file, called `name`. Raises Damaged where a part is missing."""

    @abstractmethod
    def manifest(self, key: str) -> bytes:
        """What `finish` kept beside the parts. Raises NotFound."""

    @abstractmethod
    def remove(self, key: str) -> None:
        """Keep nothing of this backup; fine when there is nothing."""

    @abstractmethod
    def reach(self) -> None:
        """See that the store answers, and that it can be written to. Raises Retryable or Failure."""

    def carried(self, target: Target, key: str, way: Sending | Fetching) -> AbstractContextManager[Callable[[], None]]:
        """Within this block parts come and go; nothing to do where the node does it itself.

        What the block is given raises as soon as the carrying has failed for good: who waits inside calls it now and then. At the
        block's end the same is raised, where nothing else was.
        """
        return nullcontext(_goes_well)


def _goes_well() -> None:
    """Who brings the parts itself has nobody to ask."""
