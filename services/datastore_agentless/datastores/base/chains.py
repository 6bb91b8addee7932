"""Which stretches of a log join without a hole, over failovers as well, and how far that leads from a backup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.datastore_agentless.datastores.base.replaying import Place, Replaying
from services.datastore_agentless.domain.archive import Archive, Stretch

# A piece may be written to its end a moment after something of the next one was committed.
SETTLED = timedelta(seconds=1)


@dataclass(frozen=True)
class Chain:
    """Stretches that join, the oldest first, over one line or several. `until`: all that was committed by then is in them."""

    stretches: tuple[Stretch, ...]
    until: datetime
    replaying: Replaying

    def after(self, place: Place) -> tuple[Stretch, ...] | None:
        """What there is from a place on, nothing where it is the next to come; None where the chain does not reach it."""
        for number, one in enumerate(self.stretches):
            if (there := self.replaying.after(place, one)) is not None:
                return (there, *self.stretches[number + 1 :])
        return () if self.replaying.comes_next(place, self.stretches[-1]) else None


def chains(replaying: Replaying, stretches: Sequence[Stretch], archive: Archive | None) -> list[Chain]:
    """Every chain, the one that was written last at first. What a look has vouched for counts where no hole was found since."""
    paths = [_path(replaying, one, stretches) for one in stretches]
    # What another chain goes through to its end is none of its own.
    inner = {(one.instance_id, one.line, one.last) for path in paths for one in path[:-1]}
    ends = [path for path in paths if (path[-1].instance_id, path[-1].line, path[-1].last) not in inner]
    ends.sort(key=lambda path: (path[-1].at, path[-1].line, path[-1].last), reverse=True)
    vouched = archive.until if archive is not None and archive.broken_at is None else None
    found = []
    for number, path in enumerate(ends):
        until = path[-1].at - SETTLED
        known = max(until, vouched) if vouched is not None and number == 0 else until
        found.append(Chain(path, known, replaying))
    return found


def reach(found: Iterable[Chain], place: Place) -> tuple[datetime, tuple[Stretch, ...]] | None:
    """Until when the log goes on from a piece, and what there is from there on; None where no chain has that piece."""
    reached = [(chain.until, there) for chain in found if (there := chain.after(place)) is not None]
    return max(reached, key=lambda one: one[0], default=None)


def _path(replaying: Replaying, last: Stretch, stretches: Sequence[Stretch]) -> tuple[Stretch, ...]:
    """All that leads to the end of this one, as far back as it joins; of an older line as much as the newer one goes on from."""
    before = replaying.came_from(last, stretches)
    return (last,) if before is None else (*_path(replaying, before, stretches), last)
