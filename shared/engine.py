"""The step engine: claims a task, runs its steps, stores each outcome with its effects in one transaction."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from shared.contracts.base import dump
from shared.contracts.operations import OperationProgressed, sequence_at
from shared.contracts.values import Problem
from shared.db import tasks
from shared.db.engine import Database, Tx
from shared.errors import Cancelled, DtroveError, Retryable, StaleEpoch, Unavailable
from shared.log import about
from shared.reporter import Reporter, Running
from shared.workflow import Outcome, Step, StepContext, Task, Wait, Workflow, backoff_seconds, problem_of, strange_step

LEASE_SECONDS = 10.0
HEARTBEAT_SECONDS = 2.0
MAX_CLAIMS = 10

log = logging.getLogger(__name__)


@dataclass
class StepEngine:
    """Runs the tasks of one service. Any number of engines may share a database: leases and epochs keep them apart."""

    database: Database
    workflows: dict[str, Workflow]
    owner: str = field(default_factory=lambda: f"{os.uname().nodename}:{os.getpid()}")
    lease: float = LEASE_SECONDS
    _running: dict[str, Running] = field(default_factory=dict)
    _beating: bool = False
    _sequence: int = 0
    _pause: float | None = None

    def take(self) -> Task | None:
        """Claim the task that has waited longest, or return None: nothing is ready. Pass it to `work`."""
        return next(self.take_all(), None)

    def take_all(self) -> Iterator[Task]:
        """Claim what is ready, one by one as it is asked for, the longest ready first. Pass each to `work`."""
        while True:
            with self.database.read() as connection:
                seen = tasks.look(connection, self.database, self._running)
            self._pause, busy = seen.pause, set[str]()
            for task_id, subject in seen.ready:
                if subject in busy:
                    continue
                with self.database.write() as tx:
                    task = tasks.claim(tx, task_id, subject, self.owner, self.lease)
                if task is not None:
                    busy.add(subject)
                    self._running[task.id] = Running(task, cancelled=task.cancel_requested)
                    yield task
            if not seen.more:
                return

    def work(self, task: Task) -> None:
        """Run a task that `take` gave as far as it goes."""
        running = self._running[task.id]
        try:
            with about(task):
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

    def seconds_to_next(self) -> float | None:
        """How long until time makes a task ready, as `take` saw it last; None: only a message can."""
        return self._pause

    def run_due(self) -> float | None:
        """Take one task and work on it: 0; or else the seconds until the next one, None when none is in sight."""
        task = self.take()
        if task is None:
            return self.seconds_to_next()
        self.work(task)
        return 0.0

    def start_heartbeat(self) -> None:
        """Renew the leases of running tasks from now on, in a thread (a green one where eventlet has patched)."""
        if not self._beating:
            self._beating = True
            threading.Thread(target=self._beat, daemon=True, name="heartbeat").start()

    def stop_heartbeat(self) -> None:
        """Stop renewing; running tasks are taken over by others once their leases end."""
        self._beating = False

    def heartbeat(self) -> None:
        """Renew the running tasks' leases once, and look which of them are to stop."""
        held = [running.task for running in self._running.values()]
        if not held:
            return
        with self.database.write() as tx:
            lost, cancelled = tasks.renew(tx, held, self.lease)
        self._mark(cancelled, lost)

    def hear_cancels(self) -> None:
        """Look which running tasks are to stop, without waiting for the next heartbeat."""
        if self._running:
            with self.database.read() as connection:
                self._mark(tasks.to_stop(connection, self.database, list(self._running)))

    def hand_over(self, held: Iterable[Task]) -> None:
        """Give up the leases of tasks whose work was broken off, so that another engine need not wait for their end."""
        for task in held:
            try:
                with self.database.write() as tx:
                    tasks.let_go(tx, task, claims=max(0, task.claims - 1))
            except StaleEpoch:
                continue

    def held(self) -> list[Task]:
        """The tasks in this engine's hands."""
        return [running.task for running in self._running.values()]

    def _mark(self, cancelled: Set[str], lost: Set[tasks.Claim] = frozenset()) -> None:
        for task_id, running in self._running.items():
            running.cancelled |= task_id in cancelled
            running.lost |= (task_id, running.task.epoch) in lost

    def _beat(self) -> None:
        while self._beating:
            self.database.clock.sleep(HEARTBEAT_SECONDS)
            try:
                self.heartbeat()
            except Unavailable as error:
                log.warning("leases could not be renewed: %s", error)
            except Exception:
                log.exception("heartbeat failed")

    def _one_step(self, running: Running) -> Task | None:
        """Run the present step and store what came of it; return the task at its next step, or None to let it go."""
        task = running.task
        workflow = self.workflows.get(task.kind) or Workflow(task.kind, ())
        if task.mode == "forward" and (running.cancelled or task.cancel_requested):
            return self._turn_back(task, workflow, None)
        step = workflow.find(task.step) or strange_step(task.step)
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
        reporter = Reporter(running, self.announce, self.database.clock)
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
        try:
            return self._store(task, workflow, step, outcome)
        except (StaleEpoch, Unavailable):
            # Whether it is stored is not known: only the row can tell, to whoever claims it next.
            raise
        except DtroveError as error:
            return self._fail(task, workflow, step, problem_of(error, step.name, task.host))

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
            tasks.let_go(tx, task, step=step.name, due_at=due, message=wait.reason, claims=0)
        return None

    def _try_again(self, task: Task, workflow: Workflow, step: Step, error: DtroveError) -> Task | None:
        if self._age(task) > step.deadline:
            return self._fail(task, workflow, step, problem_of(error, step.name, task.host))
        asked = error.after if isinstance(error, Retryable) else 0.0
        pause = max(asked, backoff_seconds(step, task.attempt))
        with self.database.write() as tx:
            self._emit(tx, task, "retrying", message=error.message)
            due = self.database.clock.now() + timedelta(seconds=pause)
            tasks.let_go(
                tx, task, step=step.name, attempt=task.attempt + 1, due_at=due, message=error.message, claims=0
            )
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
        asked = bool(tasks.to_stop(tx.connection, self.database, [task.id]))
        return tasks.with_step(task, step, done=done, step_started_at=now, cancel_requested=asked)

    def _next_sequence(self) -> int:
        """The present moment's, pushed on where two reports fall into one microsecond."""
        self._sequence = max(self._sequence + 1, sequence_at(self.database.clock.now()))
        return self._sequence

    def _first_step(self, task: Task) -> str:
        workflow = self.workflows.get(task.kind)
        return workflow.steps[0].name if workflow else "begin"

    def _age(self, task: Task) -> float:
        return (self.database.clock.now() - task.step_started_at).total_seconds()

    def announce(self, task: Task, status: str, **values: Any) -> None:
        """Tell the world how a task's present step stands. Raises StaleEpoch: it is another's to tell."""
        with self.database.write() as tx:
            tasks.stand(tx, task)
            self._emit(tx, task, status, **values)

    def _emit(self, tx: Tx, task: Task, status: str, **values: Any) -> None:
        prefix = "" if task.mode == "forward" else "undo "
        tx.emit(
            OperationProgressed(
                operation_id=task.operation_id, cluster_id=task.cluster_id, service=self.database.service,
                kind=task.kind, step=prefix + (task.step or self._first_step(task)), status=status,
                sequence=self._next_sequence(), host=task.host, **values,
            )
        )  # fmt: skip
