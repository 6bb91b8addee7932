"""Schedules of backups: what may be asked, and what answers look like."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from services.api.schemas.answer import Shown, identity, many, moment, number, text
from services.api.schemas.answer import one as the
from services.api.schemas.base import Strict, flag, whole
from shared import cron
from shared.contracts.backups import FULL, INCREMENTAL
from shared.contracts.schedules import FULL_DAYS, Outcome, Terms
from shared.errors import FieldError, Invalid

LEAST_GAP = timedelta(minutes=15)
_STORE = validate.Regexp(r"^([a-z0-9][a-z0-9-]{0,62})?\Z", error="must be the name of a store")
_KEPT = "as long as it is among the last `count`, or no older than `days`; with neither for ever"


class RetentionChoice(Strict):
    """For how long backups are kept; what neither number wants any more goes."""

    count = whole(1, 1000, default=None, allow_none=True, description="so many of the last ones")
    days = whole(1, 36_500, default=None, allow_none=True, description="each for so many days")


class ScheduleCreate(Strict):
    """A schedule that is wanted."""

    cron = fields.String(
        required=True,
        metadata={"description": "minute, hour, day of the month, month, day of the week; 15 minutes apart at least",
                  "example": "30 3 * * *"},
    )  # fmt: skip
    timezone = fields.String(
        load_default="UTC", metadata={"description": "whose clocks `cron` speaks of: an IANA name, as in Europe/Berlin"}
    )
    kind = fields.String(
        load_default=FULL, validate=validate.OneOf((FULL, INCREMENTAL)),
        metadata={"description": "incremental: what has changed since the last backup, and now and then a full one"},
    )  # fmt: skip
    full_days = whole(
        1, 365, default=FULL_DAYS,
        description="of incremental ones: one is a full one whenever the last full one is so many days old",
    )  # fmt: skip
    store = fields.String(
        load_default="", allow_none=True, validate=_STORE,
        metadata={"description": "where backups go; null: where they usually go"},
    )  # fmt: skip
    retention = fields.Nested(
        RetentionChoice, load_default=lambda: {"count": None, "days": 7},
        metadata={"description": f"a backup is kept {_KEPT}; without this for 7 days"},
    )  # fmt: skip
    enabled = flag(True, description="false: it is paused")
    verify_days = whole(
        1, 365, default=None, allow_none=True,
        description="the newest backup is proved by a restore whenever so many days have passed; null: never by itself",
    )  # fmt: skip

    @ma.post_load
    def _in_its_usual_form(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        cron_and_store = {name: " ".join((data[name] or "").split()) for name in ("cron", "store") if name in data}
        return data | cron_and_store


class SchedulePatch(ScheduleCreate):
    """What may be changed of a schedule; `retention` as a whole."""

    def __init__(self) -> None:
        super().__init__(
            partial=("cron", "timezone", "kind", "full_days", "store", "enabled", "retention", "verify_days")
        )


class Retention(Shown):
    """For how long backups are kept."""

    count = number(null=True)
    days = number(null=True)


class ScheduleRun(Shown):
    """A time at which a schedule was due, and what became of it."""

    due_at = moment()
    outcome = fields.String(required=True, validate=validate.OneOf(list(Outcome)))
    message = text(words="why it has failed, or is not what it was to be")
    backup = identity()
    operation = identity()


class Schedule(Shown):
    """A schedule."""

    id = identity()
    cluster = identity()
    cron = text()
    timezone = text()
    kind = text(words="full or incremental")
    full_days = number(words="of incremental ones: one is a full one whenever the last full one is so many days old")
    store = text(null=True, words="null: where backups usually go")
    retention = the(Retention)
    enabled = fields.Boolean(required=True)
    verify_days = number(null=True, words="null: it has no backup proved by itself")
    next_times = fields.List(
        fields.AwareDateTime(), required=True,
        metadata={"description": "the next five, spread: each schedule begins up to five minutes after what its cron says"},
    )  # fmt: skip
    last_run = the(ScheduleRun, null=True)
    created_at = moment()


class Schedules(Shown):
    """The schedules of a cluster."""

    schedules = many(Schedule)
    next = text(null=True, words="always null: all of them are on one page")


def check_times(terms: Terms) -> None:
    """Refuse times that nobody understands, or that are too close together. Raises Invalid that names each field."""
    if cron.read(terms.cron, terms.timezone).least_gap() < LEAST_GAP:
        words = f"names times that are less than {LEAST_GAP.seconds // 60} minutes apart"
        raise Invalid(
            "the request was not accepted",
            (FieldError("cron", words),),
            what_to_do="let more time pass between backups",
        )
