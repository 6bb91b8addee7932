"""Runs the fault suite: `python -m tests.faults [--seeds N] [--calls N] [--short] [--record]`; `--seed N` replays one run.

Tier 0 (simulation) first, then every test that carries the mark `fault`, as often as the report wants, then the calls that
attack the API; then one table. Exit code 1 where a row did not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.report import commit, machine
from tests.faults import report
from tests.simulation.chance import STORMS
from tests.support.installation import ROOT

ABOUT = Console(stderr=True)


def main() -> int:
    """Run what the arguments say."""
    asked = _arguments()
    if asked.seed is not None:
        return subprocess.run(
            [sys.executable, "-m", "tests.simulation", "--seed", str(asked.seed)], cwd=ROOT, check=False
        ).returncode
    began, lines = datetime.now(UTC), list[report.Line]()
    if asked.seeds:
        runs = _told("tests.simulation", "--seeds", str(asked.seeds))
        storms = _told("tests.simulation", "--seeds", str(asked.storms), "--first", str(STORMS))
        for one in (*runs["failed"], *storms["failed"]):
            ABOUT.print(f"seed {one['seed']}: {'; '.join(one['breaches'][:3])}", markup=False)
            ABOUT.print(f"  replay: make faults SEED={one['seed']}", markup=False)
        lines += report.simulated(runs, storms)
    lines += report.measured(_tests(asked), every=not asked.keyword)
    if asked.calls:
        lines += report.attacked(_told("tests.security.calls", "--calls", str(asked.calls)))
    lines.sort(key=lambda line: int(line.row))
    report.show(lines, Console(width=None if sys.stdout.isatty() else 200))
    if asked.record:
        report.record(lines, _heading(began))
    return 1 if any(line.held is False for line in lines) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this run of the simulation alone, line by line")
    parser.add_argument("--seeds", type=int, default=5000, help="runs of the simulation; 0 for none")
    parser.add_argument("--storms", type=int, default=800, help="runs beside them in which processes die all the time")
    parser.add_argument("--calls", type=int, default=report.CALLS_WANTED, help="calls that attack the API; 0 for none")
    parser.add_argument("--short", action="store_true", help="try each fault as often as `make test` does")
    parser.add_argument("--keyword", default="", help="only tests that pytest's -k finds by this")
    parser.add_argument("--record", action="store_true", help="put the table into docs/reliability.md")
    return parser.parse_args()


def _told(module: str, *arguments: str) -> dict[str, Any]:
    """What a program of the suite says as JSON, whether or not everything held."""
    ABOUT.print(f"{module} {' '.join(arguments)}", style="dim")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", module, *arguments, "--json"], cwd=ROOT, stdout=subprocess.PIPE,
        text=True, check=False,
    )  # fmt: skip
    found = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not found:
        raise SystemExit(f"{module} ended with {done.returncode} and told nothing")
    told: dict[str, Any] = json.loads(found[-1])
    return told


def _tests(asked: argparse.Namespace) -> list[str]:
    """Run the marked tests; what they wrote."""
    with tempfile.TemporaryDirectory() as place:
        figures = Path(place) / "figures"
        figures.touch()
        environ = {**os.environ, "DTROVE_FAULTS": "" if asked.short else "long", "DTROVE_FAULTS_FIGURES": str(figures)}
        command = [sys.executable, "-m", "pytest", "-m", "fault", "-p", "no:cacheprovider", "-v", "--timeout", "3600"]
        command += ["-k", asked.keyword] if asked.keyword else []
        ABOUT.print(" ".join(command[1:]), style="dim")
        subprocess.run(command, cwd=ROOT, env=environ, stdout=sys.stderr, check=False)
        return figures.read_text().splitlines()


def _heading(began: datetime) -> str:
    on = machine()
    return (
        f"`{' '.join(['python -m tests.faults', *sys.argv[1:]])}` at {commit() or 'no commit'}, {began:%Y-%m-%d %H:%M} UTC, "
        f"{(datetime.now(UTC) - began).total_seconds() / 60:.0f} min: {on['cores']} cores ({on['cpu']}), {on['memory_mb']} MB, "
        f"{on['system']}, Python {on['python']}."
    )


if __name__ == "__main__":
    sys.exit(main())
