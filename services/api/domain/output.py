"""What commands have printed, put together from pieces in whatever order they come."""

from __future__ import annotations

from collections.abc import Sequence

# Of a longer output the end is kept.
KEPT = 262_144
# A piece finds its place among so many that came last: as many replicas of a service as take them in side by side.
REMEMBERED = 100
# The sequence of a piece, and its length.
Mark = Sequence[int]


def with_piece(text: str, marks: Sequence[Mark], sequence: int, piece: str) -> tuple[str, list[Mark]]:
    """The text with one more piece in its place, and the marks of the last pieces, oldest first."""
    later = [mark for mark in marks if mark[0] > sequence]
    earlier = list(marks[: len(marks) - len(later)])
    place = max(0, len(text) - sum(mark[1] for mark in later))
    whole = text[:place] + piece + text[place:]
    return whole[-KEPT:], [*earlier, [sequence, len(piece)], *later][-REMEMBERED:]
