"""The step engine: claims a task, runs its steps, stores each outcome with its effects in one transaction."""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import structlog

from shared.contracts.base import dump
from shared.contracts.operations import OperationProgressed
from shared.contracts.values import Problem
from shared.db import tasks
from shared.db.engine import Database, Tx
from shared.errors import Cancelled, DtroveError, Failure, Retryable, StaleEpoch, Unavailable
from shared.workflow import Outcome, Step, StepContext, Task, Wait, Workflow, backoff_seconds, problem_of

LEASE_SECONDS = 10.0
HEARTBEAT_SECONDS = 2.0
MAX_CLAIMS = 10
REPORT_SECONDS = 0.5
BLOCKED_SECONDS = 0.25

log = logging.getLogger(__name__)


@dataclass
class _Running:
    """A task in this process's hands, as its heartbeat sees it."""

    task: Task
    lost: bool = False
    cancelled: bool = False


@dataclass
class StepEngine:
    """Runs the tasks of one service. Any number of engines may share a database: leases and epochs keep them apart."""

    database: Database
    workflows: dict[str, Workflow]
    owner: str = field(default_factory=lambda: f"{os.uname().nodename}:{os.getpid()}")
    lease: float = LEASE_SECONDS
    _running: dict[str, _Running] = field(default_factory=dict)
    _beating: bool = False
    _sequence: int = 0

    def run_due(self, worker_id: str = "0") -> float | None:
        """Run one due task as far as it goes; return the seconds until the next could be due, None when idle."""
        with self.database.read() as connection:
            candidates = tasks.due(connection, self.database)
        for task_id, subject in candidates:
            if task_id in self._running:
                continue
            with self.database.write() as tx:
                task = tasks.claim(tx, task_id, subject, f"{self.owner}:{worker_id}", self.lease)
            if task is not None:
                self._work(task)
                return 0.0
        with self.database.read() as connection:
            pause = tasks.seconds_to_next(connection, self.database)
        return pause if pause is None else max(pause, BLOCKED_SECONDS if candidates else 0.0)

    def start_heartbeat(self) -> None:
        """Renew the leases of running tasks from now on, in a thread (a green one where eventlet has patched)."""
        if not self._beating:
            self._beating = True
            threading.Thread(target=self._beat, daemon=True, name="heartbeat").start()

    def stop_heartbeat(self) -> None:
        """Stop renewing; running tasks are taken over by others once their leases end."""
        self._beating = False

    def heartbeat(self) -> None:
        """Renew each running task's lease once, and look whether it is to stop."""
        for running in list(self._running.values()):
            try:
                with self.database.write() as tx:
                    running.cancelled = tasks.renew(tx, running.task, self.lease)
            except StaleEpoch:
                running.lost = True

    def _beat(self) -> None:
        while self._beating:
            self.database.clock.sleep(HEARTBEAT_SECONDS)
            try:
                self.heartbeat()
            except Unavailable as error:
                log.warning("leases could not be renewed: %s", error)
            except Exception:
                log.exception("heartbeat failed")

    def _work(self, task: Task) -> None:
        running = self._running[task.id] = _Running(task, cancelled=task.cancel_requested)
        ids = {"operation_id": task.operation_id, "cluster_id": task.cluster_id, "task": task.kind}
        try:
            with structlog.contextvars.bound_contextvars(**ids):
                following: Task | None = task
                while following is not None:
                    running.task = following
                    following = self._one_step(running)
        except StaleEpoch as error:
            log.warning("gave up %s: %s", task.id, error)
        except Unavailable as error:
            log.warning("task %s waits for its lease to end: %s", task.id, error)
        except Exception:
            # The lease is left to run out, so that a fault in this very line cannot become a hot loop.
            log.exception("step of task %s ended unexpectedly", task.id)
        finally:
            self._running.pop(task.id, None)

    def _one_step(self, running: _Running) -> Task | None:
        """Run the present step and store what came of it; return the task at its next step, or None to let it go."""
        task = running.task
        workflow = self.workflows[task.kind]
        if task.mode == "forward" and (running.cancelled or task.cancel_requested):
            return self._turn_back(task, workflow, None)
        try:
            step = workflow.step(task.step)
        except Failure as error:
            return self._end(task, workflow, problem_of(error, task.step, task.host))
        task = running.task = replace(task, step=step.name)
        if task.claims > MAX_CLAIMS:
            return self._fail(
                task, workflow, step, Problem(
                    step=step.name, host=task.host, message=f"the step ended {MAX_CLAIMS} times without an outcome",
                    what_to_do="look into the service's log, then retry or delete",
                ),
            )  # fmt: skip
        if task.claims == 1 and task.attempt == 0 and not task.message:
            self.announce(task, "running")
        reporter = _Reporter(self, running)
        context = StepContext(task, reporter.report, reporter.check)
        try:
            action = step.run if task.mode == "forward" else step.undo
            assert action is not None
            outcome = action(context)
            reporter.flush()
        except Cancelled:
            return self._turn_back(task, workflow, None)
        except StaleEpoch:
            raise
        except (Retryable, Unavailable) as error:
            return self._try_again(task, workflow, step, error)
        except DtroveError as error:
            return self._fail(task, workflow, step, problem_of(error, step.name, task.host))
        return self._store(task, workflow, step, outcome)

    def _store(self, task: Task, workflow: Workflow, step: Step, outcome: Outcome) -> Task | None:
        if isinstance(outcome, Wait):
            return self._wait(task, workflow, step, outcome)
        with self.database.write() as tx:
            if outcome.save:
                outcome.save(tx)
            self._emit(tx, task, "succeeded", percent=100, message=outcome.message)
            if task.mode == "undo":
                return self._undo_next(tx, task, workflow)
            following = workflow.after(step.name)
            if following is None:
                tasks.finish(tx, task, "succeeded")
                return None
            return self._move(tx, task, following.name, (*task.done, step.name))

    def _wait(self, task: Task, workflow: Workflow, step: Step, wait: Wait) -> Task | None:
        if self._age(task) > step.deadline:
            return self._fail(
                task, workflow, step, Problem(
                    step=step.name, host=task.host, message=f"{wait.reason}; gave up after {step.deadline:.0f} s",
                    what_to_do="retry the operation, or delete the cluster",
                ),
            )  # fmt: skip
        now = self.database.clock.now()
        with self.database.write() as tx:
            if wait.save:
                wait.save(tx)
            if wait.reason != task.message:
                self._emit(tx, task, "waiting", percent=wait.percent, message=wait.reason)
            due = now + timedelta(seconds=wait.seconds)
            tasks.save(tx, task, step=step.name, due_at=due, message=wait.reason, lease_until=None, claims=0)
        return None

    def _try_again(self, task: Task, workflow: Workflow, step: Step, error: DtroveError) -> Task | None:
        if self._age(task) > step.deadline:
            return self._fail(task, workflow, step, problem_of(error, step.name, task.host))
        pause = backoff_seconds(step, task.attempt)
        with self.database.write() as tx:
            self._emit(tx, task, "retrying", message=error.message)
            due = self.database.clock.now() + timedelta(seconds=pause)
            tasks.save(tx, task, step=step.name, attempt=task.attempt + 1, due_at=due, message=error.message,
                       lease_until=None, claims=0)  # fmt: skip
        return None

    def _fail(self, task: Task, workflow: Workflow, step: Step, problem: Problem) -> Task | None:
        log.warning("step %s failed: %s", step.name, problem.message)
        if task.mode == "undo":
            kept = task.problem or problem
            left = replace(
                kept, message=f"{kept.message}; left behind: {step.name} could not be undone: {problem.message}"
            )
            return self._end(task, workflow, left)
        if workflow.undo_on_failure:
            return self._turn_back(task, workflow, problem)
        return self._end(task, workflow, problem)

    def _turn_back(self, task: Task, workflow: Workflow, problem: Problem | None) -> Task | None:
        """Begin to undo: after a failure, with its problem kept, or because the user cancelled."""
        with self.database.write() as tx:
            if problem is not None:
                self._emit(tx, task, "failed", message=problem.message, stderr=problem.stderr)
            task = replace(task, mode="undo", problem=problem, done=workflow.to_undo(task.done, task.step))
            return self._undo_next(tx, task, workflow)

    def _undo_next(self, tx: Tx, task: Task, workflow: Workflow) -> Task | None:
        if task.done:
            return self._move(tx, task, task.done[0], task.done[1:])
        if task.problem is None:
            self._emit(tx, task, "cancelled", message="cancelled, and undone")
            tasks.finish(tx, task, "cancelled")
            if workflow.on_cancelled:
                workflow.on_cancelled(tx, task)
            return None
        tasks.finish(tx, task, "failed", task.problem)
        if workflow.on_failure:
            workflow.on_failure(tx, task, task.problem)
        return None

    def _end(self, task: Task, workflow: Workflow, problem: Problem) -> Task | None:
        with self.database.write() as tx:
            self._emit(tx, task, "failed", message=problem.message, stderr=problem.stderr)
            tasks.finish(tx, task, "failed", problem)
            if workflow.on_failure:
                workflow.on_failure(tx, task, problem)
        return None

    def _move(self, tx: Tx, task: Task, step: str, done: tuple[str, ...]) -> Task:
        now = self.database.clock.now()
        problem = None if task.problem is None else dump(task.problem)
        tasks.save(tx, task, step=step, done=list(done), attempt=0, claims=1, message="", step_started_at=now,
                   mode=task.mode, problem=problem, lease_until=now + timedelta(seconds=self.lease))  # fmt: skip
        return tasks.with_step(task, step, done=done, step_started_at=now)

    def _next_sequence(self) -> int:
        """Microseconds since 1970, pushed on where two reports fall into one: it grows over workers as well."""
        self._sequence = max(self._sequence + 1, int(self.database.clock.now().timestamp() * 1_000_000))
        return self._sequence

    def _age(self, task: Task) -> float:
        return (self.database.clock.now() - task.step_started_at).total_seconds()

    def announce(self, task: Task, status: str, **values: Any) -> None:
        """Tell the world how a task's present step stands."""
        with self.database.write() as tx:
            self._emit(tx, task, status, **values)

    def _emit(self, tx: Tx, task: Task, status: str, **values: Any) -> None:
        prefix = "" if task.mode == "forward" else "undo "
        tx.emit(
            OperationProgressed(
                operation_id=task.operation_id, cluster_id=task.cluster_id, service=self.database.service,
                kind=task.kind, step=prefix + (task.step or self.workflows[task.kind].steps[0].name), status=status,
                sequence=self._next_sequence(), host=task.host, **values,
            )
        )  # fmt: skip


