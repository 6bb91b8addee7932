"""What opens a cluster: its SSH key, of which only the public half is given away, and its administrator's login."""

from __future__ import annotations

from services.datastore_agentless.domain.cluster import Status
from services.datastore_agentless.domain.key import Key
from services.datastore_agentless.store import catalogue, clusters
from shared.db import Database
from shared.errors import Conflict, NotFound
from shared.secrets import Secret


def issue_key(database: Database, cluster_id: str) -> str:
    """The public half of a cluster's key; the pair is made at the first request. Raises Conflict once it is deleted."""
    with database.read() as connection:
        pair = catalogue.key(connection, cluster_id)
    if pair is None:
        fresh = Key.create(f"dtrove-{cluster_id}")
        with database.write() as tx:
            # The wish to make the cluster may not have come here yet.
            cluster = clusters.lock(tx, cluster_id)
            if cluster is not None and cluster.status == Status.DELETED:
                raise Conflict(f"cluster {cluster_id} is deleted: no key is made for it")
            pair = catalogue.add_key(tx, cluster_id, fresh)
    return pair.public


def credentials(database: Database, cluster_id: str) -> tuple[str, Secret]:
    """The administrator's name and password. Raises NotFound where there is no such cluster, or none any more."""
    with database.read() as connection:
        cluster = clusters.cluster(connection, cluster_id)
    if cluster.status == Status.DELETED or not cluster.admin_user:
        raise NotFound(f"there are no credentials of cluster {cluster_id}")
    return cluster.admin_user, cluster.admin_password
