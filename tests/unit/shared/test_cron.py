"""When what recurs is due, where clocks are changed and where they are not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared import cron
from shared.cron import Cron
from shared.errors import Invalid

BERLIN, NEW_YORK, LORD_HOWE, APIA = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"


def times(expression: str, zone: str, start: str, count: int) -> list[str]:
    """The next times after `start`, all in UTC."""
    moment, found = datetime.fromisoformat(start).replace(tzinfo=UTC), []
    for _ in range(count):
        moment = cron.read(expression, zone).after(moment)
        found.append(moment.strftime("%d %H:%M"))
    return found


def test_a_time_of_day_follows_clocks_that_are_put_forward_and_back() -> None:
    assert times("30 4 * * *", BERLIN, "2026-03-28", 3) == ["28 03:30", "29 02:30", "30 02:30"]
    assert times("30 4 * * *", BERLIN, "2026-10-24", 3) == ["24 02:30", "25 03:30", "26 03:30"]


@pytest.mark.parametrize(
    ("expression", "zone", "start", "expected"),
    [
        # Clocks go from 2:00 to 3:00, at 1:00 UTC and at 7:00 UTC.
        ("30 2 * * *", BERLIN, "2026-03-28", ["28 01:30", "29 01:00", "30 00:30"]),
        ("0 2 * * *", BERLIN, "2026-03-28", ["28 01:00", "29 01:00", "30 00:00"]),
        ("59 2 * * *", NEW_YORK, "2026-03-07", ["07 07:59", "08 07:00", "09 06:59"]),
        # By half an hour, from 2:00 to 2:30, at 15:30 UTC of the day before.
        ("15 2 * * *", LORD_HOWE, "2026-10-02", ["02 15:45", "03 15:30", "04 15:15"]),
        # The whole of December 30 was left out.
        ("0 12 * * *", APIA, "2011-12-29", ["29 22:00", "30 10:00", "30 22:00"]),
        # Several times in the gap, and one at its end, are one moment.
        ("0,20,40 2,3 * * *", BERLIN, "2026-03-29", ["29 01:00", "29 01:20", "29 01:40", "30 00:00"]),
    ],
)
def test_a_time_that_does_not_exist_comes_once_at_the_moment_after_the_gap(
    expression: str, zone: str, start: str, expected: list[str]
) -> None:
    assert times(expression, zone, start, len(expected)) == expected


@pytest.mark.parametrize(
    ("expression", "zone", "start", "expected"),
    [
        # Clocks go from 3:00 to 2:00 at 1:00 UTC.
        ("30 2 * * *", BERLIN, "2026-10-24", ["24 00:30", "25 00:30", "26 01:30"]),
        ("0 2 * * *", BERLIN, "2026-10-23T12:00", ["24 00:00", "25 00:00", "26 01:00"]),
        ("0 3 * * *", BERLIN, "2026-10-24", ["24 01:00", "25 02:00", "26 02:00"]),
        ("*/30 1,2 * * *", BERLIN, "2026-10-24T23:15", ["24 23:30", "25 00:00", "25 00:30", "26 00:00"]),
        ("30 1 * * *", NEW_YORK, "2026-11-01", ["01 05:30", "02 06:30"]),
    ],
)
def test_a_time_that_comes_twice_comes_the_first_time(
    expression: str, zone: str, start: str, expected: list[str]
) -> None:
    assert times(expression, zone, start, len(expected)) == expected


@pytest.mark.parametrize("start", ["2026-10-25T00:40", "2026-10-25T01:10", "2026-10-25T01:30", "2026-10-25T01:59"])
def test_who_looks_within_the_doubled_hour_does_not_find_it_again(start: str) -> None:
    assert times("30 2 * * *", BERLIN, start, 1) == ["26 01:30"]


def test_where_every_hour_is_named_each_hour_that_passes_counts() -> None:
    spring = times("30 * * * *", BERLIN, "2026-03-29", 4)
    assert spring == ["29 00:30", "29 01:30", "29 02:30", "29 03:30"]
    autumn = times("30 * * * *", BERLIN, "2026-10-24T23:45", 4)
    assert autumn == ["25 00:30", "25 01:30", "25 02:30", "25 03:30"]
    assert times("*/15 * 25 10 *", BERLIN, "2026-10-25T00:40", 3) == ["25 00:45", "25 01:00", "25 01:15"]
    assert times("0 * 1 4 *", BERLIN, "2026-01-01", 2) == ["31 22:00", "31 23:00"]
    assert times("10 * * * *", LORD_HOWE, "2026-10-03T14:00", 3) == ["03 14:40", "03 16:10", "03 17:10"]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, "Asia/Kathmandu", "UTC"]),
    st.sampled_from(["*/15 * * * *", "30 2 * * *", "0 */2 * * *", "5 1,2,3 * * *", "0 3 * * sun", "59 23 L * *"]),
    st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_times_always_move_on_and_none_is_left_out_between(zone: str, expression: str, start: datetime) -> None:
    wanted = cron.read(expression, zone)
    first = wanted.after(start)
    assert first > start
    assert first.second == first.microsecond == 0
    # Whoever looks at any moment before it finds the same one.
    between = start + (first - start) / 2
    assert wanted.after(between) == first
    assert wanted.after(first - timedelta(seconds=1)) == first
    assert wanted.after(first) > first


@pytest.mark.parametrize(
    ("expression", "zone", "field"),
    [
        ("every day", "UTC", "cron"), ("0 0 31 2 *", "UTC", "cron"), ("* * * * * *", "UTC", "cron"), ("", "UTC", "cron"),
        ("0 0 * * *" + " " * 200, "UTC", "cron"), ("61 0 * * *", "UTC", "cron"), ("@daily", "UTC", "cron"),
        ("R 3 * * *", "UTC", "cron"), ("H 3 * * *", "UTC", "cron"), ("0 0 * * foo", "UTC", "cron"), ("0 0 W * *", "UTC", "cron"),
        ("0 0 * * *", "Mars/Base", "timezone"), ("0 0 * * *", "../../etc/passwd", "timezone"), ("0 0 * * *", "", "timezone"),
        ("0 0 * * *", "Europe", "timezone"), ("0 0 * * *", "x" * 5000, "timezone"), ("0 0 * * *", "a\0b", "timezone"),
    ],
)  # fmt: skip
def test_what_is_no_cron_or_no_zone_is_refused_by_field(expression: str, zone: str, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        cron.read(expression, zone)
    assert [one.field for one in caught.value.errors] == [field]


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(Invalid) as caught:
        cron.read("daily", "Mars/Base")
    assert {one.field for one in caught.value.errors} == {"cron", "timezone"}


@pytest.mark.parametrize(
    ("expression", "minutes"),
    [("*/15 * * * *", 15), ("* * * * *", 1), ("0,50 * * * *", 10), ("55 23 * * *", 1440), ("0,1 3 * * mon", 1),
     ("0 0,12 * * *", 720)],
)  # fmt: skip
def test_how_close_together_times_are_is_known(expression: str, minutes: int) -> None:
    assert Cron(expression).least_gap() == timedelta(minutes=minutes)


def test_a_thousand_of_one_time_are_spread_over_minutes_and_each_has_always_its_own() -> None:
    start, daily = datetime(2026, 1, 1, tzinfo=UTC), Cron("0 3 * * *")
    due = [cron.due_after(daily, f"schedule-{number}", start) for number in range(1000)]
    assert min(due) >= datetime(2026, 1, 1, 3, tzinfo=UTC)
    assert max(due) < datetime(2026, 1, 1, 3, 5, tzinfo=UTC)
    assert len(set(due)) > 250
    for name in ("schedule-1", "schedule-2"):
        assert {later - sooner for sooner, later in pairwise(cron.due_times(daily, name, start, 5))} == {
            timedelta(days=1)
        }
