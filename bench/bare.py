"""A bare WSGI application with the same SELECT and JSON as the API's page of clusters; started by bench.parts.pages.

No framework, no login, no checks, no SQLAlchemy: what the same kind of server can do at best with the same rows.
`python -m bench.bare SQLITE_FILE PROJECT` prints its port.
"""

from __future__ import annotations

import eventlet

eventlet.monkey_patch()

import json  # noqa: E402
import socket  # noqa: E402
import sqlite3  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable, Iterable  # noqa: E402
from typing import Any  # noqa: E402

import eventlet.wsgi  # noqa: E402

_CLUSTERS = """select id, name, project_id, status, datastore, flavor, size, volume_gb, endpoint, operation_id, message,
  deletion_protection, created_at, topology, primary_id, restored_from, restored_to,
  restored_in_place from clusters where project_id = ? and deleted_at is null
  order by created_at desc, id desc limit ?"""
_NODES = "select cluster_id, id, name, status, addr from instances where cluster_id in ({}) order by name"


def page(database: sqlite3.Connection, project: str, limit: int) -> dict[str, Any]:
    """The page as the API shows it."""
    rows = database.execute(_CLUSTERS, (project, limit + 1)).fetchall()
    following = f"/v1/clusters?limit={limit}&marker={rows[limit - 1][0]}" if len(rows) > limit else None
    rows = rows[:limit]
    nodes: dict[str, list[dict[str, Any]]] = {row[0]: [] for row in rows}
    primaries = {row[0]: row[14] for row in rows}
    for cluster, identity, name, status, addr in database.execute(
        _NODES.format(",".join("?" * len(rows))), list(nodes)
    ):
        role = ("primary" if identity == primaries[cluster] else "replica") if primaries[cluster] else None
        nodes[cluster].append({"id": identity, "name": name, "status": status, "addr": addr or None, "role": role})
    return {"clusters": [_cluster(row, nodes[row[0]]) for row in rows], "next": following}


def _cluster(row: tuple[Any, ...], nodes: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": row[0], "name": row[1], "project": row[2], "status": row[3], "datastore": json.loads(row[4]),
        "flavor": json.loads(row[5]), "size": row[6], "volume_gb": row[7],
        "topology": json.loads(row[13]) if row[13] else None,
        "endpoint": json.loads(row[8]) if row[8] else None, "instances": nodes, "operation": row[9], "message": row[10],
        "deletion_protection": bool(row[11]), "restored_from": row[15], "restored_to": _moment(row[16]),
        "restored_in_place": json.loads(row[17]) if row[17] else None,
        "created_at": _moment(row[12]),
    }  # fmt: skip


def _moment(stored: str | None) -> str | None:
    return stored.replace(" ", "T") + "Z" if stored else None


def main() -> None:
    """Serve until the end of standard input."""
    database = sqlite3.connect(sys.argv[1], isolation_level=None)
    project = sys.argv[2]

    def application(_environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        body = json.dumps(page(database, project, 20)).encode()
        start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    listening = eventlet.listen(("127.0.0.1", 0))
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    print(listening.getsockname()[1], flush=True)
    eventlet.wsgi.server(listening, application, log_output=False, debug=False)


if __name__ == "__main__":
    main()
