"""Drives a script command by command, whatever the host is made of: checked, recorded, errors raised inside the script."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from services.datastore_agentless.hosts.base import (
    Command,
    CommandFailed,
    Job,
    Phase,
    Put,
    Result,
    Run,
    Script,
    Target,
    quote,
    tail,
)
from services.datastore_agentless.hosts.transcript import Transcript
from shared.clock import Clock, SystemClock
from shared.contracts.values import TranscriptEntry
from shared.errors import DtroveError, Unsupported

MAX_COMMANDS = 2_000


@dataclass(kw_only=True)
class Driver(ABC):
    """Runs scripts on one host for one task; a subclass knows how to run a command, to follow a job, to write a file.

    `epoch` is the task's claim on `subject`: the host refuses a lower one than it has seen for it (StaleEpoch). `check` is
    called between commands and while a job runs, and may raise Cancelled, or Failure where there is no sense in going on: either
    ends the job. `on_output` is given what jobs print, as it comes and masked, with the stream's name: out or err.
    With `look_seconds` it only looks, for nobody's task: it neither asks nor raises a fence, refuses what changes something,
    and gives each command at most so long.
    """

    target: Target
    task_id: str
    epoch: int
    transcript: Transcript
    subject: str = ""
    on_progress: Callable[[str, int | None], None] | None = None
    on_output: Callable[[str, str], None] | None = None
    check: Callable[[], None] | None = None
    look_seconds: float | None = None
    clock: Clock = field(default_factory=SystemClock)

    @abstractmethod
    def run(self, command: Run) -> Result:
        """Run one command and wait for its end."""

    @abstractmethod
    def follow(self, command: Job) -> Result:
        """Start a job, or attach to it, and wait for its end."""

    @abstractmethod
    def put(self, command: Put) -> Result:
        """Write a file, if its content differs."""

    def execute(self, script: Script) -> Any:
        """Drive `script` to its end and return its value. Errors of commands are raised inside the script first."""
        send: Callable[[Any], Command] = lambda _: next(script)  # noqa: E731
        value: Any = None
        for _ in range(MAX_COMMANDS):
            try:
                command = send(value)
            except StopIteration as end:
                return end.value
            if self.check:
                self.check()
            try:
                value, send = self._do(command), script.send
            except CommandFailed as error:
                value, send = error, script.throw
        raise CommandFailed(f"a script ran more than {MAX_COMMANDS} commands", code=1)

    def _do(self, command: Command) -> Result:
        if isinstance(command, Phase):
            if self.on_progress:
                self.on_progress(command.title, command.percent)
            return Result(changed=False)
        self.transcript.learn(command.content if isinstance(command, Put) else command.stdin)
        started, began = self.clock.now().isoformat(), self.clock.monotonic()
        shown = describe(command)
        result = Result(code=-1)
        try:
            result = self._dispatch(command)
        except DtroveError as error:
            result = Result(code=getattr(error, "code", -1), stderr=error.message)
            raise
        finally:
            printed = "" if isinstance(command, Run) and command.hides else result.stdout
            self.transcript.record(
                TranscriptEntry(
                    sequence=0, host=self.target.name, command=shown, started_at=started,
                    seconds=round(self.clock.monotonic() - began, 4), exit_code=result.code, stdout=printed,
                    stderr=result.stderr, title=command.title,
                )
            )  # fmt: skip
        if not isinstance(command, Put) and result.code not in command.ok_codes:
            raise self._failed(command, result, shown)
        return result

    def _dispatch(self, command: Run | Job | Put) -> Result:
        if self.look_seconds is not None:
            if not isinstance(command, Run) or command.changes:
                raise Unsupported(f"`{command.title or describe(command)[:80]}` is no look: it may change something")
            command = replace(command, timeout=min(command.timeout, self.look_seconds))
        if isinstance(command, Run):
            return self.run(command)
        return self.put(command) if isinstance(command, Put) else self.follow(command)

    def _failed(self, command: Run | Job, result: Result, shown: str) -> CommandFailed:
        hides = isinstance(command, Run) and command.hides
        words = tail(self.transcript.mask(result.stderr or ("" if hides else result.stdout)))
        return CommandFailed(
            f"`{command.title or shown[:80]}` on {self.target.name} ended with code {result.code}", code=result.code,
            command=self.transcript.mask(shown), stderr=words,
            what_to_do="read the last lines of its output, mend the cause, then retry the operation",
        )  # fmt: skip


def describe(command: Run | Job | Put) -> str:
    """The command as a user reads it, in a plan or a transcript."""
    if isinstance(command, Put):
        return f"write {command.path} ({command.mode:04o}, {command.owner})"
    if isinstance(command, Job):
        return command.script
    return f"su {command.user} -c {quote(command.line)}" if command.user else command.line
