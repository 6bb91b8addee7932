"""Rows as the JSON that users are shown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from services.api.domain import progress
from services.api.store import tables

DONE = ("succeeded", "failed", "cancelled")


def stamp(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC with `Z`."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def clusters(connection: Connection, rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    """Clusters with their instances, in one more query for all of them."""
    t = tables.instances
    query = select(t).where(t.c.cluster_id.in_([row.id for row in rows])).order_by(t.c.name)
    nodes: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(query) if rows else ():
        nodes[row.cluster_id].append(row)
    return [cluster(row, nodes[row.id]) for row in rows]


def node(row: Any, primary_id: str) -> dict[str, Any]:
    """An instance as its cluster shows it."""
    role = ("primary" if row.id == primary_id else "replica") if primary_id else None
    return {"id": row.id, "name": row.name, "status": row.status, "addr": row.addr or None, "role": role}


def topology(stored: dict[str, Any] | None) -> dict[str, Any] | None:
    """How the nodes work together; an older release said nothing of failovers."""
    return None if stored is None else {"failover": "automatic", **stored}


def endpoint(stored: dict[str, Any] | None) -> dict[str, Any] | None:
    """How clients reach a cluster; an older release said nothing of addresses of its own."""
    return None if stored is None else {"address": None, **stored}


def cluster(row: Any, nodes: Sequence[Any]) -> dict[str, Any]:
    """One cluster with its instances, of which those that are gone are not shown.

    The rows have the tables' columns as attributes.
    """
    there = [node(one, row.primary_id) for one in nodes if one.status != "deleted"]
    return {
        "id": row.id, "name": row.name, "project": row.project_id, "status": row.status, "datastore": row.datastore,
        "flavor": row.flavor, "size": row.size, "volume_gb": row.volume_gb, "topology": topology(row.topology),
        "endpoint": endpoint(row.endpoint), "instances": there,
        "operation": row.operation_id, "message": row.message, "deletion_protection": row.deletion_protection,
        "restored_from": row.restored_from, "restored_to": stamp(row.restored_to), "restored_in_place": row.restored_in_place,
        "created_at": stamp(row.created_at),
    }  # fmt: skip


def instance(row: Row[Any]) -> dict[str, Any]:
    """One instance."""
    return {"id": row.id, "cluster": row.cluster_id, "name": row.name, "status": row.status, "addr": row.addr or None,
            "server": row.server or None, "message": row.message}  # fmt: skip


def operation(connection: Connection, row: Row[Any]) -> dict[str, Any]:
    """One operation with its steps."""
    t = tables.operation_steps
    steps = connection.execute(select(t).where(t.c.operation_id == row.id).order_by(t.c.position))
    shown = [_step(step) for step in steps]
    known = [(f"{step['service']}:{step['step']}", step["status"], step["percent"]) for step in shown]
    return operation_without_steps(row) | {
        "percent": progress.percent(row.status, known, row.weights), "steps": shown, "output": row.output,
        "result": row.result,
    }  # fmt: skip


def operation_without_steps(row: Row[Any]) -> dict[str, Any]:
    """One operation, short."""
    return {"id": row.id, "kind": row.kind, "cluster": row.cluster_id, "project": row.project_id, "status": row.status,
            "created_at": stamp(row.created_at), "finished_at": stamp(row.finished_at), "problem": row.problem}  # fmt: skip


def _step(row: Row[Any]) -> dict[str, Any]:
    return {"service": row.service, "step": row.step, "host": row.host, "status": row.status, "percent": row.percent,
            "message": row.message, "stderr": row.stderr, "started_at": stamp(row.started_at),
            "finished_at": stamp(row.finished_at)}  # fmt: skip


def datastores(rows: Iterable[Row[Any]]) -> list[dict[str, Any]]:
    """The catalogue."""
    return [{"id": row.id, "name": row.name, "manager": row.manager, "version": row.version, "image": row.image,
             "packages": row.packages, "modes": row.modes or [],
             "default_parameters": row.default_parameters} for row in rows]  # fmt: skip


def flavor(row: Row[Any]) -> dict[str, Any]:
    """One flavor."""
    return {"id": row.id, "name": row.name, "vcpus": row.vcpus, "ram_mb": row.ram_mb, "disk_gb": row.disk_gb}


def project(row: Row[Any]) -> dict[str, Any]:
    """One project."""
    return {"id": row.id, "name": row.name}


def token(row: Row[Any]) -> dict[str, Any]:
    """One token, without what it opens."""
    return {"id": row.id, "name": row.name, "project": row.project_id, "role": row.role,
            "created_at": stamp(row.created_at), "expires_at": stamp(row.expires_at),
            "revoked_at": stamp(row.revoked_at)}  # fmt: skip


def event(row: Row[Any]) -> dict[str, Any]:
    """One event of the feed."""
    return {"id": row.id, "type": row.topic, "occurred_at": stamp(row.occurred_at), "data": row.payload}
