"""What processes take, read from /proc: memory, time on a core, bytes written. Source: proc(5)."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """A process at one moment: resident memory now and at its highest (MB), seconds on a core, MB it sent to disk."""

    rss_mb: float
    peak_mb: float
    cpu_seconds: float
    written_mb: float


def usage(pid: int) -> Usage:
    """What process `pid` takes. Raises OSError when it is gone."""
    place = Path(f"/proc/{pid}")
    status = _fields(place / "status")
    times = (place / "stat").read_text().rpartition(")")[2].split()
    written = _fields(place / "io").get("write_bytes", "0")
    return Usage(
        rss_mb=int(status["VmRSS"].split()[0]) / 1024,
        peak_mb=int(status["VmHWM"].split()[0]) / 1024,
        cpu_seconds=(int(times[11]) + int(times[12])) / TICK,
        written_mb=int(written) / 1e6,
    )


def others_busy(seconds: float = 1.0) -> float:
    """How many percent of the machine's cores are busy while we wait: what else runs here."""
    first = _cores()
    time.sleep(seconds)
    second = _cores()
    total = sum(second) - sum(first)
    idle = second[3] + second[4] - first[3] - first[4]
    return 100.0 * (total - idle) / total if total else 0.0


def _cores() -> list[int]:
    return [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]


def _fields(path: Path) -> dict[str, str]:
    lines = (line.partition(":") for line in path.read_text().splitlines())
    return {name: value.strip() for name, _, value in lines}
