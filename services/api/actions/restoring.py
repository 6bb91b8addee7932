"""The backup that a new cluster is to begin with, and the moment after it that is wanted: whether it may, and has room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from services.api.domain.backups import Status, too_small, was_damaged
from services.api.store import archives, tables
from services.api.store.views import stamp
from shared.contracts.values import RestoreRef
from shared.db import Tx
from shared.errors import FieldError, Invalid

_b, _c = tables.backups, tables.clusters


@dataclass(frozen=True)
class Source:
    """A backup's row, and up to which moment its data are to take the log; None: they are as the backup has them."""

    backup: Row[Any]
    time: datetime | None

    @property
    def reference(self) -> RestoreRef:
        """As others are told of it."""
        return RestoreRef(backup_id=self.backup.id, time=self.time)

    def told(self, name: str) -> str:
        """What a plan says of it."""
        of_whom = f"the data of cluster {self.backup.cluster_name}, as of"
        if self.time is None:
            return f"{of_whom} {self.backup.finished_at:%Y-%m-%d %H:%M:%S} UTC: to {name}"
        ended = datetime.fromisoformat(self.backup.facts["ended_at"])
        return (f"{of_whom} {self.time:%Y-%m-%d %H:%M:%S.%f} UTC: to {name}, from backup {self.backup.id} of "
                f"{ended:%Y-%m-%d %H:%M:%S} UTC and its log of the {_span((self.time - ended).total_seconds())} after it")  # fmt: skip


def lock(
    tx: Tx, project_id: str, asked: dict[str, Any], datastore: Row[Any], flavor: Row[Any], *, proves: bool = False
) -> Source | None:
    """What is to be restored, of a backup that nobody deletes until this transaction ends; None where nothing is. Raises Invalid.

    For a proof it may be one that was found damaged.
    """
    return _found(tx.connection, project_id, asked, datastore, flavor, locks=True, proves=proves)


def look(
    connection: Connection, project_id: str, asked: dict[str, Any], datastore: Row[Any], flavor: Row[Any]
) -> Source | None:
    """The same, only looked at."""
    return _found(connection, project_id, asked, datastore, flavor, locks=False)


def in_place(connection: Connection, cluster: Row[Any], asked: dict[str, Any], *, locks: bool) -> Source:
    """What is to take the place of a cluster's data: a backup, or a moment of its own log. Raises Invalid. The node looks for room."""
    return _sought(
        connection, cluster.project_id, {**asked, "cluster": cluster.id}, locks=locks,
        objections=lambda backup: _other_engine(backup, cluster.datastore["manager"], cluster.datastore["version"], "restore.backup"),
    )  # fmt: skip


def _found(
    connection: Connection, project_id: str, asked: dict[str, Any], datastore: Row[Any], flavor: Row[Any], *, locks: bool,
    proves: bool = False,
) -> Source | None:  # fmt: skip
    choice = asked["restore"]
    if choice is None:
        return None
    return _sought(connection, project_id, choice, locks=locks, proves=proves,
                   objections=lambda backup: _objections(backup, asked, datastore, flavor))  # fmt: skip


def _sought(
    connection: Connection, project_id: str, choice: dict[str, Any], *, locks: bool, objections: Callable[[Row[Any]], list[FieldError]],
    proves: bool = False,
) -> Source:  # fmt: skip
    time = choice.get("time")
    moment = None if time is None else time.astimezone(UTC)
    wanted = choice.get("backup")
    if wanted is None:
        wanted = _best(connection, _cluster(connection, project_id, choice["cluster"]), moment)
    query = select(_b).where(_b.c.id == wanted, _b.c.project_id == project_id, _b.c.status != Status.DELETED)
    backup: Row[Any] | None = connection.execute(query.with_for_update() if locks else query).first()
    if backup is None:
        raise _refused(FieldError("restore.backup", f"there is no backup {wanted}"))
    if backup.status != Status.COMPLETED and not (proves and was_damaged(backup)):
        words = f"is {backup.status}: only what is completed can be restored"
        raise _refused(FieldError("restore.backup", words))
    errors = objections(backup)
    if moment is not None and (words := _out_of_reach(connection, backup, moment)):
        errors.append(FieldError("restore.time", words))
    if errors:
        raise _refused(*errors)
    return Source(backup, moment)


