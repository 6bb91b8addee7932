"""What other systems ask over the bus: the same wishes as over HTTP, with the same checks."""

from __future__ import annotations

from services.api import schemas
from services.api.actions import clusters
from services.api.actions.access import Caller, caller_of
from shared.contracts.external import ExternalBackupDue, ExternalClusterDeleteRequested, ExternalClusterRequested
from shared.db import Database


def request_cluster(database: Database, event: ExternalClusterRequested, max_size: int) -> None:
    """Make a cluster. Raises DtroveError for a wish that cannot be granted: its message is then parked."""
    who = _member(database, event.token)
    asked = schemas.accept(schemas.ClusterCreate, event.cluster)
    with database.write() as tx:
        if tx.first_seen(event.event_id, "external"):
            clusters.create(tx, who.project_id, asked, max_size)


def delete_cluster(database: Database, event: ExternalClusterDeleteRequested, _max_size: int) -> None:
    """Delete a cluster."""
    who = _member(database, event.token)
    with database.write() as tx:
        if tx.first_seen(event.event_id, "external"):
            clusters.delete(tx, who.project_id, event.cluster_id)


def request_backup(database: Database, event: ExternalBackupDue, _max_size: int) -> None:
    """Back a cluster up."""
    who = _member(database, event.token)
    with database.write() as tx:
        if tx.first_seen(event.event_id, "external"):
            clusters.backup(tx, who.project_id, event.cluster_id, event.kind)


def _member(database: Database, token: str) -> Caller:
    who = caller_of(database, token)
    who.need("member")
    return who
