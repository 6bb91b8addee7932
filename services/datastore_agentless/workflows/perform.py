"""Turns an administrator's commands into output that streams as it comes, and exit codes at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from services.datastore_agentless.hosts import identity
from services.datastore_agentless.hosts.base import ANY_CODE, Job, Script
from services.datastore_agentless.workflows.on_host import Hosts
from shared.contracts.datastore_agentless import PerformCompleted, PerformFailed
from shared.contracts.values import CommandResult, Problem
from shared.db import Tx
from shared.workflow import Next, Outcome, Step, StepContext, Task, Workflow

TIMEOUT_SECONDS = 3600.0
REACH_SECONDS = 180.0
OUTPUT_KEPT = 65_536


@dataclass(frozen=True)
class Perform:
    """The steps: each command is a detached job, so that none is lost or run twice when a line drops."""

    hosts: Hosts

    def workflow(self) -> Workflow:
        """A command's own exit code, whatever it is, is a result and no failure of the step.

        A host that cannot be reached is tried for minutes, not for the hours that commands may take.
        """
        steps = (
            Step("reach", self._reach, deadline=REACH_SECONDS),
            Step("run", self._run, deadline=2 * TIMEOUT_SECONDS),
        )
        return Workflow("perform", steps, on_failure=self._failed, on_cancelled=self._cancelled)

    def _reach(self, context: StepContext) -> Outcome:
        self.hosts.run(context, self.hosts.instance(context), identity.reach())
        return Next()

    def _run(self, context: StepContext) -> Outcome:
        instance = self.hosts.instance(context)
        task = context.task
        voice = Voice(f"{instance.user}@{instance.addr}", lambda text: context.report(output=text))
        script = _script(task.payload["commands"], voice)
        results = self.hosts.run(context, instance, script, on_output=voice.hear)
        assert isinstance(results, tuple)

        def save(tx: Tx) -> None:
            tx.emit(
                PerformCompleted(
                    operation_id=task.operation_id, cluster_id=task.cluster_id, instance_id=instance.id,
                    name=task.payload["name"], results=results,
                )
            )  # fmt: skip

        return Next(save=save, message=f"{len(results)} command(s) ran")

    def _failed(self, tx: Tx, task: Task, problem: Problem) -> None:
        tx.emit(_end(task, problem, cancelled=False))

    def _cancelled(self, tx: Tx, task: Task) -> None:
        tx.emit(_end(task, Problem(step="run", message="cancelled", host=task.host), cancelled=True))


@dataclass
class Voice:
    """Tells what commands print, as it comes, in the seed's form: `[root@10.0.0.1] run: ls`, then lines behind `out: `.

    Lines of standard error stand behind `err: `.
    """

    login: str
    tell: Callable[[str], None]
    _stream: str = ""
    _silent: bool = True

    def begin(self, command: str) -> None:
        """A command starts."""
        self._silent = True
        self.tell(f"[{self.login}] run: {command}\n")

    def hear(self, stream: str, text: str) -> None:
        """A piece of output on `stream`, out or err, whole lines or not."""
        self._silent = False
        said = ""
        for line in text.splitlines(keepends=True):
            if self._stream not in ("", stream):
                said += "\n"
            said += line if self._stream == stream else f"{stream}: {line}"
            self._stream = "" if line.endswith(("\n", "\r")) else stream
        self.tell(said)

    def end(self, code: int) -> None:
        """The command has ended."""
        last = "\n" if self._stream else "out:\n" if self._silent else ""
        self._stream = ""
        if last or code:
            self.tell(last + (f"exit code: {code}\n" if code else ""))


def _script(commands: list[str], voice: Voice) -> Script:
    results = []
    for number, command in enumerate(commands, 1):
        voice.begin(command)
        done = yield Job(f"command-{number}", command, title=command, ok_codes=ANY_CODE, timeout=TIMEOUT_SECONDS)
        voice.end(done.code)
        results.append(
            CommandResult(
                command=command,
                exit_code=done.code,
                stdout=done.stdout[-OUTPUT_KEPT:],
                stderr=done.stderr[-OUTPUT_KEPT:],
            )
        )
    voice.tell("done.\n")
    return tuple(results)


def _end(task: Task, problem: Problem, *, cancelled: bool) -> PerformFailed:
    return PerformFailed(
        operation_id=task.operation_id, cluster_id=task.cluster_id, instance_id=task.payload["instance_id"],
        name=task.payload["name"], problem=problem, cancelled=cancelled,
    )  # fmt: skip
