"""The picture of a cluster's backups: when which were made, from when to when the log reaches, and which were proved.

What it shows stands in the table of backups as well, and in the sentence above it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

WIDTH, LEFT, RIGHT, ROW, TOP = 900, 110, 20, 30, 20
ROWS = ("full", "incremental", "log", "proofs")
# A single moment has no length to be drawn to.
SHORTEST = 60.0
GONE = ("deleting", "deleted")


@dataclass(frozen=True)
class Mark:
    """Something at a moment: where it stands, its look, and what it is in words."""

    x: int
    y: int
    look: str
    words: str


@dataclass(frozen=True)
class Timeline:
    """Rows by name and height, marks, bars as x, width and height, and when it begins and ends."""

    width: int
    height: int
    rows: tuple[tuple[str, int], ...]
    marks: tuple[Mark, ...]
    bars: tuple[tuple[int, int, int], ...]
    since: str
    until: str


def drawn(backups: Sequence[Mapping[str, Any]], restorable: Mapping[str, Any] | None) -> Timeline | None:
    """The oldest at the left. None where there is nothing to draw."""
    there = [one for one in backups if one["status"] not in GONE]
    if not there:
        return None
    windows = restorable["windows"] if restorable else ()
    proofs = [(one, proof) for one in there if (proof := one["verification_failed"] or one["verified"])]
    stamps = sorted([_at(one) for one in there] + [one[1]["at"] for one in proofs]
                    + [stamp for one in windows for stamp in (one["since"], one["until"])], key=datetime.fromisoformat)  # fmt: skip
    first, last = datetime.fromisoformat(stamps[0]), datetime.fromisoformat(stamps[-1])
    whole = max(SHORTEST, (last - first).total_seconds())

    def x(stamp: str) -> int:
        share = (datetime.fromisoformat(stamp) - first).total_seconds() / whole
        return LEFT + round(share * (WIDTH - LEFT - RIGHT))

    heights = {name: TOP + number * ROW for number, name in enumerate(ROWS)}
    marks = [
        Mark(x(_at(one)), heights[one["kind"]], _look(one), f"{one['kind']}, {one['status']}, {_at(one)[:16]}")
        for one in there
    ]
    marks += [
        Mark(x(proof["at"]), heights["proofs"], "bad" if one["verification_failed"] else "good",
             f"proof {'failed' if one['verification_failed'] else 'passed'}, {proof['at'][:16]}")
        for one, proof in proofs
    ]  # fmt: skip
    bars = tuple((x(one["since"]), max(2, x(one["until"]) - x(one["since"])), heights["log"]) for one in windows)
    return Timeline(
        WIDTH, TOP + len(ROWS) * ROW + ROW // 2, tuple(heights.items()), tuple(marks), bars, stamps[0], stamps[-1]
    )


def _at(backup: Mapping[str, Any]) -> str:
    """The moment that it has the data of, or at least when it was asked for."""
    return str((backup["facts"] or {}).get("ended_at") or backup["created_at"])


def _look(backup: Mapping[str, Any]) -> str:
    return {"completed": "good", "failed": "bad"}.get(backup["status"], "busy")