class _Reporter:
    """What a step says while it works, gathered so that a chatty step does not flood the bus."""

    def __init__(self, engine: StepEngine, running: _Running) -> None:
        self._engine = engine
        self._running = running
        self._task = running.task
        self._said: tuple[int | None, str] = (None, "")
        self._output = ""
        self._last = 0.0

    def report(self, percent: int | None, message: str, output: str) -> None:
        """Pass on at once what is new in kind, at most twice a second what only moves."""
        self._output += output
        fresh = bool(message) and message != self._said[1]
        self._said = (self._said[0] if percent is None else percent, message or self._said[1])
        if fresh or self._engine.database.clock.monotonic() - self._last >= REPORT_SECONDS:
            self._send()

    def flush(self) -> None:
        """Send the output that is still held back; then see whether the claim still stands."""
        if self._output:
            self._send()
        if self._running.lost:
            raise StaleEpoch(f"task {self._task.id} was taken over by another worker")

    def check(self) -> None:
        """Raise StaleEpoch when the claim is lost, Cancelled when the user wants the work to stop."""
        if self._running.lost:
            raise StaleEpoch(f"task {self._task.id} was taken over by another worker")
        if self._running.cancelled and self._task.mode == "forward":
            raise Cancelled("the operation was cancelled")

    def _send(self) -> None:
        percent, message = self._said
        self._last = self._engine.database.clock.monotonic()
        output, self._output = self._output, ""
        self._engine.announce(self._task, "running", percent=percent, message=message, output=output)
