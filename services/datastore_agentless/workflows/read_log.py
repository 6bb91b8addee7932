"""Turns a wish to read a log into its lines, told as they come, for as long as somebody wants them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.datastore_agentless.datastores.base import logs
from services.datastore_agentless.domain.reading import Lines, Place, Reading, lines_of
from services.datastore_agentless.hosts.base import HostUnreachable
from services.datastore_agentless.hosts.transcript import Transcript
from services.datastore_agentless.store import readings
from services.datastore_agentless.workflows.on_host import Hosts
from shared.contracts.datastore_agentless import LogsRead
from shared.contracts.values import Problem
from shared.db import Tx
from shared.errors import Failure, Unsupported
from shared.workflow import Next, Outcome, Step, StepContext, Task, Wait, Workflow

READ_LOG = "read_log"
# From one look to the next: a line is to be seen within two seconds. Less where more is there already.
PAUSE_SECONDS, BUSY_SECONDS = 0.7, 0.1
# A little more than a stream may last.
FOLLOW_SECONDS = 4_000.0
# How often a host may not answer.
TRIES = 5


@dataclass(frozen=True)
class ReadLog:
    """One step, which looks, tells, and waits; a row says how far it has come."""

    hosts: Hosts

    def workflow(self) -> Workflow:
        """Its end is told, whatever it is: who reads does not wait in vain."""
        step = Step("read", self._read, deadline=FOLLOW_SECONDS, backoff_cap=2.0)
        return Workflow(READ_LOG, (step,), on_failure=self._failed, on_cancelled=self._cancelled)

    def _read(self, context: StepContext) -> Outcome:
        with self.hosts.database.read() as connection:
            reading = readings.find(connection, context.task.payload["reading_id"])
        if reading is None:
            return Next()
        if reading.follow and self.hosts.database.clock.now() > reading.until:
            return Next(save=lambda tx: readings.remove(tx, reading.id), message="nobody follows it any more")
        found = self._look(context, reading)
        if not reading.follow:
            return Next(save=lambda tx: _tell(tx, reading, found, last=True))
        pause = BUSY_SECONDS if found.more else PAUSE_SECONDS
        return Wait(pause, "following the log", save=lambda tx: _tell(tx, reading, found))

    def _look(self, context: StepContext, reading: Reading) -> Lines:
        instance = self.hosts.instance(context)
        manager = self.hosts.manager(instance)
        path = manager.log_path(instance)
        if not path:
            raise Unsupported(f"the manager {manager.name} does not say where its database's log lies",
                              what_to_do="override `log_path` in the manager")  # fmt: skip
        before = Place.parse(reading.place)
        try:
            piece = self.hosts.look(instance, logs.read(path, before), logs.READ_SECONDS)
        except HostUnreachable as error:
            if context.task.attempt < (TRIES if reading.follow else 1):
                raise
            raise Failure(error.message, what_to_do="look at the cluster's health, then try again") from error
        mask = Transcript(host=instance.name, secrets=instance.secrets).mask
        return lines_of(piece, before, reading.lines, mask, follow=reading.follow)

    def _failed(self, tx: Tx, task: Task, problem: Problem) -> None:
        _end(tx, task, problem)

    def _cancelled(self, tx: Tx, task: Task) -> None:
        _end(tx, task, Problem(step="read", host=task.host, message="the instance goes"))


def _tell(tx: Tx, reading: Reading, found: Lines, *, last: bool = False) -> None:
    place = str(found.place) if found.place is not None else ""
    # That there is no log yet is told once.
    news = found.text or (found.notes and reading.place)
    if news or last or reading.sequence == 0:
        tx.emit(LogsRead(reading_id=reading.id, cluster_id=reading.cluster_id, instance_id=reading.instance_id,
                         sequence=reading.sequence, text=found.text, notes=found.notes, place=place, last=last))  # fmt: skip
        reading = replace(reading, sequence=reading.sequence + 1)
    if last:
        readings.remove(tx, reading.id)
    else:
        readings.move(tx, reading.id, place, reading.sequence)


def _end(tx: Tx, task: Task, problem: Problem) -> None:
    reading = readings.find(tx.connection, task.payload["reading_id"])
    if reading is None:
        return
    tx.emit(LogsRead(reading_id=reading.id, cluster_id=reading.cluster_id, instance_id=reading.instance_id,
                     sequence=reading.sequence, place=reading.place, last=True, problem=problem))  # fmt: skip
    readings.remove(tx, reading.id)
