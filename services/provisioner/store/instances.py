"""Instances in SQL, to and from the domain's dataclass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, bindparam, insert, select, update

from services.provisioner.domain.findings import Known
from services.provisioner.domain.instance import Instance, Status, Volume
from services.provisioner.store.tables import instances
from shared.contracts.values import Flavor
from shared.db import Database, Tx, UtcDateTime, tasks
from shared.errors import NotFound

# Values in one statement; databases have a limit.
AT_ONCE = 500
# How long after a failed build a cloud may bring to light what it had accepted for it.
JUST_NOW = timedelta(hours=1)


# Each step begins with the first and ends with the second, each look at the provider asks the others: they are put together
# once.
_BY_ID = select(instances).where(instances.c.id == bindparam("of_id"))
_OF_CLUSTER = select(instances).where(instances.c.cluster_id == bindparam("of_cluster")).order_by(instances.c.name)
_ADD = insert(instances)
_CHANGE = update(instances).where(instances.c.id == bindparam("of_id"))
_THERE = select(instances.c.id).where(instances.c.id == bindparam("of_id"))
_LITTLE = select(*(instances.c[name] for name in (
    "id", "cluster_id", "operation_id", "name", "status", "server", "volume", "account"
)))  # fmt: skip
_ALIVE = _LITTLE.where(instances.c.status != Status.DELETED)
_SOME = _LITTLE.where(instances.c.id.in_(bindparam("ids", expanding=True)))


def get(connection: Connection, instance_id: str) -> Instance:
    """One instance. Raises NotFound."""
    row = connection.execute(_BY_ID, {"of_id": instance_id}).first()
    if row is None:
        raise NotFound(f"there is no instance {instance_id}")
    return _instance(row)


def of_cluster(connection: Connection, cluster_id: str) -> list[Instance]:
    """A cluster's instances, by name."""
    return [_instance(row) for row in connection.execute(_OF_CLUSTER, {"of_cluster": cluster_id})]


def exists(connection: Connection, instance_id: str) -> bool:
    """Whether the instance was heard of before, even if it is gone."""
    return connection.execute(_THERE, {"of_id": instance_id}).first() is not None


def add(tx: Tx, instance: Instance) -> None:
    """Store a new instance."""
    now = tx.database.clock.now()
    tx.connection.execute(_ADD, {"id": instance.id, "created_at": now, **_columns(instance)})


def save(tx: Tx, instance: Instance) -> None:
    """Store what a provider or a step found out."""
    tx.connection.execute(_CHANGE, {"of_id": instance.id, **_columns(instance)})


def known(connection: Connection, database: Database, ids: Iterable[str]) -> dict[str, Known]:
    """What is known of the instances that are not deleted, and of those in `ids` whatever became of them; by id."""
    just_failed = _just_failed(connection, database)
    found = {row.id: _known(row, just_failed) for row in connection.execute(_ALIVE)}
    others = [one for one in dict.fromkeys(ids) if one not in found]
    for start in range(0, len(others), AT_ONCE):
        some = connection.execute(_SOME, {"ids": others[start : start + AT_ONCE]})
        found |= {row.id: _known(row, just_failed) for row in some}
    return found


def _just_failed(connection: Connection, database: Database) -> set[str]:
    """The instances of which a build failed, and was undone, within the last while."""
    since = database.clock.now() - JUST_NOW
    return set(connection.execute(_undone(database.tasks), {"since": since}).scalars())


def busy(connection: Connection, database: Database, kinds: Iterable[str]) -> set[str]:
    """The instances that have a task of one of these kinds which is not at its end."""
    return set(connection.execute(_open_subjects(database.tasks), {"kinds": list(kinds)}).scalars())


def open_ids(connection: Connection, database: Database, kind: str) -> set[str]:
    """The ids of the tasks of a kind that are not at their end."""
    t = database.tasks
    return set(connection.execute(select(t.c.id).where(t.c.status == tasks.OPEN, t.c.kind == kind)).scalars())


def open_task(connection: Connection, database: Database, kind: str, instance_id: str) -> str:
    """The id of the task of this kind that is not at its end for the instance; empty for none."""
    asked = {"of_kind": kind, "of_subject": instance_id}
    return str(connection.execute(_open_ones(database.tasks), asked).scalars().first() or "")


@cache
def _undone(t: Table) -> Select[Any]:
    since = bindparam("since", type_=UtcDateTime)
    return select(t.c.subject).where(t.c.status == "failed", t.c.mode == "undo", t.c.finished_at > since)


@cache
def _open_ones(t: Table) -> Select[Any]:
    alike = (t.c.kind == bindparam("of_kind"), t.c.subject == bindparam("of_subject"))
    return select(t.c.id).where(*alike, t.c.status == tasks.OPEN)


@cache
def _open_subjects(t: Table) -> Select[Any]:
    return select(t.c.subject).where(t.c.status == tasks.OPEN, t.c.kind.in_(bindparam("kinds", expanding=True)))


def _known(row: Any, just_failed: set[str]) -> Known:
    return Known(
        id=row.id, cluster_id=row.cluster_id, operation_id=row.operation_id, name=row.name, status=Status(row.status),
        server=row.server, volume=str((row.volume or {}).get("id") or ""), just_failed=row.id in just_failed,
        account=row.account,
    )  # fmt: skip


def _columns(instance: Instance) -> dict[str, Any]:
    return {
        "cluster_id": instance.cluster_id, "project_id": instance.project_id, "operation_id": instance.operation_id,
        "name": instance.name, "image": instance.image, "flavor": asdict(instance.flavor),
        "public_key": instance.public_key, "host_key": instance.host_key,
        "host_key_private": instance.host_key_private, "status": str(instance.status), "server": instance.server,
        "addr": instance.addr, "user": instance.user, "local_id": instance.local_id, "ssh_port": instance.ssh_port,
        "port": instance.port,
        "server_status": instance.server_status, "progress": instance.progress, "message": instance.message,
        "volume": asdict(instance.volume) if instance.volume else None, "reach": instance.reach,
        "account": instance.account,
    }  # fmt: skip


def _instance(row: Row[Any]) -> Instance:
    values = dict(row._mapping)
    values.pop("created_at")
    volume = values.pop("volume")
    return Instance(
        **{**values, "flavor": Flavor(**values["flavor"]), "status": Status(values["status"])},
        volume=Volume(**volume) if volume else None,
    )
