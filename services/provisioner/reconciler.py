"""Makes what the provider holds equal to what the database says, and tells an operator of what only he can judge.

What belongs to deleted instances is `actions.sweep`'s. Here a second server of a live instance goes by itself, as does
what a build that was undone has left over. What has the tag of an instance that was never heard of may be another
installation's: it is listed, and goes only at an operator's word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, select

from services.provisioner import actions
from services.provisioner.domain.findings import (
    ADDRESS,
    Finding,
    Found,
    Known,
    Why,
    absent,
    compare,
    compare_addresses,
    gone,
    words,
)
from services.provisioner.domain.instance import HOLDING, Instance
from services.provisioner.store import addresses, findings, instances
from services.provisioner.workflows.lead_address import subject_of
from services.provisioner.workflows.remove_thing import IRREMOVABLE, REMOVE, payload
from shared.db import Database, Tx
from shared.errors import Conflict, DtroveError, FieldError, Invalid, Unavailable
from shared.workflow import TaskDraft, task_id

# Work that makes or destroys things of an instance, and so decides about them.
BUSY = (actions.BUILD, actions.DELETE, actions.CREATE_VOLUME, actions.ATTACH_VOLUME)
# Two looks have to agree before anything is removed by itself; this is a little less than the time between them.
GRACE = timedelta(seconds=15)
# The provider is asked one by one about servers that were not in its list; so many at one look.
ASKED_AT_ONCE = 100
StatusOf = Callable[[Instance], str]


def reconcile(database: Database, seen: Sequence[Found], began: datetime, status_of: StatusOf) -> list[Found]:
    """Write down the differences, file what is certain, return what was filed.

    `seen` is the provider's whole list, asked for at `began`; `status_of` asks it about one instance's server.
    """
    with database.read() as connection:
        known = instances.known(connection, database, (one.instance_id for one in seen))
        busy = instances.busy(connection, database, BUSY)
        noted = findings.any_there(connection)
        places = addresses.known(connection, (one.cluster_id for one in seen if one.kind == ADDRESS))
    differences = compare(seen, known, busy) + compare_addresses(seen, places)
    missing = _some(list(absent(seen, known, busy)), began)
    differences += [gone(one) for one in missing if _is_gone(database, one, status_of)]
    if not differences and not noted:
        return []
    with database.write() as tx:
        for one in differences:
            findings.note(tx, one, words(one, known.get(one.found.instance_id)), began)
        findings.forget_unseen(tx, began)
        return _file_certain(tx, differences, known, began)


def in_doubt(database: Database, looked_at: datetime | None) -> bool:
    """Whether a look is worth its price at once, also for a provider that bears few of them.

    It is when work has ended since the last one, or when that one found what goes by itself once a second look agrees.
    """
    if looked_at is None:
        return False
    t = database.tasks
    with database.read() as connection:
        worked = select(t.c.id).where(t.c.finished_at > looked_at).limit(1)
        return findings.any_certain(connection) or connection.execute(worked).first() is not None


def orphans(database: Database) -> list[dict[str, Any]]:
    """Every difference, ready for JSON: what it is, why, since when, and what becomes of it."""
    with database.read() as connection:
        rows, open_ids = findings.every(connection), instances.open_ids(connection, database, REMOVE)
    return [_plain(row, open_ids) for row in rows]


def counted(database: Database) -> dict[str, int]:
    """How many differences there are, by what is the matter; all of them at once, also where there are none."""
    try:
        with database.read() as connection:
            found = findings.count(connection)
    except Unavailable:
        return {}
    return {str(why): found.get(why, 0) for why in Why}


def clean(database: Database, ids: Sequence[str]) -> list[dict[str, Any]]:
    """File the removal of things by their ids, at an operator's word. Raises Invalid, Conflict; then nothing is filed."""
    with database.write() as tx:
        rows = findings.by_id(tx.connection, ids)
        if missing := sorted(set(ids) - {row.id for row in rows}):
            raise Invalid("nothing was removed",
                          tuple(FieldError("ids", f"{one} is no orphan as far as anybody knows") for one in missing),
                          what_to_do="`dtrove orphans list` shows what there is")  # fmt: skip
        if fixed := sorted(row.id for row in rows if row.why in IRREMOVABLE):
            raise Conflict(f"{', '.join(fixed)} cannot be removed: it is gone already",
                           what_to_do="delete its cluster, or make the server anew at the provider")  # fmt: skip
        known = instances.known(tx.connection, database, (row.instance_id for row in rows))
        for row in rows:
            _file(tx, row, known.get(row.instance_id), asked=True)
    asked = set(ids)
    return [one for one in orphans(database) if one["id"] in asked]


def _some(missing: list[Known], moment: datetime) -> list[Known]:
    """As many as may be asked about at one look, others each time where there are more."""
    if len(missing) <= ASKED_AT_ONCE:
        return missing
    begin = int(moment.timestamp()) % len(missing)
    return (missing[begin:] + missing[:begin])[:ASKED_AT_ONCE]


def _is_gone(database: Database, known: Known, status_of: StatusOf) -> bool:
    """Whether the provider says so when it is asked for this one, and the database still believes in it afterwards."""
    with database.read() as connection:
        instance = instances.get(connection, known.id)
    try:
        if status_of(instance) != "DELETED":
            return False
    except DtroveError:
        return False
    with database.read() as connection:
        now = instances.get(connection, known.id)
        return now.status in HOLDING and known.id not in instances.busy(connection, database, BUSY)


def _file_certain(tx: Tx, differences: Iterable[Finding], known: dict[str, Known], now: datetime) -> list[Found]:
    certain = {(one.found.kind, one.found.id) for one in differences if one.certain}
    old = [row for row in findings.every(tx.connection) if row.found_at <= now - GRACE]
    rows = [row for row in old if (row.kind, row.id) in certain]
    return [findings.thing(row) for row in rows if _file(tx, row, known.get(row.instance_id), asked=False)]


def _file(tx: Tx, row: Row[Any], known: Known | None, *, asked: bool) -> bool:
    """File a removal unless one is under way; whether it was filed."""
    if row.task_id in instances.open_ids(tx.connection, tx.database, REMOVE):
        return False
    found = findings.thing(row)
    moment = f"{int(tx.database.clock.now().timestamp() * 1000):x}"
    draft = TaskDraft(
        id=task_id("remove", found.kind, found.id, moment), kind=REMOVE, subject=_subject(found),
        payload=payload(found, asked=asked), cluster_id=known.cluster_id if known else "",
        operation_id=known.operation_id if known else "", host=known.name if known else "",
    )  # fmt: skip
    if not tx.file(draft):
        return False
    findings.put(tx, found, task_id=draft.id, trouble="")
    return True


def _subject(found: Found) -> str:
    """Who nobody else works on meanwhile."""
    return subject_of(found.cluster_id) if found.kind == ADDRESS else (found.instance_id or found.id)[:64]


def _plain(row: Row[Any], open_ids: set[str]) -> dict[str, Any]:
    removal = "under_way" if row.task_id in open_ids or row.why == Why.DELETED else "failed" if row.trouble else "none"
    return {
        "kind": row.kind, "id": row.id, "instance_id": row.instance_id, "cluster_id": row.cluster_id, "why": row.why,
        "message": f"{row.message}; its removal failed: {row.trouble}" if row.trouble else row.message,
        "found_at": row.found_at.isoformat(), "removal": removal, "goes_by_itself": row.certain or row.why == Why.DELETED,
    }  # fmt: skip
