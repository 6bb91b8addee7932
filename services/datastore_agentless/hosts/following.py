"""Follows one job from its first byte to its end, whatever happens to the connection."""

from __future__ import annotations

import codecs
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from services.datastore_agentless.hosts import jobs
from services.datastore_agentless.hosts.base import CommandFailed, HostUnreachable, Job, Result, tail
from services.datastore_agentless.hosts.conversation import Output
from services.datastore_agentless.hosts.driver import Driver
from services.datastore_agentless.hosts.transcript import Transcript
from shared.errors import Cancelled, Failure, Retryable, StaleEpoch

PAUSE, PAUSE_CAP = 0.1, 5.0
# A look takes two seconds and brings half a megabyte at most: one that takes longer than this is given up for a new line.
LOOK_PATIENCE = 10.0
KEPT = 16 * 1024 * 1024
GARBLED = 5


@dataclass
class _Stream:
    """One stream of a job: how far it was read, its last 16 MB, and what is not told yet."""

    name: str
    transcript: Transcript
    offset: int = 0
    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )
    sieve: Callable[[str], bool] | None = None
    _line: str = ""
    _held: str = ""
    _pieces: list[str] = field(default_factory=list)
    _size: int = 0

    def take(self, data: bytes, tell: Callable[[str, str], None] | None, *, last: bool) -> None:
        """Take what was read, and tell it, masked; a secret that two pieces share is never told in halves."""
        self.offset += len(data)
        piece = self._sift(self._decoder.decode(data, final=last), last=last)
        self._keep(piece)
        if tell is None:
            return
        waiting = self._held + piece
        held = 0 if last else self.transcript.held_back(waiting)
        said, self._held = waiting[: len(waiting) - held], waiting[len(waiting) - held :]
        if said:
            tell(self.name, self.transcript.mask(said))

    def whole(self) -> str:
        """Everything that is kept."""
        return "".join(self._pieces)

    def _sift(self, piece: str, *, last: bool) -> str:
        """Without the lines that `sieve` takes for itself; a line that is not complete waits for its end."""
        if self.sieve is None:
            return piece
        *lines, self._line = (self._line + piece).split("\n")
        kept = [line + "\n" for line in lines if not self.sieve(line)]
        if last and self._line and not self.sieve(self._line):
            kept.append(self._line)
        return "".join(kept)

    def _keep(self, piece: str) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        while self._size > KEPT and len(self._pieces) > 1:
            self._size -= len(self._pieces.pop(0))


class Remote(Protocol):
    """Runs a shell line on the host, within so many seconds."""

    def __call__(self, line: str, timeout: float = ...) -> Output: ...


class JobReader:
    """Reads a job that `remote` reaches, for a driver that is told of output and asks whether to go on."""

    def __init__(self, driver: Driver, remote: Remote, folder: jobs.JobFolder, command: Job) -> None:
        self._driver, self._remote, self._folder, self._command = driver, remote, folder, command
        self._out = _Stream("out", driver.transcript, sieve=self._tell_progress if command.progress else None)
        self._err = _Stream("err", driver.transcript)
        self._garbled = 0

    def read(self) -> Result:
        """Wait for the end. Raises CommandFailed (124) past the timeout, Retryable when the job was lost."""
        until = self._driver.clock.monotonic() + self._command.timeout
        pause = PAUSE
        while self._driver.clock.monotonic() < until:
            self._check()
            look = self._look()
            if look is None:
                self._driver.clock.sleep(pause)
                pause = min(PAUSE_CAP, pause * 2)
                continue
            pause = PAUSE
            last = look.state != "running"
            self._out.take(look.stdout, self._driver.on_output, last=last)
            self._err.take(look.stderr, self._driver.on_output, last=last)
            if look.state == "exited":
                return self._end(look.code or 0)
            if last:
                self._remote(self._folder.put_aside())
                raise Retryable(f"`{self._command.title}` on {self._where} is {look.state}: starting it again")
        return self._give_up()

    def _tell_progress(self, line: str) -> bool:
        assert self._command.progress is not None
        progress = self._command.progress(line)
        if progress is not None and self._driver.on_progress:
            self._driver.on_progress(progress.title, progress.percent)
        return progress is not None

    @property
    def _where(self) -> str:
        return self._driver.target.name

    def _look(self) -> jobs.Look | None:
        """One look, or None when the host cannot be asked just now: the job goes on without us."""
        try:
            output = self._remote(self._folder.look(self._out.offset, self._err.offset), LOOK_PATIENCE)
        except (HostUnreachable, CommandFailed) as error:
            if self._driver.on_progress:
                self._driver.on_progress(f"{error.message}; the command goes on there, attaching again", None)
            return None
        try:
            return jobs.parse_look(output.stdout)
        except ValueError as error:
            self._garbled += 1
            if self._garbled < GARBLED:
                return None
            raise CommandFailed(
                f"`{self._command.title}` on {self._where} cannot be followed: {error}", code=output.code,
                stderr=tail(output.stderr.decode(errors="replace")),
                what_to_do="see that DTROVE_PREFIX and the login shell print nothing of their own, then retry",
            ) from error  # fmt: skip

    def _check(self) -> None:
        if self._driver.check is None:
            return
        try:
            self._driver.check()
        except (Cancelled, Failure):
            # Nobody waits for it any more. A host that cannot be reached must not keep a user from cancelling.
            with contextlib.suppress(HostUnreachable, CommandFailed, StaleEpoch):
                self._remote(self._folder.stop())
            raise

    def _give_up(self) -> Result:
        self._remote(self._folder.stop())
        raise CommandFailed(
            f"`{self._command.title}` on {self._where} did not end within {self._command.timeout:.0f} s",
            code=124, command=self._command.script, stderr=tail(self._driver.transcript.mask(self._err.whole())),
            what_to_do="look at the host's load and network, then retry",
        )  # fmt: skip

    def _end(self, code: int) -> Result:
        if code not in self._command.ok_codes:
            # So that a retry runs it anew instead of reading this failure again.
            self._remote(self._folder.put_aside())
        return Result(code=code, stdout=self._out.whole(), stderr=self._err.whole())
