"""The last day of a cluster's nodes as lines, for drawings in SVG: one picture for each thing that was measured, a line for each node.

What a picture shows is said beside it in words: the last, the least and the most of each node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 640, 150, 56, 10, 22
DAY = timedelta(days=1)
# Two samples that are further apart have something between them of which nothing is known.
GAP = timedelta(minutes=25)
# As many looks as lines can be told apart by; a sixth node has the first one's again.
LOOKS = 5


@dataclass(frozen=True)
class Kind:
    """What was measured: its name among samples, its heading, its unit, and the least that the height has to stand for."""

    name: str
    title: str
    unit: str
    least: float


KINDS = (
    Kind("load", "Load", "", 1.0), Kind("disk_free_percent", "Disk that is free", " %", 100.0),
    Kind("lag_seconds", "Lag of replicas", " s", 1.0), Kind("connections", "Connections", "", 10.0),
    Kind("operations_per_second", "Operations a second", "", 1.0),
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A node's: its name, the number of its look, the pieces of the line as SVG has them, and its figures in words."""

    name: str
    look: int
    pieces: tuple[str, ...]
    last: str
    least: str
    most: str


@dataclass(frozen=True)
class Plot:
    """A picture: what it is of, what stands at its top, its lines."""

    kind: Kind
    top: str
    lines: tuple[Line, ...]


def drawn(nodes: Sequence[Mapping[str, Any]], now: datetime) -> list[Plot]:
    """What was measured of any node at all, in an order that is always the same."""
    return [plot for kind in KINDS if (plot := _plot(kind, nodes, now))]


def _plot(kind: Kind, nodes: Sequence[Mapping[str, Any]], now: datetime) -> Plot | None:
    series = [(number, node["name"], _points(kind, node)) for number, node in enumerate(nodes)]
    there = [(number, name, points) for number, name, points in series if points]
    if not there:
        return None
    top = max(kind.least, *(value for _, _, points in there for _, value in points))
    lines = tuple(
        Line(name, number % LOOKS, tuple(_pieces(points, top, now)), *(_figure(one, kind) for one in _figures(points)))
        for number, name, points in there
    )
    return Plot(kind, _figure(top, kind), lines)


def _points(kind: Kind, node: Mapping[str, Any]) -> list[tuple[datetime, float]]:
    return [
        (datetime.fromisoformat(one["at"]), one[kind.name]) for one in node["samples"] if one[kind.name] is not None
    ]


def _figures(points: Sequence[tuple[datetime, float]]) -> tuple[float, float, float]:
    values = [value for _, value in points]
    return values[-1], min(values), max(values)


def _pieces(points: Sequence[tuple[datetime, float]], top: float, now: datetime) -> list[str]:
    """Lines through the points, broken where nothing is known for a while."""
    pieces: list[list[str]] = []
    before: datetime | None = None
    for at, value in points:
        if before is None or at - before > GAP:
            pieces.append([])
        x = LEFT + (1 - (now - at) / DAY) * (WIDTH - LEFT)
        y = TOP + (1 - min(value, top) / top) * (HEIGHT - TOP - BOTTOM)
        pieces[-1].append(f"{x:.0f},{y:.0f}")
        before = at
    # A point by itself is a line of no length, whose round ends are seen.
    return [" ".join(piece if len(piece) > 1 else piece * 2) for piece in pieces]


def _figure(value: float, kind: Kind) -> str:
    return f"{value:.0f}{kind.unit}" if value >= 100 or value == int(value) else f"{value:.2g}{kind.unit}"
