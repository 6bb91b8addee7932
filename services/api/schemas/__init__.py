"""What goes over the HTTP edge, both ways: marshmallow schemas that validate it, and that OpenAPI is made of."""

from services.api.schemas import queries, requests, shown
from services.api.schemas.base import Empty, accept
from services.api.schemas.requests import (
    AccessOpen,
    BackupKind,
    ClusterCreate,
    ClusterPatch,
    DatastoreCreate,
    DatastorePatch,
    DelegationPut,
    NodesAdd,
    OrphansClean,
    Perform,
    ProjectCreate,
    QuotasPut,
    TokenCreate,
)

__all__ = [
    "AccessOpen", "BackupKind", "ClusterCreate", "ClusterPatch", "DatastoreCreate", "DatastorePatch", "DelegationPut", "Empty",
    "NodesAdd", "OrphansClean", "Perform", "ProjectCreate", "QuotasPut", "TokenCreate", "accept", "queries", "requests", "shown",
]  # fmt: skip
