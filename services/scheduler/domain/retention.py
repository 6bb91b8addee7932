"""Which backups have been kept for long enough. A pure function: what is to go, of all that there is of a cluster."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.contracts.schedules import Retention

# What a schedule that is over has made is kept as long as it said; where it counted only, nobody counts any more.
DAYS_WITHOUT_SCHEDULE = 30


@dataclass(frozen=True)
class Kept:
    """A backup that is kept, or is being made: `at` is when it was completed, and None until then.

    `going` is one that was told to go and is still there; `damaged` one that cannot be restored any more. One of no schedule,
    `schedule_id` empty, is its user's to delete.
    """

    id: str
    schedule_id: str = ""
    base_id: str = ""
    at: datetime | None = None
    going: bool = False
    damaged: bool = False


def rule_of(chosen: Retention, *, over: bool) -> Retention:
    """What counts for the backups of a schedule; `over`: it makes no more, for it or its cluster is gone."""
    return Retention(days=chosen.days or DAYS_WITHOUT_SCHEDULE) if over else chosen


def to_go(there: Sequence[Kept], rules: Mapping[str, Retention], now: datetime, *, alive: bool) -> list[str]:
    """The ids of those that have been kept for long enough, and upon which none builds that is still there.

    A chain goes from its end: what its last one was built upon goes once that one is gone. Of a cluster that is `alive`
    the newest good backup stays, with all that it builds upon, however old it is. One whose schedule is not among `rules`
    stays. One that is damaged goes when a good one of its age would, and takes no good one's place.
    """
    needed = {one.base_id for one in there if one.base_id}
    good = [one for one in there if one.at is not None and not one.going]
    newest = max((one for one in good if not one.damaged), key=_age_order, default=None)
    spared = {newest.id} if newest is not None and alive else set()
    wanted = spared | _wanted(good, rules, now)
    return [one.id for one in sorted(good, key=_age_order, reverse=True) if one.id not in needed | wanted]


def _wanted(good: Iterable[Kept], rules: Mapping[str, Retention], now: datetime) -> set[str]:
    """Those that are kept for their own sake, as long as either number wants it."""
    by_schedule: defaultdict[str, list[Kept]] = defaultdict(list)
    for one in good:
        by_schedule[one.schedule_id].append(one)
    found: set[str] = set()
    for schedule_id, mine in by_schedule.items():
        rule = rules.get(schedule_id)
        if rule is None or (rule.count is None and rule.days is None):
            found |= {one.id for one in mine}
            continue
        mine.sort(key=_age_order, reverse=True)
        found |= _newest(mine, rule.count or 0)
        if rule.days is not None:
            oldest = now - timedelta(days=rule.days)
            found |= {one.id for one in mine if one.at is not None and one.at >= oldest}
    return found


def _newest(mine: Sequence[Kept], count: int) -> set[str]:
    """So many good ones, of those that come newest first, and what is damaged and younger than the oldest of these."""
    found: set[str] = set()
    for one in mine:
        if not count:
            break
        found.add(one.id)
        count -= not one.damaged
    return found


def _age_order(one: Kept) -> tuple[datetime, str]:
    assert one.at is not None
    return one.at, one.id