def _cluster(connection: Connection, project_id: str, wanted: str) -> str:
    """The id of a cluster, or of one that is gone and has left backups. Raises Invalid where there is none, or there are several."""
    mine = select(_c.c.id).where(_c.c.project_id == project_id, _c.c.deleted_at.is_(None))
    there = (
        connection.execute(mine.where(_c.c.id == wanted)).scalar()
        or connection.execute(mine.where(_c.c.name == wanted)).scalar()
    )
    if there is not None:
        return str(there)
    left = select(_b.c.cluster_id).where(_b.c.project_id == project_id, _b.c.status != Status.DELETED).distinct()
    gone = connection.execute(left.where(_b.c.cluster_id == wanted)).scalars().all()
    gone = gone or connection.execute(left.where(_b.c.cluster_name == wanted)).scalars().all()
    if len(gone) > 1:
        words = f"{len(gone)} clusters that are gone were called {wanted}: name one by its id"
        raise _refused(FieldError("restore.cluster", words))
    if not gone:
        raise _refused(FieldError("restore.cluster", f"there is no cluster {wanted}, nor a backup of one"))
    return str(gone[0])


def _best(connection: Connection, cluster_id: str, moment: datetime | None) -> str:
    """The youngest backup that leads to a moment. Raises Invalid with the reason why there is none."""
    assert moment is not None
    there = archives.bases(connection, cluster_id)
    good = [one for one in there if one.since <= moment <= one.until]
    if good:
        return good[-1].backup_id
    raise _refused(FieldError("restore.time", _why_not(archives.windows(there), moment)))


def _why_not(windows: list[tuple[datetime, datetime]], moment: datetime) -> str:
    if not windows:
        return ("no log is kept of this cluster that goes on from a backup: name a backup, and no time "
                "(DTROVE_ARCHIVE_SECONDS has logs kept)")  # fmt: skip
    if moment < windows[0][0]:
        return f"is before the earliest moment that can be restored, {stamp(windows[0][0])}"
    if moment > windows[-1][1]:
        return f"is after the latest moment that can be restored, {stamp(windows[-1][1])}"
    before = max(until for _, until in windows if until < moment)
    after = min(since for since, _ in windows if since > moment)
    return f"lies in a hole of the log, which is from {stamp(before)} to {stamp(after)}"


def _out_of_reach(connection: Connection, backup: Row[Any], moment: datetime) -> str:
    """Why a backup does not lead to a moment; empty where it does."""
    told = (backup.facts or {}).get("ended_at")
    ended = datetime.fromisoformat(told) if told else backup.finished_at
    until = archives.ends(connection, (backup.cluster_id,)).get(backup.id)
    if moment < ended:
        return f"is before the end of the backup, {stamp(ended)}"
    if until is None:
        return "no log is kept that goes on from this backup: leave the time out"
    if moment > until:
        return f"is after the end of the log that goes on from this backup, {stamp(until)}"
    return ""


def _objections(backup: Row[Any], asked: dict[str, Any], datastore: Row[Any], flavor: Row[Any]) -> list[FieldError]:
    was = backup.datastore
    there = f"must be `{was['manager']} {was['version']}`, of which the backup is"
    alike = (was["manager"], was["version"]) == (datastore.manager, datastore.version)
    errors = [] if alike else [FieldError("datastore", there)]
    had_gb = backup.volume_gb or backup.flavor.get("disk_gb", 0)
    field, words = too_small(had_gb, asked["volume_gb"], flavor.disk_gb)
    if words:
        errors.append(FieldError(field, words))
    there = "come with the backup: make others once the cluster is active"
    errors += [FieldError(name, there) for name in ("databases", "users") if asked[name]]
    return errors


def _other_engine(backup: Row[Any], manager: str, version: str, field: str) -> list[FieldError]:
    was = backup.datastore
    if (was["manager"], was["version"]) == (manager, version):
        return []
    return [FieldError(field, f"is of `{was['manager']} {was['version']}`, and the cluster of `{manager} {version}`")]


def _span(seconds: float) -> str:
    """A length of time as people read it."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return " ".join(f"{count} {unit}" for count, unit in ((days, "d"), (hours, "h"), (minutes, "min")) if count)


def _refused(*errors: FieldError) -> Invalid:
    return Invalid("the request was not accepted", errors, what_to_do="mend the fields named in `errors`")
