"""What is to go, of any backups: no chain is broken, and the last good one stays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.scheduler.domain.retention import DAYS_WITHOUT_SCHEDULE, Kept, rule_of, to_go
from shared.contracts.schedules import Retention

NOW = datetime(2026, 6, 1, tzinfo=UTC)
SCHEDULES = ("hourly", "weekly")
NUMBERS = st.none() | st.integers(1, 5)
SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
RULE = st.tuples(NUMBERS, NUMBERS).map(lambda pair: Retention(count=pair[0], days=pair[1]))
RULES = st.fixed_dictionaries(dict.fromkeys(SCHEDULES, RULE))


@st.composite
def histories(draw: Any) -> list[Kept]:
    """Backups in the order in which they were made: full ones, incremental ones upon any before, some not done yet."""
    found: list[Kept] = []
    for number in range(draw(st.integers(0, 14))):
        base = draw(st.sampled_from([""] + [one.id for one in found if one.at is not None]))
        age = timedelta(hours=draw(st.integers(0, 240)))
        found.append(
            Kept(
                f"b{number}",
                draw(st.sampled_from((*SCHEDULES, ""))),
                base,
                NOW - age if draw(st.integers(0, 5)) else None,
            )
        )
    return found


def after_all(there: Sequence[Kept], rules: dict[str, Retention], *, alive: bool = True) -> list[Kept]:
    """What is left once whatever was told to go has gone, again and again."""
    left = list(there)
    while going := to_go(left, rules, NOW, alive=alive):
        left = [one for one in left if one.id not in going]
    return left


@SLOW
@given(histories(), RULES, st.booleans())
def test_no_chain_is_ever_broken(there: list[Kept], rules: dict[str, Retention], alive: bool) -> None:
    going = to_go(there, rules, NOW, alive=alive)
    assert not {one.base_id for one in there} & set(going)
    left = {one.id for one in after_all(there, rules, alive=alive)}
    assert all(one.base_id in left for one in there if one.id in left and one.base_id)


@SLOW
@given(histories(), RULES)
def test_the_last_good_one_never_goes(there: list[Kept], rules: dict[str, Retention]) -> None:
    good = [one for one in there if one.at is not None]
    left = after_all(there, rules)
    if good:
        newest = max(good, key=lambda one: (one.at, one.id))
        assert newest in left


@SLOW
@given(histories(), RULES)
def test_what_no_rule_wants_and_nothing_needs_goes_and_nothing_else(
    there: list[Kept], rules: dict[str, Retention]
) -> None:
    left = after_all(there, rules)
    needed = {one.base_id for one in left}
    good = [one for one in there if one.at is not None]
    newest = max(good, key=lambda one: (one.at, one.id), default=None)
    for one in there:
        rule = rules.get(one.schedule_id, Retention())
        younger = [
            two for two in good if two.schedule_id == one.schedule_id and one.at and (two.at, two.id) > (one.at, one.id)
        ]
        wanted = (
            one.at is None
            or one is newest
            or rule == Retention()
            or (rule.count is not None and len(younger) < rule.count)
            or (rule.days is not None and one.at >= NOW - timedelta(days=rule.days))
        )
        assert (one in left) == (wanted or one.id in needed)


@SLOW
@given(histories(), RULES)
def test_what_users_have_made_themselves_is_theirs_to_delete(there: list[Kept], rules: dict[str, Retention]) -> None:
    left = after_all(there, rules, alive=False)
    assert [one for one in left if not one.schedule_id] == [one for one in there if not one.schedule_id]


def made(name: str, days: float, base: str = "", **more: Any) -> Kept:
    return Kept(name, "weekly", base, NOW - timedelta(days=days), **more)


def test_a_chain_goes_from_its_end_one_after_the_other() -> None:
    chain = [made("full", 30), made("one", 29, "full"), made("two", 28, "one"), made("new", 0)]
    rules = {"weekly": Retention(count=1)}
    assert to_go(chain, rules, NOW, alive=True) == ["two"]
    assert to_go([*chain[:2], made("two", 28, "one", going=True), chain[3]], rules, NOW, alive=True) == []
    assert to_go([*chain[:2], chain[3]], rules, NOW, alive=True) == ["one"]


def test_what_is_being_made_keeps_what_it_builds_upon() -> None:
    there = [made("full", 30), Kept("coming", "weekly", "full"), made("new", 0)]
    assert to_go(there, {"weekly": Retention(count=1)}, NOW, alive=True) == []


@pytest.mark.parametrize(
    ("chosen", "days"),
    [(Retention(count=3), DAYS_WITHOUT_SCHEDULE), (Retention(count=3, days=5), 5), (Retention(), 30)],
)
def test_when_a_schedule_is_over_nobody_counts_any_more_and_nothing_is_kept_for_ever(
    chosen: Retention, days: int
) -> None:
    rules = {"weekly": rule_of(chosen, over=True)}
    there = [made("old", days + 1), made("older", days + 2), made("young", days - 1)]
    assert to_go(there, rules, NOW, alive=False) == ["old", "older"]
    assert to_go([made("old", days + 1)], rules, NOW, alive=True) == []
    assert to_go([made("old", days + 1)], rules, NOW, alive=False) == ["old"]
