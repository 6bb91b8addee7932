"""The report: a table for people, one JSON document for programs."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.figures import Breakdown, Line, Outcome

HELD = {True: "[green]held[/]", False: "[bold red]missed[/]", None: "[dim]–[/]"}
_ROOT = Path(__file__).parent.parent


def show(outcomes: Mapping[str, Outcome], broken: Sequence[str], console: Console) -> None:
    """Print the lines of every part, then what explains them."""
    table = Table(header_style="bold", show_edge=False, pad_edge=False)
    for name in ("part", "what", "figure", "baseline", "ratio", "target", "held"):
        right = name in ("figure", "ratio")
        table.add_column(name, justify="right" if right else "left", no_wrap=right, ratio=3 if name == "what" else None)
    for part, outcome in outcomes.items():
        for line in outcome.lines:
            table.add_row(part, *cells(line))
        table.add_section()
    console.print(table)
    for outcome in outcomes.values():
        for breakdown in outcome.breakdowns:
            console.print()
            console.print(_explained(breakdown))
    notes = [note for outcome in outcomes.values() for note in outcome.notes]
    if notes:
        console.print()
    for note in notes:
        console.print(f"• {note}", highlight=False, markup=False)
    console.print()
    console.print(verdict(outcomes, broken))


def cells(line: Line) -> tuple[str, ...]:
    """A line as the table shows it."""
    baseline = "–" if line.baseline is None else f"{number(line.baseline)} {line.unit}"
    return (
        line.what, f"{number(line.figure)} {line.unit}", f"{baseline} ({line.against})" if line.against else baseline,
        "–" if line.ratio is None else f"{line.ratio:.2f} ×", line.target.words if line.target else "–",
        HELD[line.held],
    )  # fmt: skip


def verdict(outcomes: Mapping[str, Outcome], broken: Sequence[str] = ()) -> str:
    """One sentence on the targets, and on parts that gave no figure."""
    if broken:
        return f"broken, so without a figure: {', '.join(broken)}; {verdict(outcomes)}"
    lines = [line for outcome in outcomes.values() for line in outcome.lines if line.target is not None]
    missed = [line.what for line in lines if not line.held]
    if not missed:
        return f"all {len(lines)} targets held"
    return f"{len(missed)} of {len(lines)} targets missed: {'; '.join(missed)}"


def document(outcomes: Mapping[str, Outcome], broken: Sequence[str], began: datetime) -> dict[str, Any]:
    """The whole report as JSON."""
    parts = {
        part: {
            "lines": [line.document() for line in outcome.lines],
            "breakdowns": [breakdown.document() for breakdown in outcome.breakdowns],
            "notes": list(outcome.notes), **outcome.facts,
        } for part, outcome in outcomes.items()
    }  # fmt: skip
    return {
        "benchmark": "dtrove", "began_at": began.isoformat(), "ended_at": datetime.now(UTC).isoformat(),
        "commit": commit(), "machine": machine(), "parts": parts, "broken": list(broken),
        "targets_held": not broken and all(line.held is not False for outcome in outcomes.values() for line in outcome.lines),
    }  # fmt: skip


def number(value: float) -> str:
    """A figure as short as it still says something."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    cpu = re.search(r"model name\s*:\s*(.+)", _text("/proc/cpuinfo"))
    memory = re.search(r"MemTotal:\s*(\d+)", _text("/proc/meminfo"))
    system = re.search(r'PRETTY_NAME="(.+)"', _text("/etc/os-release"))
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "cpu": cpu[1] if cpu else platform.processor(), "memory_mb": int(memory[1]) // 1024 if memory else None,
        "system": system[1] if system else platform.platform(), "kernel": platform.release(),
        "python": platform.python_version(),
    }  # fmt: skip


def commit() -> str:
    """What was measured; empty outside a checkout."""
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def _explained(breakdown: Breakdown) -> Table:
    table = Table(title=breakdown.title, title_justify="left", header_style="bold", show_edge=False, pad_edge=False)
    for position, name in enumerate(breakdown.columns):
        table.add_column(name, justify="right" if position else "left")
    for row in breakdown.rows:
        table.add_row(*(one if isinstance(one, str) else number(one) for one in row))
    return table


def _text(path: str) -> str:
    file = Path(path)
    return file.read_text(errors="replace") if file.exists() else ""
