"""The picture of a cluster: where its nodes stand, for a drawing in SVG. What it shows stands in the table of nodes as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.api.web.words import LOOKS

WIDTH, HEIGHT, GAP, DROP, MARGIN = 210, 74, 18, 46, 4
SHOWN_CHARACTERS = 24


@dataclass(frozen=True)
class Box:
    """A node: where it stands, its name (cut, and whole), what it is and how, and how far behind."""

    x: int
    y: int
    name: str
    whole: str
    role: str
    state: str
    look: str
    lag: str


@dataclass(frozen=True)
class Picture:
    """Boxes, and the lines from the primary to those that follow it, each as x1, y1, x2, y2."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    lines: tuple[tuple[int, int, int, int], ...]


def drawn(nodes: Sequence[Mapping[str, Any]], seen: Mapping[str, Mapping[str, Any]]) -> Picture | None:
    """The primary above, those that follow it below; without a primary all in a row. None where there is no node.

    `seen` is how each was seen last, by its id.
    """
    if not nodes:
        return None
    primary = next((one for one in nodes if one["role"] == "primary"), None)
    others = [one for one in nodes if one is not primary]
    columns = max(1, len(others))
    width = columns * WIDTH + (columns - 1) * GAP + 2 * MARGIN
    below = MARGIN + (HEIGHT + DROP if primary else 0)
    boxes = [
        _box(one, seen.get(one["id"]), MARGIN + number * (WIDTH + GAP), below) for number, one in enumerate(others)
    ]
    lines: list[tuple[int, int, int, int]] = []
    if primary is not None:
        x = (width - WIDTH) // 2
        lines = [(x + WIDTH // 2, MARGIN + HEIGHT, box.x + WIDTH // 2, below) for box in boxes]
        boxes.insert(0, _box(primary, seen.get(primary["id"]), x, MARGIN))
    height = (below if others else MARGIN) + HEIGHT + MARGIN
    return Picture(width, height, tuple(boxes), tuple(lines))


def lag(seen: Mapping[str, Any] | None) -> str:
    """How far a node is behind, empty where that is not known."""
    seconds = seen["facts"].get("lag_seconds") if seen else None
    return "" if seconds is None else f"{seconds:.1f} s behind"


def _box(node: Mapping[str, Any], seen: Mapping[str, Any] | None, x: int, y: int) -> Box:
    name = str(node["name"])
    cut = name if len(name) <= SHOWN_CHARACTERS else f"{name[: SHOWN_CHARACTERS - 1]}…"
    # A node that is up is as it was seen; one that is not is what became of it.
    state = str(seen["verdict"]) if seen and node["status"] == "active" else str(node["status"])
    look = LOOKS.get(state, "plain")
    return Box(x, y, cut, name, str(node["role"] or "node"), state.replace("_", " "), look, lag(seen))
