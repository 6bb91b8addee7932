"""A schedule has its newest backup proved from time to time, by the word that it is due."""

from __future__ import annotations

from services.scheduler.actions import proving, schedules
from shared.clock import ManualClock
from shared.contracts.api import ScheduleRequested
from shared.contracts.backups import BackupVerified, Proof
from shared.contracts.scheduler import VerificationDue
from shared.contracts.schedules import Terms
from shared.db import Database
from tests.support.outbox import said
from tests.unit.services.scheduler.test_keeping import complete

PROOF = Proof(engine="15.8", seconds=60.0, rpo_seconds=90.0)


def want(database: Database, days: int | None, version: int = 1, *, enabled: bool = True) -> None:
    terms = Terms(cron="0 3 * * *", verify_days=days, enabled=enabled)
    wish = ScheduleRequested(schedule_id="s1", cluster_id="c1", project_id="p1", version=version, terms=terms)
    schedules.want(database, wish)


def passed(database: Database, name: str) -> None:
    """A backup is proved."""
    proving.verified(
        database,
        BackupVerified(backup_id=name, cluster_id="c1", proof_id="x", operation_id=f"prove-{name}", proof=PROOF),
    )


def due(database: Database) -> list[str]:
    return [one.backup_id for one in said(database, VerificationDue)]


def test_the_first_backup_is_to_be_proved_and_then_one_whenever_so_many_days_have_passed(
    database: Database, clock: ManualClock
) -> None:
    want(database, 3)
    complete(database, clock, "b0")
    (event,) = said(database, VerificationDue)
    assert (event.schedule_id, event.backup_id, event.cluster_id, event.project_id) == ("s1", "b0", "c1", "p1")
    passed(database, "b0")
    for number in range(1, 8):
        # Each is a little earlier or later than the one before.
        clock.advance(600 if number % 2 else -600)
        complete(database, clock, f"b{number}")
        if f"b{number}" in due(database):
            passed(database, f"b{number}")
    assert due(database) == ["b0", "b3", "b6"]


def test_a_proof_that_is_not_passed_is_followed_by_one_of_the_next_night_s_backup(
    database: Database, clock: ManualClock
) -> None:
    want(database, 30)
    complete(database, clock, "b0")
    complete(database, clock, "b1")
    assert due(database) == ["b0", "b1"]
    passed(database, "b0")
    complete(database, clock, "b2")
    assert due(database) == ["b0", "b1", "b2"], "the word about an older one is none about the last"


def test_while_a_proof_may_be_on_its_way_there_is_no_other(database: Database, clock: ManualClock) -> None:
    want(database, 1)
    complete(database, clock, "b0")
    clock.advance(-24 * 3600 + 3600)
    complete(database, clock, "b1")
    assert due(database) == ["b0"]


def test_nothing_is_proved_where_nobody_has_wished_for_it_or_the_schedule_is_paused(
    database: Database, clock: ManualClock
) -> None:
    want(database, None)
    complete(database, clock, "b0")
    want(database, 1, 2, enabled=False)
    complete(database, clock, "b1")
    complete(database, clock, "b2", schedule="")
    assert due(database) == []
