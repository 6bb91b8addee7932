"""A day of numbers of each node, for whoever draws it."""

from __future__ import annotations

from typing import Any

from services.datastore_agentless.domain.samples import with_rates
from services.datastore_agentless.store import samples as store
from shared.db import Database


def samples(database: Database, cluster_id: str) -> list[dict[str, Any]]:
    """Of each node of a cluster its samples in order: when each was taken, and what was measured."""
    with database.read() as connection:
        found = store.of_cluster(connection, cluster_id, database.clock.now())
    return [
        {"instance": node[0].instance_id,
         "samples": [{"at": one.at.isoformat(), **one.measured} for one in with_rates(node)]}
        for node in found
    ]  # fmt: skip
