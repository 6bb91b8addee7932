"""Many clusters at once: copies of one that DTrove has made, written into the services' own tables."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from sqlalchemy import insert, select

from services.api.store import tables
from shared.db import Database

BATCH = 1000


def multiply(file: Path, cluster_id: str, total: int) -> None:
    """Let the cluster's project have `total` clusters, each with instances of its own, a second apart."""
    database = Database(f"sqlite:///{file}", "api", tables.metadata)
    c, i = tables.clusters, tables.instances
    try:
        with database.read() as connection:
            model = connection.execute(select(c).where(c.c.id == cluster_id)).one()._asdict()
            nodes = [row._asdict() for row in connection.execute(select(i).where(i.c.cluster_id == cluster_id))]
            there = len(connection.execute(select(c.c.id).where(c.c.project_id == model["project_id"])).all())
        for first in range(there, total, BATCH):
            clusters, instances = [], []
            for number in range(first, min(first + BATCH, total)):
                made = str(uuid4())
                moment = model["created_at"] + timedelta(seconds=number)
                copies = {node["id"]: str(uuid4()) for node in nodes}
                clusters.append({**model, "id": made, "name": f"many-{number}", "created_at": moment,
                                 "primary_id": copies.get(model["primary_id"], "")})  # fmt: skip
                instances += [
                    {**node, "id": copies[node["id"]], "cluster_id": made, "name": f"many-{number}-1"} for node in nodes
                ]
            with database.write() as tx:
                tx.connection.execute(insert(c), clusters)
                tx.connection.execute(insert(i), instances)
    finally:
        database.engine.dispose()


def watched(api: Path, databases: Path, cluster_id: str, total: int) -> None:
    """Let there be `total` clusters in all that serve, for the API and for datastore_agentless: copies under other ids.

    What is sealed is copied as it stands: it is sealed for the installation, not for the row.
    """
    with closing(sqlite3.connect(api, timeout=10)) as shown, closing(sqlite3.connect(databases, timeout=10)) as known:
        there = shown.execute("SELECT count(*) FROM clusters").fetchone()[0]
        node = shown.execute("SELECT id FROM instances WHERE cluster_id = ?", (cluster_id,)).fetchone()[0]
        for number in range(there, total):
            ids = {cluster_id: str(uuid4()), node: str(uuid4())}
            for connection in (shown, known):
                _copy(connection, "clusters", "id", cluster_id, ids, f"many-{number}")
                _copy(connection, "instances", "id", node, ids, f"many-{number}-1")
            _copy(known, "keys", "cluster_id", cluster_id, ids, f"many-{number}")
        shown.commit()
        known.commit()


def _copy(connection: sqlite3.Connection, table: str, key: str, of: str, ids: dict[str, str], name: str) -> None:
    """One row more, with other ids, and another name."""
    found = connection.execute(f"SELECT * FROM {table} WHERE {key} = ?", (of,))
    columns, values = [one[0] for one in found.description], found.fetchone()
    made = [name if column == "name" else ids.get(value, value) if isinstance(value, str) else value
            for column, value in zip(columns, values, strict=True)]  # fmt: skip
    quoted = ", ".join(f'"{column}"' for column in columns)
    connection.execute(f"INSERT INTO {table} ({quoted}) VALUES ({', '.join('?' * len(columns))})", made)
