"""Schedules of backups over HTTP. A wish is shown at once as it was made; the scheduler follows."""

from __future__ import annotations

from typing import Any

from falcon import Request, Response
from sqlalchemy import Connection

from services.api.actions import schedules
from services.api.http import Context
from services.api.idempotency import Answer, once
from services.api.schemas import schedules as schemas
from services.api.serving import serves
from services.api.store.schedules import schedule
from shared.contracts.schedules import Terms
from shared.db import Tx


class Schedules:
    """`/v1/clusters/{id}/schedules`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(gives=schemas.Schedules)
    def on_get(self, request: Request, response: Response, cluster_id: str) -> None:
        """When the cluster is backed up, and what became of that last."""
        database = self._context.database
        with database.read() as connection:
            rows = schedules.of_cluster(connection, request.context.caller.project_id, cluster_id)
        response.media = {"schedules": [schedule(row, database.clock.now()) for row in rows], "next": None}

    @serves(role="member", takes=schemas.ScheduleCreate, gives=schemas.Schedule, status=201, conflicts=True)
    def on_post(self, request: Request, response: Response, cluster_id: str) -> None:
        """Have backups made at times that recur; ten schedules at most."""
        project_id, asked = request.context.caller.project_id, request.context.asked
        schemas.check_times(Terms(cron=asked["cron"], timezone=asked["timezone"]))

        def work(tx: Tx) -> Answer:
            made = schedules.create(tx, project_id, cluster_id, asked)
            return 201, self._shown(tx.connection, project_id, cluster_id, made), ""

        once(self._context, request, response, work)

    @serves(gives=schemas.Schedule)
    def on_get_one(self, request: Request, response: Response, cluster_id: str, schedule_id: str) -> None:
        """One schedule."""
        with self._context.database.read() as connection:
            response.media = self._shown(connection, request.context.caller.project_id, cluster_id, schedule_id)

    @serves(role="member", takes=schemas.SchedulePatch, gives=schemas.Schedule)
    def on_patch_one(self, request: Request, response: Response, cluster_id: str, schedule_id: str) -> None:
        """Change what is named of it; `enabled: false` pauses it, and nothing that it misses is made up for."""
        project_id, asked = request.context.caller.project_id, request.context.asked
        with self._context.database.write() as tx:
            terms = schedules.merged(schedules.lock(tx, project_id, cluster_id, schedule_id), asked)
            # One that an operator has made over RPC may run more often, and can be paused all the same.
            if {"cron", "timezone"} & asked.keys():
                schemas.check_times(terms)
            schedules.change(tx, project_id, cluster_id, schedule_id, terms)
            response.media = self._shown(tx.connection, project_id, cluster_id, schedule_id)

    @serves(role="member", status=204)
    def on_delete_one(self, request: Request, _response: Response, cluster_id: str, schedule_id: str) -> None:
        """Remove it. What it has made is kept for as many days as it said, or for 30."""
        with self._context.database.write() as tx:
            schedules.remove(tx, request.context.caller.project_id, cluster_id, schedule_id)

    def _shown(self, connection: Connection, project_id: str, cluster_id: str, schedule_id: str) -> dict[str, Any]:
        row = schedules.get(connection, project_id, cluster_id, schedule_id)
        return schedule(row, self._context.database.clock.now())
