"""When something that recurs is due: five fields of cron in a time zone, honest where clocks are changed.

A time of day that does not exist on one day, for clocks were put forward over it, comes at the moment after the gap; one
that comes twice, for clocks were put back, comes the first time. Where every hour is named, it is the distance that is
meant and not the time of day: then each hour that passes counts, whatever clocks say of it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter
from croniter.croniter import CroniterError

from shared.errors import FieldError, Invalid

FIELDS, LONGEST = 5, 128
EVERY = "*"
# A thousand things that are due at midnight begin within so many seconds of it, and not all at once.
SPREAD_SECONDS = 300
_SECOND = timedelta(seconds=1)
# Names of months and days have three letters, `L` is the last one. `H` and `R` of some crons are chance: two who work out
# when something is due must not come to two results.
_FIELD = re.compile(r"(?:[\d*,/#?-]|[A-Za-z]{3}|[Ll])+")
_WORDS = "must be five fields: minute, hour, day of the month, month, day of the week"
# A day has at most 96 quarters of an hour: what is closer together shows among so many times.
_LOOKED_AT = 100
_SOME_DAY = datetime(2026, 1, 1)  # noqa: DTZ001 - what clocks on the wall show, in no zone


@dataclass(frozen=True)
class Cron:
    """Times that recur: `expression` as clocks show them in `timezone`, an IANA name. Made by `read`."""

    expression: str
    timezone: str = "UTC"

    def after(self, moment: datetime) -> datetime:
        """The first time after `moment`, in UTC."""
        zone = ZoneInfo(self.timezone)
        every_hour = self.expression.split()[1] == EVERY
        return self._by_the_hour(moment, zone) if every_hour else self._by_the_clock(moment, zone)

    def least_gap(self) -> timedelta:
        """How close together two of its times are at most, by clocks that nobody changes."""
        ticks = croniter(self.expression, _SOME_DAY)
        times = [ticks.get_next(datetime) for _ in range(_LOOKED_AT)]
        return min(later - sooner for sooner, later in pairwise(times))

    def _by_the_clock(self, moment: datetime, zone: ZoneInfo) -> datetime:
        ticks = croniter(self.expression, moment.astimezone(zone).replace(tzinfo=None))
        # In the second of two hours of one name, all that clocks show has been there already.
        while (found := _moment_of(ticks.get_next(datetime), zone)) <= moment:
            continue
        return found

    def _by_the_hour(self, moment: datetime, zone: ZoneInfo) -> datetime:
        here = moment.astimezone(zone)
        offset = here.utcoffset() or timedelta()
        wall: datetime = croniter(self.expression, here.replace(tzinfo=None)).get_next(datetime)
        found = (wall - offset).replace(tzinfo=UTC)
        if found.astimezone(zone).utcoffset() == offset:
            return found
        # Clocks are changed before that: what they show from then on decides.
        change = _change_between(moment, found, zone)
        wall = change.astimezone(zone).replace(tzinfo=None) - _SECOND
        return _moment_like(croniter(self.expression, wall).get_next(datetime), change, zone)


def read(expression: str, timezone: str) -> Cron:
    """What somebody has written. Raises Invalid that names `cron`, `timezone` or both."""
    wrong = tuple(filter(None, (_objection_to_zone(timezone), _objection_to_cron(expression))))
    if wrong:
        raise Invalid("unknown times", wrong, what_to_do="mend the fields named in `errors`")
    return Cron(" ".join(expression.split()), timezone)


def spread(name: str) -> timedelta:
    """By how much what is called so comes later than its cron says: always the same, and below SPREAD_SECONDS."""
    return timedelta(seconds=number_of(name) % SPREAD_SECONDS)


def number_of(name: str) -> int:
    """A number that a name always has, and hardly another one."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])


def due_after(cron: Cron, name: str, moment: datetime) -> datetime:
    """When what is called so is due for the first time after `moment`, spread as it is."""
    late = spread(name)
    return cron.after(moment - late) + late


def due_times(cron: Cron, name: str, moment: datetime, count: int) -> list[datetime]:
    """The next `count` times after `moment`."""
    return list(islice(_due(cron, name, moment), count))


def _due(cron: Cron, name: str, moment: datetime) -> Iterator[datetime]:
    while True:
        moment = due_after(cron, name, moment)
        yield moment


def _objection_to_zone(timezone: str) -> FieldError | None:
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return FieldError("timezone", f"{timezone[:64]!r} is no IANA time zone, as in Europe/Berlin")
    return None


def _objection_to_cron(expression: str) -> FieldError | None:
    parts = expression.split()
    # Six fields would be seconds: a backup every second is nobody's wish.
    if len(expression) > LONGEST or len(parts) != FIELDS or not all(map(_FIELD.fullmatch, parts)):
        return FieldError("cron", _WORDS)
    try:
        croniter(expression, _SOME_DAY).get_next(datetime)
    except (CroniterError, ValueError) as error:
        return FieldError("cron", f"names no time that ever comes: {error}")
    return None


def _moment_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """When clocks show `wall`: of two moments the first; for none, when they skip it. PEP 495 says what `fold` does."""
    moment = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None, fold=0) == wall:
        return moment
    return _change_between(wall.replace(tzinfo=zone, fold=1).astimezone(UTC), moment, zone)


def _moment_like(wall: datetime, other: datetime, zone: ZoneInfo) -> datetime:
    """When clocks show `wall` that are set as they are at `other`."""
    return (wall - (other.astimezone(zone).utcoffset() or timedelta())).replace(tzinfo=UTC)


def _change_between(early: datetime, late: datetime, zone: ZoneInfo) -> datetime:
    """When clocks were set as they are at `late`, and were not at `early`."""
    offset = late.astimezone(zone).utcoffset()
    while late - early > _SECOND:
        middle = early + (late - early) / 2
        early, late = (early, middle) if middle.astimezone(zone).utcoffset() == offset else (middle, late)
    return late.astimezone(UTC).replace(microsecond=0)
