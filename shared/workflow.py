"""The step machine, pure: what a workflow is, and what follows from the outcome of a step.

A workflow is a tuple of steps, saved by name. A step works on the outside with no transaction open and returns an
outcome; the engine (shared.engine) stores the outcome's effects, its events and the next step in one transaction.
Every step is find-or-do, for it may run again after a crash between any two lines.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared.contracts.values import Problem
from shared.errors import DtroveError, Failure, Retryable

if TYPE_CHECKING:
    from shared.db.engine import Tx

STRANGE_SECONDS = 600.0
Save = Callable[["Tx"], None]


@dataclass(frozen=True)
class Next:
    """The step is done. `save` writes its effects and events in the transaction that moves the task on."""

    save: Save | None = None
    message: str = ""


@dataclass(frozen=True)
class Wait:
    """Not yet: run the same step again in `seconds`. `reason` is what the user reads meanwhile."""

    seconds: float
    reason: str
    percent: int | None = None
    save: Save | None = None


Outcome = Next | Wait


@dataclass(frozen=True)
class TaskDraft:
    """Work to file. `subject` is what only one task may work on at a time; `id` makes filing idempotent."""

    id: str
    kind: str
    subject: str
    cluster_id: str
    operation_id: str
    payload: dict[str, Any] = field(default_factory=dict)
    host: str = ""


def task_id(kind: str, *of: str) -> str:
    """The id of a task about these things, always the same; it has room for 64 characters, and they may be longer."""
    return f"{kind}:{hashlib.sha256(' '.join(of).encode()).hexdigest()[:32]}"


@dataclass(frozen=True)
class Task:
    """A filed task as the engine has claimed it.

    `mode` is forward or undo; `done` names the steps done, or, while undoing, those still to undo; `attempt` counts retries of the present step;
    `claims` counts how often the step was begun without an outcome; `epoch` grows with every claim on the subject.
    """

    id: str
    kind: str
    subject: str
    cluster_id: str
    operation_id: str
    host: str
    payload: dict[str, Any]
    mode: str
    step: str
    done: tuple[str, ...]
    attempt: int
    claims: int
    epoch: int
    step_started_at: datetime
    message: str = ""
    cancel_requested: bool = False
    problem: Problem | None = None


class StepContext:
    """What a step is given: its task, a voice to report with, and an ear for cancellation."""

    def __init__(
        self,
        task: Task,
        report: Callable[[int | None, str, str], None],
        check: Callable[[], None],
    ) -> None:
        self.task = task
        self._report = report
        self._check = check

    def report(self, message: str = "", *, percent: int | None = None, output: str = "") -> None:
        """Tell the user how far the step is: percent of the step, a sentence, a piece of output."""
        self._report(percent, message, output)

    def check(self) -> None:
        """Raise Cancelled when the user wants the work to stop, StaleEpoch when another worker has it."""
        self._check()


@dataclass(frozen=True)
class Step:
    """One step. `deadline` is how long it may take in all, retries and waits included, in seconds.

    Between retries it waits for `backoff` seconds at first, then `growth` times as long each time, up to `backoff_cap`.
    """

    name: str
    run: Callable[[StepContext], Outcome]
    undo: Callable[[StepContext], Outcome] | None = None
    deadline: float = 600.0
    backoff: float = 0.5
    backoff_cap: float = 15.0
    growth: float = 2.0


@dataclass(frozen=True)
class Workflow:
    """Steps in order, and what is announced when they fail or are cancelled (in the closing transaction)."""

    name: str
    steps: tuple[Step, ...]
    on_failure: Callable[[Tx, Task, Problem], None] | None = None
    on_cancelled: Callable[[Tx, Task], None] | None = None
    undo_on_failure: bool = False

    def find(self, name: str) -> Step | None:
        """The step called `name` (the first one for an empty name), or None where this version has no such step."""
        return next((step for step in self.steps if step.name == name or not name), None)

    def after(self, name: str) -> Step | None:
        """The step that follows `name`, or None at the end."""
        names = [step.name for step in self.steps]
        position = names.index(name) + 1
        return self.steps[position] if position < len(names) else None

    def to_undo(self, done: tuple[str, ...], current: str) -> tuple[str, ...]:
        """Names of the steps to undo, the last begun first: those done and the one that was in hand."""
        begun = {*done, current}
        return tuple(step.name for step in reversed(self.steps) if step.undo and step.name in begun)


def strange_step(name: str) -> Step:
    """A step that this version does not know: its task is kept for one that does, for as long as an upgrade may take."""

    def wait(context: StepContext) -> Outcome:
        task = context.task
        raise Retryable(f"this version knows no step {task.step!r} of {task.kind}",
                        what_to_do="finish the upgrade of this service, then retry the operation")  # fmt: skip

    return Step(name, wait, wait, deadline=STRANGE_SECONDS)


def backoff_seconds(step: Step, attempt: int, jitter: Callable[[], float] = random.random) -> float:
    """Exponential backoff with full jitter in its upper half. Source: AWS, "Exponential Backoff And Jitter"."""
    ceiling = min(step.backoff_cap, step.backoff * step.growth ** min(attempt, 16))
    return ceiling / 2 + jitter() * ceiling / 2


def problem_of(error: DtroveError, step: str, host: str) -> Problem:
    """What the user is told of an error that ended a step."""
    command = error.command if isinstance(error, Failure) else ""
    stderr = error.stderr if isinstance(error, Failure) else ""
    return Problem(
        step=step, host=host, message=error.message, command=command, stderr=stderr, what_to_do=error.what_to_do
    )
