"""Schedules as they are shown."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row

from services.api.store.views import stamp
from shared import cron
from shared.contracts.base import load
from shared.contracts.schedules import ScheduleRun, Terms

TIMES = 5


def schedule(row: Row[Any], now: datetime) -> dict[str, Any]:
    """One schedule, and the next times at which it really begins."""
    terms = load(Terms, row.terms)
    return {
        "id": row.id, "cluster": row.cluster_id, "cron": terms.cron, "timezone": terms.timezone, "kind": terms.kind,
        "store": terms.store or None, "retention": vars(terms.retention), "enabled": terms.enabled,
        "verify_days": terms.verify_days, "full_days": terms.full_days,
        "next_times": [stamp(one) for one in _next_times(row, terms, now)] if terms.enabled else [],
        "last_run": _run(load(ScheduleRun, row.last)) if row.last else None, "created_at": stamp(row.created_at),
    }  # fmt: skip


def _next_times(row: Row[Any], terms: Terms, now: datetime) -> list[datetime]:
    """Those that the scheduler will announce: from the one that it has named on, where it has."""
    times = cron.Cron(terms.cron, terms.timezone)
    if row.next_at is None or row.next_at <= now:
        return cron.due_times(times, row.id, now, TIMES)
    return [row.next_at, *cron.due_times(times, row.id, row.next_at, TIMES - 1)]


def _run(last: ScheduleRun) -> dict[str, Any]:
    return {"due_at": stamp(last.due_at), "outcome": last.outcome, "message": last.message, "backup": last.backup_id,
            "operation": last.operation_id}  # fmt: skip
