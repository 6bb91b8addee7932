"""Somebody wants to read an instance's log, or goes on doing so."""

from __future__ import annotations

from datetime import timedelta

from services.datastore_agentless.actions.requests import file_task
from services.datastore_agentless.domain.instance import Status
from services.datastore_agentless.domain.reading import Reading
from services.datastore_agentless.store import clusters, readings
from services.datastore_agentless.workflows.read_log import READ_LOG
from shared.contracts.api import LogsRequested
from shared.contracts.datastore_agentless import LogsRead
from shared.contracts.values import Problem
from shared.db import Database, Tx

# Who read one instance's log at the same time, and any log: each of them is a look and a transaction or two a second.
MOST_READERS, MOST_IN_ALL = 10, 40


def request_logs(database: Database, event: LogsRequested) -> None:
    """File the reading of a log, or keep up the one that there is; what cannot be is answered at once."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "request_logs"):
            return
        until = database.clock.now() + timedelta(seconds=event.seconds)
        if event.goes_on:
            readings.go_on(tx, event.reading_id, until)
            return
        instance = clusters.find_instance(tx.connection, event.instance_id)
        if instance is None or instance.status == Status.DELETED:
            _refuse(tx, event, f"there is no instance {event.instance_id} any more", "list the cluster's instances")
        elif not instance.addr:
            _refuse(tx, event, f"{instance.name} has no server yet", "wait until its cluster is active")
        elif readings.count(tx.connection, instance.id) >= MOST_READERS:
            _refuse(tx, event, f"{MOST_READERS} read this log already", "end one of them, then try again")
        elif readings.count(tx.connection) >= MOST_IN_ALL:
            _refuse(tx, event, f"{MOST_IN_ALL} logs are being read already", "end one of them, then try again")
        else:
            readings.add(tx, Reading(event.reading_id, instance.id, instance.cluster_id, event.lines, event.follow, until,
                                     place=event.after))  # fmt: skip
            file_task(tx, READ_LOG, instance, "", f"{READ_LOG}:{event.reading_id}", subject=f"log:{instance.id}",
                      reading_id=event.reading_id)  # fmt: skip


def _refuse(tx: Tx, event: LogsRequested, message: str, what_to_do: str) -> None:
    problem = Problem(step="read", message=message, what_to_do=what_to_do)
    tx.emit(LogsRead(reading_id=event.reading_id, cluster_id=event.cluster_id, instance_id=event.instance_id, sequence=0,
                     last=True, problem=problem))  # fmt: skip
