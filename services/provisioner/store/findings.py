"""What the reconciler found, in SQL."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, select, update

from services.provisioner.domain.findings import Finding, Found
from services.provisioner.store.tables import findings
from shared.db import Tx

LONGEST_ID = 255
_ANY = select(findings.c.id).limit(1)


def every(connection: Connection) -> list[Row[Any]]:
    """All of them, the oldest first."""
    return list(connection.execute(select(findings).order_by(findings.c.found_at, findings.c.kind, findings.c.id)))


def any_there(connection: Connection) -> bool:
    """Whether there is one at all."""
    return connection.execute(_ANY).first() is not None


def any_certain(connection: Connection) -> bool:
    """Whether there is one that goes by itself."""
    return connection.execute(select(findings.c.id).where(findings.c.certain).limit(1)).first() is not None


def by_id(connection: Connection, ids: Iterable[str]) -> list[Row[Any]]:
    """Those of these ids, whatever their kind."""
    return list(connection.execute(select(findings).where(findings.c.id.in_(list(ids)))))


def count(connection: Connection) -> dict[str, int]:
    """How many there are, by what is the matter with them."""
    rows = connection.execute(select(findings.c.why, func.count().label("number")).group_by(findings.c.why))
    return {row.why: row.number for row in rows}


def note(tx: Tx, finding: Finding, message: str, moment: datetime) -> None:
    """Write down that this was seen at `moment`; what has changed its nature counts from now on."""
    found = finding.found
    fresh = {"why": str(finding.why), "certain": finding.certain, "message": message, "found_at": moment}
    tx.insert_new(
        findings, kind=found.kind, id=found.id[:LONGEST_ID], instance_id=found.instance_id[:LONGEST_ID],
        cluster_id=found.cluster_id[:LONGEST_ID], account=found.account, seen_at=moment, task_id="", trouble="", **fresh,
    )  # fmt: skip
    same = and_(findings.c.why == str(finding.why), findings.c.certain == finding.certain)
    tx.connection.execute(update(findings).where(_at(found), ~same).values(**fresh))
    tx.connection.execute(update(findings).where(_at(found)).values(seen_at=moment))


def forget_unseen(tx: Tx, moment: datetime) -> None:
    """Drop what was last seen before `moment`: it is as it should be. A look that began later has its own word."""
    tx.connection.execute(delete(findings).where(findings.c.seen_at < moment))


def put(tx: Tx, found: Found, **values: Any) -> None:
    """Change some columns of one finding."""
    tx.connection.execute(update(findings).where(_at(found)).values(**values))


def drop(tx: Tx, found: Found) -> None:
    """Forget one."""
    tx.connection.execute(delete(findings).where(_at(found)))


def thing(row: Row[Any]) -> Found:
    """The thing that a row speaks of."""
    return Found(row.kind, row.id, row.instance_id, row.cluster_id, row.account)


def _at(found: Found) -> ColumnElement[bool]:
    return and_(findings.c.kind == found.kind, findings.c.id == found.id[:LONGEST_ID])
