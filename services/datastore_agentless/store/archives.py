"""Archives of logs in SQL: leases that replicas of the service share them by, how far each is, and the runs that there are."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, delete, func, insert, or_, select, update

from services.datastore_agentless.domain.archive import Archive, LogRun, Stretch
from services.datastore_agentless.domain.backup import State
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.store import tables
from shared.db import Tx
from shared.db.tasks import floor
from shared.db.types import UtcDateTime
from shared.errors import StaleEpoch

_a, _r = tables.archives, tables.log_runs
_OWN = ("cluster_id", "project_id", "epoch", "begun", "until", "broken_at", "trouble", "renewed_at", "stale", "history")


def unarchived(connection: Connection, datastore_ids: Collection[str]) -> list[tuple[str, str]]:
    """Clusters of these datastores that serve, have a backup that a log can build upon, and no archive; each with its project."""
    c, b = tables.clusters, tables.backups
    based = (b.c.cluster_id == c.c.id, b.c.key != "", b.c.state.in_((State.MAKING, State.COMPLETED)))
    query = select(c.c.id, c.c.project_id).outerjoin(_a, _a.c.cluster_id == c.c.id)
    query = query.where(
        c.c.status == ClusterStatus.ACTIVE, c.c.datastore_id.in_(datastore_ids), _a.c.cluster_id.is_(None)
    )
    return [(row.id, row.project_id) for row in connection.execute(query.where(select(b.c.id).where(*based).exists()))]


def enrol(tx: Tx, cluster_id: str, project_id: str) -> None:
    """Have a cluster's log kept from now on."""
    tx.insert_new(
        _a, **vars(Archive(cluster_id, project_id, epoch=floor(tx), history=_history(tx.connection, cluster_id))),
        due_at=tx.database.clock.now(), worker="",
    )  # fmt: skip


def begin_anew(tx: Tx, cluster_id: str, history: str) -> None:
    """What a cluster's archive is of from now on: whoever has it in hand notes nothing any more, and what was known of other data counts no
    more. The cluster's row is held.
    """
    fresh: dict[str, Any] = {
        "begun": {},
        "until": None,
        "broken_at": None,
        "trouble": "",
        "renewed_at": None,
        "stale": False,
        "history": history,
    }
    anew = update(_a).where(_a.c.cluster_id == cluster_id)
    tx.connection.execute(
        anew.values(epoch=_a.c.epoch + 1, worker="", leased_until=None, due_at=tx.database.clock.now(), **fresh)
    )


def is_due(connection: Connection, now: datetime) -> bool:
    """Whether there is one to be taken."""
    return connection.execute(select(_a.c.cluster_id).where(_free(now)).limit(1)).first() is not None


def claim(tx: Tx, worker: str, lease: float, limit: int) -> list[Archive]:
    """Take archives that are due and in nobody's hands, the longest due first."""
    now = tx.database.clock.now()
    free = _free(now)
    due = select(_a.c.cluster_id).where(free).order_by(_a.c.due_at).limit(limit).with_for_update(skip_locked=True)
    ids = tx.connection.execute(due).scalars().all()
    if not ids:
        return []
    taken = update(_a).where(_a.c.cluster_id.in_(ids), free)
    taken = taken.values(worker=worker, leased_until=now + timedelta(seconds=lease), epoch=_a.c.epoch + 1)
    mine = tx.connection.execute(taken.returning(_a.c.cluster_id)).scalars().all()
    rows = tx.connection.execute(select(_a).where(_a.c.cluster_id.in_(mine)).order_by(_a.c.due_at))
    return [_archive(row) for row in rows]


def renew(tx: Tx, held: Collection[Archive], lease: float) -> None:
    """Lengthen the leases of archives that a worker still has."""
    until = tx.database.clock.now() + timedelta(seconds=lease)
    for one in sorted(held, key=lambda one: one.cluster_id):
        tx.connection.execute(_held(one).values(leased_until=until))


