"""From which full backups the log of a cluster goes on without a hole, how far, and which runs lead to a moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from services.datastore_agentless.datastores.base.chains import Chain, chains, reach
from services.datastore_agentless.datastores.base.replaying import Place, Replaying
from services.datastore_agentless.domain.archive import LogRun
from services.datastore_agentless.domain.backup import Backup, State
from services.datastore_agentless.store import archives
from shared.contracts.archives import LogChain
from shared.errors import Failure

# Clocks of hosts are not quite the same, and a piece is finished a moment after its last transaction.
CLOCKS_APART = timedelta(minutes=1)
_OTHERWISE = "see `dtrove backup list` for the moments that can be restored, or restore a backup as it is"


def of_cluster(connection: Connection, replaying: Replaying, cluster_id: str, history: str) -> list[Chain]:
    """Every chain of a cluster's log of these data, also where the cluster is gone; the one that was written last at first."""
    archive = archives.find(connection, cluster_id)
    mine = archive if archive is not None and archive.history == history else None
    return chains(replaying, archives.stretches(connection, cluster_id, history), mine)


def place_of(backup: Backup) -> Place | None:
    """From which piece on a backup needs the log, as was noted when it was made; None: it was not."""
    noted: dict[str, Any] | None = backup.manifest.get("log")
    return None if noted is None else Place(noted["line"], noted["number"], noted.get("position", ""))


def noted(place: Place) -> dict[str, Any]:
    """That, as the manifest of a backup has it."""
    told: dict[str, Any] = {"line": place.line, "number": place.number}
    return {**told, "position": place.position} if place.position else told


def told(found: Iterable[Chain], kept: Iterable[Backup]) -> tuple[LogChain, ...]:
    """What others hear of it: the backups that a log goes on from, those with the same end together."""
    ends: dict[datetime, list[str]] = {}
    known = list(found)
    for backup in kept:
        place = place_of(backup)
        reached = reach(known, place) if place is not None and backup.state == State.COMPLETED else None
        if reached is not None:
            ends.setdefault(reached[0], []).append(backup.id)
    return tuple(LogChain(until=until, backups=tuple(ends[until])) for until in sorted(ends))


def runs_to(connection: Connection, replaying: Replaying, backup: Backup, moment: datetime) -> list[LogRun]:
    """The runs that a backup needs to come to a moment, in order; none where the log had nothing more by then.

    Raises Failure with the reason why there is no way there.
    """
    words, place = f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}", place_of(backup)
    ended = datetime.fromisoformat(backup.manifest["ended"]["at"])
    if moment < ended:
        raise Failure(
            f"backup {backup.id} ended at {backup.manifest['ended']['at']}, after {words}", what_to_do=_OTHERWISE
        )
    reached = (
        None if place is None else reach(of_cluster(connection, replaying, backup.cluster_id, backup.history), place)
    )
    if place is None or reached is None:
        raise Failure(f"no log was kept that goes on from backup {backup.id} without a hole", what_to_do=_OTHERWISE)
    until, stretches = reached
    if until < moment:
        raise Failure(f"the log that goes on from backup {backup.id} ends at {until:%Y-%m-%dT%H:%M:%S.%fZ}, before {words}",
                      what_to_do=_OTHERWISE)  # fmt: skip
    runs = list[LogRun]()
    for stretch in stretches:
        for run in archives.of_stretch(connection, backup.cluster_id, backup.history, stretch):
            if not replaying.needed(run, place, stretch):
                continue
            runs.append(run)
            if run.at >= moment + CLOCKS_APART:
                return runs
    return runs


def wants_base(found: Sequence[Chain], based_on: Iterable[Backup]) -> bool:
    """Whether a new full backup is needed: the log goes on from none that is whole, and will go on from none.

    What is being made may be the one; where a backup begins after the newest piece, what is between is on its way.
    """
    whole = list(based_on)
    if any(one.state == State.MAKING for one in whole):
        return False
    places = [place for one in whole if (place := place_of(one)) is not None]
    if not found:
        return not places
    newest = found[0].stretches[-1]
    ahead = any((place.line, place.number) > (newest.line, newest.last) for place in places)
    return not ahead and all(found[0].after(place) is None for place in places)
