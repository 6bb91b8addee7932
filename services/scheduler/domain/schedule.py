"""A schedule: when a cluster's backups are due, and for how long they are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.contracts.backups import FULL, INCREMENTAL
from shared.contracts.schedules import FULL_DAYS, Retention, ScheduleRun, Terms
from shared.cron import number_of

KINDS = (FULL, INCREMENTAL)
# A night has six hours, in which clusters that nobody has given another time are backed up.
NIGHT_HOURS = 6
# A proof that was not passed, or of which nobody has heard, is followed by one of the next backup, but by one a day at most; and
# backups of a schedule take now longer, now shorter: what is due in this night is not left for the next.
AGAIN, SLACK = timedelta(hours=18), timedelta(hours=12)
# So long after its time a full backup may have begun: the next one is not put off for that.
LATE = timedelta(hours=3)


@dataclass
class Schedule:
    """`cron` is five fields in `timezone`; `next_at` is the next time, in UTC; `kind` is full or incremental.

    `last_at` is the last time that was announced, as `last_operation_id`; `said_at` is when that was said last, and None
    once it was answered. `version` is the number of the user's wish that it follows, `sequence` that of what was said of it.
    One that was removed at `removed_at` is kept for the sake of what it has made. `proof_backup_id` is the backup of which was last
    said that its proof is due, at `proof_said_at`; `proven_at` when that was said of the last one that has passed.
    """

    id: str
    cluster_id: str
    project_id: str
    cron: str
    next_at: datetime
    timezone: str = "UTC"
    kind: str = FULL
    enabled: bool = True
    last_at: datetime | None = None
    last_operation_id: str = ""
    said_at: datetime | None = None
    store: str = ""
    keep_count: int | None = None
    keep_days: int | None = None
    version: int = 0
    sequence: int = 0
    removed_at: datetime | None = None
    last_backup_id: str = ""
    last_outcome: str = ""
    last_message: str = ""
    verify_days: int | None = None
    proof_backup_id: str = ""
    proof_said_at: datetime | None = None
    proven_at: datetime | None = None
    full_days: int = FULL_DAYS

    def wants_proof(self, now: datetime) -> bool:
        """Whether a backup that is completed now is to be proved: it is time, and none is likely to be on its way."""
        if not self.verify_days or not self.enabled:
            return False
        lately = self.proof_said_at is not None and now - self.proof_said_at < AGAIN
        well = self.proven_at is not None and now - self.proven_at < timedelta(days=self.verify_days) - SLACK
        return not lately and not well

    def kind_at(self, now: datetime, last_full_at: datetime | None) -> str:
        """What is made now, where the last full one was begun at that moment: another full one where that is old enough, or is none."""
        if self.kind == FULL or last_full_at is None or now - last_full_at >= timedelta(days=self.full_days) - LATE:
            return FULL
        return self.kind

    @property
    def terms(self) -> Terms:
        """What a user has chosen."""
        return Terms(cron=self.cron, timezone=self.timezone, kind=self.kind, store=self.store, enabled=self.enabled,
                     verify_days=self.verify_days, full_days=self.full_days,
                     retention=Retention(count=self.keep_count, days=self.keep_days))  # fmt: skip

    @property
    def last(self) -> ScheduleRun | None:
        """Its last run; None: it has had none, or one of which an older release has kept too little."""
        if self.last_at is None or not self.last_outcome:
            return None
        return ScheduleRun(due_at=self.last_at, backup_id=self.last_backup_id, operation_id=self.last_operation_id,
                           outcome=self.last_outcome, message=self.last_message)  # fmt: skip


def every_night(cluster_id: str, timezone: str, days: int) -> Terms:
    """A full backup at a time of night that is this cluster's own, so that not all of them are made at once."""
    minutes = number_of(f"night:{cluster_id}") % (NIGHT_HOURS * 60)
    return Terms(cron=f"{minutes % 60} {minutes // 60} * * *", timezone=timezone, retention=Retention(days=days))