def save(tx: Tx, archive: Archive) -> None:
    """Store how far it is. Raises StaleEpoch where somebody else has it by now."""
    if tx.connection.execute(_held(archive).values(**_own(archive))).rowcount != 1:
        raise StaleEpoch(f"somebody else keeps the log of cluster {archive.cluster_id}")


def give_back(tx: Tx, archive: Archive, due_at: datetime) -> None:
    """Leave it to whoever comes, once it is due."""
    tx.connection.execute(_held(archive).values(due_at=due_at, worker="", leased_until=None))


def release(tx: Tx, worker: str) -> None:
    """Give back all that a worker has: others may go on at once."""
    tx.connection.execute(update(_a).where(_a.c.worker == worker).values(worker="", leased_until=None))


def forget(tx: Tx, archive: Archive) -> None:
    """Nothing is kept any more. Raises StaleEpoch where somebody else has it by now."""
    save(tx, archive)
    tx.connection.execute(delete(_a).where(_a.c.cluster_id == archive.cluster_id))


def find(connection: Connection, cluster_id: str) -> Archive | None:
    """A cluster's archive, or None."""
    row = connection.execute(select(_a).where(_a.c.cluster_id == cluster_id)).first()
    return None if row is None else _archive(row)


def histories(connection: Connection, cluster_id: str) -> list[str]:
    """Of which data there are runs."""
    return list(
        connection.execute(
            select(_r.c.history).where(_r.c.cluster_id == cluster_id).distinct().order_by("history")
        ).scalars()
    )


def older(connection: Connection, cluster_id: str, history: str, than: datetime | None, limit: int) -> list[LogRun]:
    """Runs with nothing in them that is as young as that, the oldest first; None: any."""
    query = select(_r).where(*_of(cluster_id, history)).order_by(_r.c.at).limit(limit)
    return [_run(row) for row in connection.execute(query if than is None else query.where(_r.c.at < than))]


def newest(connection: Connection, cluster_id: str, history: str) -> LogRun | None:
    """The run that was written last, or None."""
    query = select(_r).where(*_of(cluster_id, history))
    row = connection.execute(query.order_by(_r.c.at.desc(), _r.c.line.desc(), _r.c.last.desc()).limit(1)).first()
    return None if row is None else _run(row)


def add(tx: Tx, entry: LogRun) -> None:
    """Note a run that is safe."""
    tx.connection.execute(insert(_r).values(**vars(entry)))


def has(connection: Connection, cluster_id: str, history: str, instance_id: str, line: str, number: int) -> bool:
    """Whether a piece of a line is safe, as this node has written it."""
    mine = (*_of(cluster_id, history), _r.c.instance_id == instance_id, _r.c.line == line)
    query = select(_r.c.key).where(*mine, _r.c.first <= number, _r.c.last >= number).limit(1)
    return connection.execute(query).first() is not None


def stretches(connection: Connection, cluster_id: str, history: str) -> list[Stretch]:
    """What there is of a cluster's log of these data, without its holes: a few, however many runs there are."""
    before = func.lag(_r.c.last).over(partition_by=(_r.c.instance_id, _r.c.line), order_by=_r.c.first)
    begins = case((_r.c.first <= before + 1, 0), else_=1).label("begins")
    marked = (
        select(_r.c.instance_id, _r.c.line, _r.c.first, _r.c.last, _r.c.at, begins)
        .where(*_of(cluster_id, history))
        .subquery()
    )
    m = marked.c
    counted = func.sum(m.begins).over(partition_by=(m.instance_id, m.line), order_by=m["first"]).label("number")
    numbered = select(marked, counted).subquery()
    n = numbered.c
    query = select(
        n.instance_id, n.line, func.min(n["first"]), func.max(n["last"]), func.max(n.at, type_=UtcDateTime())
    )
    rows = connection.execute(query.group_by(n.instance_id, n.line, n.number).order_by(n.instance_id, n.line, n.number))
    return _with_ends(connection, _of(cluster_id, history), [Stretch(*row) for row in rows])


