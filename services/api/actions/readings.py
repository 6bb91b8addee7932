"""Reading the logs of instances: a wish goes out, lines come back as events, and lie here until whoever reads has them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select

from services.api.actions import clusters
from services.api.store import tables
from shared.contracts.api import LogsRequested
from shared.contracts.base import dump, new_id
from shared.contracts.datastore_agentless import LogsRead
from shared.db import Database, Tx

# How long a log is read on after somebody has asked for it, and how often a follower asks again.
KEPT_SECONDS, AGAIN_SECONDS = 15.0, 5.0
# What nobody has fetched by then was for one who is gone; no stream lasts so long.
FORGOTTEN_SECONDS = 4_000.0


@dataclass(frozen=True)
class Wish:
    """The last `lines` of an instance's log, and with `follow` what comes after; or all after a place told before."""

    project_id: str
    instance_id: str
    lines: int
    follow: bool
    after: str = ""


def begin(tx: Tx, wish: Wish) -> str:
    """Ask for a log; returns the reading's id. Raises NotFound."""
    row = clusters.instance(tx.connection, wish.project_id, wish.instance_id)
    reading_id = new_id()
    tx.insert_new(tables.readings, id=reading_id, created_at=tx.database.clock.now())
    _ask(tx, reading_id, row.cluster_id, wish, goes_on=False)
    return reading_id


def go_on(tx: Tx, reading_id: str, wish: Wish) -> None:
    """Say that somebody still follows. Raises NotFound once the instance is gone."""
    row = clusters.instance(tx.connection, wish.project_id, wish.instance_id)
    _ask(tx, reading_id, row.cluster_id, wish, goes_on=True)


def heard(tx: Tx, event: LogsRead) -> None:
    """Lines have come; those for one who is gone are dropped."""
    t = tables.readings
    wanted = select(t.c.id).where(t.c.id == event.reading_id).with_for_update()
    if tx.connection.execute(wanted).first() is None:
        return
    tx.insert_new(
        tables.reading_pieces, reading_id=event.reading_id, sequence=event.sequence, text=event.text, place=event.place,
        notes=list(event.notes), last=event.last, problem=None if event.problem is None else dump(event.problem),
    )  # fmt: skip


def take(database: Database, reading_id: str, sequence: int) -> list[Any]:
    """The pieces from `sequence` on, in order and without a gap; they are kept here no longer."""
    p = tables.reading_pieces
    mine = select(p).where(p.c.reading_id == reading_id).order_by(p.c.sequence)
    with database.read() as connection:
        found = connection.execute(mine).all()
    ready = [row for number, row in enumerate(found, sequence) if row.sequence == number]
    if ready:
        with database.write() as tx:
            tx.connection.execute(
                delete(p).where(p.c.reading_id == reading_id, p.c.sequence.in_([row.sequence for row in ready]))
            )
    return ready


def end(database: Database, reading_id: str) -> None:
    """Nobody reads any more: what still comes is dropped."""
    with database.write() as tx:
        r, p = tables.readings, tables.reading_pieces
        tx.remove(r.c.id, reading_id)
        tx.remove(p.c.reading_id, reading_id)


def forget_old(database: Database) -> None:
    """Drop what readers have left behind whose process was killed."""
    r = tables.readings
    old = select(r.c.id).where(r.c.created_at < database.clock.now() - timedelta(seconds=FORGOTTEN_SECONDS))
    with database.read() as connection:
        gone = list(connection.execute(old).scalars())
    for reading_id in gone:
        end(database, reading_id)


def _ask(tx: Tx, reading_id: str, cluster_id: str, wish: Wish, *, goes_on: bool) -> None:
    tx.emit(
        LogsRequested(
            reading_id=reading_id, cluster_id=cluster_id, project_id=wish.project_id, instance_id=wish.instance_id,
            lines=wish.lines, follow=wish.follow, seconds=KEPT_SECONDS, after=wish.after, goes_on=goes_on,
        )
    )  # fmt: skip
