"""Processes that outlive a crash of whoever started them: pid files that say which process they mean."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

LOG_BYTES = 10 * 1024 * 1024
LOG_FILES = 3
FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
# Source: sysexits.h, EX_CONFIG; shared.bus.process ends with it. The same configuration will not be right next time.
WRONG_CONFIGURATION = 78
# A process that has lived this many seconds is well again: its next restart waits for the shortest delay. Whoever is killed
# every quarter of a minute is no worse each time, and is to be back before anybody misses him.
WELL_AFTER = 10.0


def started_at(pid: int) -> str:
    """A text that tells process `pid` from a later one of the same number; empty where it is gone or a zombie."""
    try:
        # Source: proc(5), /proc/<pid>/stat; the name in parentheses may hold blanks.
        rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "" if Path("/proc/self").exists() else _asked_ps(pid)
    return "" if rest[0] in "ZX" else rest[19]


def _asked_ps(pid: int) -> str:
    answer = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return answer.stdout.strip()


@dataclass(frozen=True)
class PidFile:
    """The number and the start time of a process, in a file."""

    path: Path

    def write(self, pid: int) -> None:
        """Name process `pid`."""
        draft = self.path.with_suffix(".new")
        draft.write_text(f"{pid} {started_at(pid)}\n")
        draft.replace(self.path)

    def read(self) -> int | None:
        """The process's number while that very process lives, else None."""
        try:
            pid, _, start = self.path.read_text().strip().partition(" ")
            return int(pid) if start and started_at(int(pid)) == start else None
        except (FileNotFoundError, ValueError):
            return None

    def remove(self) -> None:
        """Forget the process."""
        self.path.unlink(missing_ok=True)


def end(pids: list[int], patience: float = 10.0) -> None:
    """Ask processes (leaders of their groups) to end; kill, group and all, those that live after `patience` seconds."""
    alive = {pid: started_at(pid) for pid in pids}
    for pid in alive:
        _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while _living(alive) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in _living(alive):
        _signal_group(pid, signal.SIGKILL)
    while _living(alive):
        time.sleep(0.05)


def _living(alive: dict[int, str]) -> list[int]:
    for pid in alive:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    return [pid for pid, start in alive.items() if start and started_at(pid) == start]


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)


def rotate(log: Path, limit: int = LOG_BYTES, keep: int = LOG_FILES) -> None:
    """Move a log's content on to `<log>.1` and so forth once it is longer than `limit` bytes.

    The file is emptied, not renamed: the process that appends to it keeps its descriptor.
    """
    if not log.exists() or log.stat().st_size <= limit:
        return
    for number in range(keep - 1, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number + 1}"))
    shutil.copyfile(log, log.with_name(f"{log.name}.1"))
    os.truncate(log, 0)


@dataclass
class Child:
    """One process that is started again when it ends, each time a little later until it stays up."""

    name: str
    command: list[str]
    home: Path
    environ: dict[str, str] = field(repr=False)
    directory: Path = Path()
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    delay: float = 0.0
    due: float = 0.0
    born: float = 0.0

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.home / "logs" / f"{self.name}.log"

    @property
    def pid_file(self) -> PidFile:
        """What names it to others."""
        return PidFile(self.home / "run" / f"{self.name}.pid")

    def start(self) -> None:
        """Start it, in a session of its own so that a Ctrl-C for us is not one for it."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environ,
                cwd=self.directory,
                start_new_session=True,
            )
        self.born = time.monotonic()
        self.pid_file.write(self.process.pid)

    def look(self) -> str:
        """Start it again where it has ended and its delay is over; returns a sentence when it was found dead."""
        rotate(self.log)
        now = time.monotonic()
        if self.process is None:
            if now >= self.due:
                self.restarts += 1
                self.start()
            return ""
        code = self.process.poll()
        if code is None:
            return ""
        self.process = None
        lived = now - self.born
        if code == WRONG_CONFIGURATION:
            self.due = float("inf")
            return f"{self.name} finds its configuration wrong and is not started again (its log: {self.log})"
        self.delay = FIRST_DELAY if lived > WELL_AFTER else min(max(self.delay * 2, FIRST_DELAY), LONGEST_DELAY)
        self.due = now + self.delay
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
        return f"{self.name} {how} after {lived:.1f} s; starting it again in {self.delay:g} s (its log: {self.log})"