def of_stretch(connection: Connection, cluster_id: str, history: str, stretch: Stretch) -> list[LogRun]:
    """The runs that hold the pieces of a stretch, in order."""
    mine = (*_of(cluster_id, history), _r.c.instance_id == stretch.instance_id, _r.c.line == stretch.line)
    query = select(_r).where(*mine, _r.c.last >= stretch.first, _r.c.first <= stretch.last).order_by(_r.c.first)
    return [_run(row) for row in connection.execute(query)]


def unjoined(connection: Connection, cluster_id: str, history: str) -> list[LogRun]:
    """The runs that a hole comes before."""
    query = select(_r).where(*_of(cluster_id, history), _r.c.joined.is_(False)).order_by(_r.c.at)
    return [_run(row) for row in connection.execute(query)]


def join(tx: Tx, key: str) -> None:
    """What was missing before a run has come."""
    tx.connection.execute(update(_r).where(_r.c.key == key).values(joined=True))


def lose(tx: Tx, run: LogRun, now: datetime) -> Archive | None:
    """A run is not what it was any more: the log has a hole there. Returns the archive; None where that is known, or none is kept.

    Whoever has the archive has it no more, for what is in their memory knows nothing of that hole: the next turn begins at once.
    """
    if tx.connection.execute(delete(_r).where(_r.c.key == run.key)).rowcount == 0:
        return None
    after = (_r.c.cluster_id == run.cluster_id, _r.c.instance_id == run.instance_id, _r.c.line == run.line)
    tx.connection.execute(update(_r).where(*after, _r.c.first == run.last + 1).values(joined=False))
    broken = update(_a).where(_a.c.cluster_id == run.cluster_id)
    tx.connection.execute(broken.values(broken_at=now, epoch=_a.c.epoch + 1, worker="", leased_until=None, due_at=now))
    return find(tx.connection, run.cluster_id)


def drop(tx: Tx, key: str) -> None:
    """A run is kept no more."""
    tx.connection.execute(delete(_r).where(_r.c.key == key))


def _of(cluster_id: str, history: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return (_r.c.cluster_id == cluster_id, _r.c.history == history)


def _history(connection: Connection, cluster_id: str) -> str:
    """Which data a cluster has; it may be unknown here."""
    c = tables.clusters
    return connection.execute(select(c.c.history).where(c.c.id == cluster_id)).scalar_one_or_none() or ""


def _with_ends(connection: Connection, of: tuple[ColumnElement[bool], ...], found: list[Stretch]) -> list[Stretch]:
    """How far the engine's history had come at either end of each, where it says so."""
    outer = or_(_r.c.first.in_({one.first for one in found}), _r.c.last.in_({one.last for one in found}))
    query = select(_r.c.instance_id, _r.c.line, _r.c.first, _r.c.last, _r.c.begins, _r.c.ends)
    rows = connection.execute(query.where(*of, _r.c.ends != "", outer)).all()
    begins = {(row.instance_id, row.line, row.first): row.begins for row in rows}
    ends = {(row.instance_id, row.line, row.last): row.ends for row in rows}
    return [
        replace(one, begins=begins.get((one.instance_id, one.line, one.first), ""),
                ends=ends.get((one.instance_id, one.line, one.last), ""))
        for one in found
    ]  # fmt: skip


def _free(now: datetime) -> ColumnElement[bool]:
    return and_(_a.c.due_at <= now, or_(_a.c.leased_until.is_(None), _a.c.leased_until <= now))


def _held(archive: Archive) -> Any:
    held = (_a.c.cluster_id == archive.cluster_id, _a.c.epoch == archive.epoch, _a.c.leased_until.is_not(None))
    return update(_a).where(*held)


def _own(archive: Archive) -> dict[str, Any]:
    return {name: getattr(archive, name) for name in _OWN}


def _archive(row: Row[Any]) -> Archive:
    return Archive(**{name: row._mapping[name] for name in _OWN})


def _run(row: Row[Any]) -> LogRun:
    return LogRun(**row._mapping)
