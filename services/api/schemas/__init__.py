"""What goes over the HTTP edge, both ways: marshmallow schemas that validate it, and that OpenAPI is made of."""

from services.api.schemas import queries, requests, shown, shown_parameters
from services.api.schemas.base import Empty, accept, accept_query
from services.api.schemas.requests import (
    AccessOpen,
    BackupCreate,
    BackupVerify,
    ClusterCreate,
    ClusterPatch,
    DatastoreCreate,
    DatastorePatch,
    DelegationPut,
    Failover,
    NodesAdd,
    OrphansClean,
    ParametersChange,
    ParametersPut,
    ParametersRollback,
    Perform,
    ProjectCreate,
    QuotasPut,
    Resize,
    Restart,
    SessionCreate,
    Switchover,
    TokenCreate,
)
from services.api.schemas.restores import RestoreInPlace

__all__ = [
    "AccessOpen", "BackupCreate", "BackupVerify", "ClusterCreate", "ClusterPatch", "DatastoreCreate", "DatastorePatch", "DelegationPut", "Empty",
    "Failover", "NodesAdd", "OrphansClean", "ParametersChange", "ParametersPut", "ParametersRollback", "Perform", "ProjectCreate",
    "QuotasPut", "Resize", "Restart", "RestoreInPlace", "SessionCreate", "Switchover", "TokenCreate", "accept", "accept_query", "queries", "requests", "shown",
    "shown_parameters",
]  # fmt: skip
