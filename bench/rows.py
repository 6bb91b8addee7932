"""Many clusters at once: copies of one that DTrove has made, written into the API's own tables."""

from __future__ import annotations

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
