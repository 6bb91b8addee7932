"""The arithmetic of the benchmark: percentiles, ratios, targets, and a line of the report."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which `percent` of a sample lie, between neighbours in proportion. Raises ValueError for none.

    Source: Hyndman and Fan, "Sample Quantiles in Statistical Packages" (1996), definition 7, numpy's default.
    """
    if not values:
        raise ValueError("there is no percentile of nothing")
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low, high = math.floor(place), math.ceil(place)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def median(values: Sequence[float]) -> float:
    """The middle value. Raises ValueError for none."""
    return percentile(values, 50)


def ratio(figure: float, baseline: float | None) -> float | None:
    """How many times the baseline the figure is; None without a baseline that can divide."""
    return figure / baseline if baseline else None


@dataclass(frozen=True)
class Target:
    """What a figure should come to. `holds` is given the figure and its baseline, in the figure's unit."""

    words: str
    holds: Callable[[float, float | None], bool]


def at_most(limit: float, unit: str) -> Target:
    """The figure stays at or below `limit`."""
    return Target(f"≤ {limit:g} {unit}", lambda figure, _: figure <= limit)


def ratio_at_least(limit: float) -> Target:
    """The figure is at least `limit` times its baseline."""
    return Target(f"≥ {limit:g} ×", lambda figure, baseline: bool(baseline) and figure >= limit * (baseline or 0.0))


def ratio_at_most(limit: float, more: float = 0.0, unit: str = "") -> Target:
    """The figure is at most `limit` times its baseline, and `more` of its unit on top."""
    words = f"≤ {limit:g} ×" + (f" + {more:g} {unit}" if more else "")
    return Target(words, lambda figure, baseline: baseline is not None and figure <= limit * baseline + more)


@dataclass(frozen=True)
class Line:
    """One line of the report. `against` says in words what the baseline is, which has the same unit as the figure."""

    what: str
    figure: float
    unit: str
    baseline: float | None = None
    against: str = ""
    target: Target | None = None

    @property
    def ratio(self) -> float | None:
        """Figure by baseline."""
        return ratio(self.figure, self.baseline)

    @property
    def held(self) -> bool | None:
        """Whether the target was met; None where there is none."""
        return None if self.target is None else self.target.holds(self.figure, self.baseline)

    def document(self) -> dict[str, Any]:
        """The line as JSON."""
        return {
            "what": self.what, "figure": rounded(self.figure), "unit": self.unit, "baseline": rounded(self.baseline),
            "against": self.against or None, "ratio": rounded(self.ratio),
            "target": self.target.words if self.target else None, "held": self.held,
        }  # fmt: skip


@dataclass(frozen=True)
class Breakdown:
    """A table that shows where a figure comes from: a title, names of columns, rows of text and numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float, ...], ...]

    def document(self) -> dict[str, Any]:
        """The table as JSON."""
        return {"title": self.title, "rows": [dict(zip(self.columns, row, strict=True)) for row in self.rows]}


@dataclass(frozen=True)
class Outcome:
    """What a part of the benchmark has found; `facts` go into the JSON document alone."""

    lines: tuple[Line, ...]
    breakdowns: tuple[Breakdown, ...] = ()
    notes: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


def rounded(value: float | None) -> float | None:
    """Four figures that mean something; more would be noise."""
    if value is None or value == 0 or not math.isfinite(value):
        return value
    return round(value, 3 - math.floor(math.log10(abs(value))))
