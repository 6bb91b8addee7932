"""Reading the end of a log, and what comes after it: where a reader is, and which lines a piece of the file holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

# What one look fetches at most; whoever is further behind than that skips what lies between.
MOST_BYTES, BEHIND_BYTES = 65_536, 1_048_576
# The end of a log, of which the wanted lines are taken.
FIRST_BYTES = 262_144
# What is shown of one line.
LINE_CHARACTERS = 8_192
_IN_LINE = "+"


@dataclass(frozen=True)
class Place:
    """A place in a file: its inode, so that another file of the same name is noticed, and the next byte.

    `in_line`: the line that it is in was too long, and what is left of it is not shown.
    """

    inode: int
    offset: int
    in_line: bool = False

    def __str__(self) -> str:
        return f"{self.inode}:{self.offset}{_IN_LINE if self.in_line else ''}"

    @classmethod
    def parse(cls, text: str) -> Place | None:
        """What `str` has made of one; None for anything else."""
        inode, _, offset = text.removesuffix(_IN_LINE).partition(":")
        if not (inode.isdecimal() and offset.isdecimal()):
            return None
        return cls(int(inode), int(offset), in_line=text.endswith(_IN_LINE))


@dataclass(frozen=True)
class Piece:
    """Bytes of a file from `start`, of `size` bytes in all at that moment; inode 0: there is no such file."""

    inode: int
    start: int = 0
    size: int = 0
    data: bytes = b""

    @property
    def end(self) -> int:
        """The byte after it."""
        return self.start + len(self.data)


@dataclass(frozen=True)
class Reading:
    """Somebody reads a log: its last `lines`, and where he follows it what comes after, `until` then if nobody asks again.

    `place` is empty before the first look; `sequence` numbers what was told.
    """

    id: str
    instance_id: str
    cluster_id: str
    lines: int
    follow: bool
    until: datetime
    place: str = ""
    sequence: int = 0


@dataclass(frozen=True)
class Lines:
    """Whole lines, what is to be said of them, where to go on, and whether more is there already."""

    text: str = ""
    notes: tuple[str, ...] = ()
    place: Place | None = None
    more: bool = False


def lines_of(piece: Piece, before: Place | None, wanted: int, mask: Callable[[str], str], *, follow: bool) -> Lines:
    """The lines of a piece that was read from `before`, or for None from the end of the file: then the last `wanted`.

    A line that is not whole yet is left for the next look, where there is one.
    """
    if piece.inode == 0:
        return Lines(notes=() if before else ("there is no log yet",), place=before)
    notes, begins_in_line = _what_happened(piece, before)
    whole, newline, rest = piece.data.rpartition(b"\n")
    too_long = not newline and len(piece.data) >= MOST_BYTES
    if too_long or not follow:
        whole, rest = piece.data, b""
    lines = whole.removesuffix(b"\n").split(b"\n") if whole or newline else []
    shown = lines[1:] if begins_in_line else lines
    if before is None:
        shown = shown[-wanted:] if wanted else []
    text = mask(b"\n".join(shown).decode(errors="replace"))
    # Masked before it is cut: half a secret would be one that nobody knows.
    told = "".join(f"{_cut(line)}\n" for line in text.split("\n")) if shown else ""
    place = Place(piece.inode, piece.end - len(rest), in_line=too_long)
    return Lines(told, notes, place, more=piece.size > piece.end)


def _what_happened(piece: Piece, before: Place | None) -> tuple[tuple[str, ...], bool]:
    """What became of the file since, and whether the piece begins in the middle of a line."""
    if before is None:
        return (), piece.start > 0
    if piece.inode != before.inode:
        return ("the log was rotated: a new file begins",), False
    if piece.start < before.offset:
        return ("the log was truncated: it begins anew",), False
    if piece.start > before.offset:
        return (f"{piece.start - before.offset} bytes were skipped: the log grows faster than it is read",), True
    return (), before.in_line


def _cut(line: str) -> str:
    return line if len(line) <= LINE_CHARACTERS else f"{line[:LINE_CHARACTERS]} ... (cut)"
