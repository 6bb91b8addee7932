"""Schedules follow wishes, in whatever order these come, and say how they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.scheduler.actions import schedules
from shared.clock import ManualClock
from shared.contracts.api import ScheduleRemoveRequested, ScheduleRequested
from shared.contracts.scheduler import ScheduleRemoved, ScheduleSet
from shared.contracts.schedules import Retention, Terms
from shared.db import Database
from shared.errors import Invalid, NotFound
from tests.support.outbox import said

DAILY = Terms(cron="0 3 * * *", timezone="Europe/Berlin", store="cellar", retention=Retention(count=3, days=7))
WHOSE = {"schedule_id": "s1", "cluster_id": "c1", "project_id": "p1"}


def want(database: Database, version: int, terms: Terms = DAILY) -> ScheduleRequested:
    wish = ScheduleRequested(**WHOSE, version=version, terms=terms)
    schedules.want(database, wish)
    return wish


def unwant(database: Database, version: int) -> None:
    schedules.unwant(database, ScheduleRemoveRequested(**WHOSE, version=version))


def told(database: Database) -> list[Any]:
    return said(database, ScheduleSet)


def test_a_wish_makes_a_schedule_and_the_next_one_changes_it(database: Database) -> None:
    want(database, 1)
    assert [(one.version, one.sequence, one.terms) for one in told(database)] == [(1, 1, DAILY)]
    changed = replace(DAILY, cron="0 4 * * *", retention=Retention())
    want(database, 2, changed)
    assert [(one.version, one.sequence, one.terms) for one in told(database)][1:] == [(2, 2, changed)]
    assert [entry.terms for entry in schedules.of_cluster(database, "c1")] == [changed]


def test_a_wish_that_comes_twice_or_late_changes_nothing_and_is_answered(database: Database) -> None:
    want(database, 2)
    wish = want(database, 1, replace(DAILY, cron="0 5 * * *"))
    schedules.want(database, wish)
    assert [(one.version, one.terms.cron) for one in told(database)] == [(2, "0 3 * * *")] * 2


def test_what_is_kept_may_be_changed_without_a_change_of_the_next_time(database: Database, clock: ManualClock) -> None:
    want(database, 1)
    before = told(database)[-1].next_at
    clock.advance(20 * 3600)
    want(database, 2, replace(DAILY, retention=Retention(days=1)))
    assert told(database)[-1].next_at == before


def test_a_schedule_that_was_removed_stays_so_whatever_comes_late(database: Database) -> None:
    want(database, 1)
    unwant(database, 2)
    want(database, 1)
    unwant(database, 2)
    assert [one.version for one in said(database, ScheduleRemoved)] == [2, 2, 2]
    assert schedules.of_cluster(database, "c1") == []
    assert len(told(database)) == 1
    with pytest.raises(NotFound):
        schedules.remove(database, "s1")


def test_an_end_that_overtakes_its_beginning_counts(database: Database) -> None:
    unwant(database, 2)
    want(database, 1)
    assert [one.version for one in said(database, ScheduleRemoved)] == [2, 2]
    assert schedules.of_cluster(database, "c1") == []


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        (Terms(cron="daily"), "cron"),
        (Terms(cron="0 0 * * *", timezone="Mars/Base"), "timezone"),
        (Terms(cron="0 0 * * *", kind="partial"), "kind"),
    ],
)
def test_a_bad_schedule_is_refused_by_field(database: Database, terms: Terms, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        want(database, 1, terms)
    assert caught.value.errors[0].field == field


def test_a_wish_over_rpc_that_comes_twice_is_one_schedule(database: Database) -> None:
    first = schedules.add(database, "c1", "p1", "0 0 * * *", "UTC", "full", "s1")
    again = schedules.add(database, "c1", "p1", "0 0 * * *", "UTC", "full", "s1")
    assert (again.id, again.next_at) == (first.id, first.next_at)
    assert [entry.id for entry in schedules.of_cluster(database, "c1")] == ["s1"]
