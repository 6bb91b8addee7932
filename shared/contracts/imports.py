"""What datastore_agentless announces of imports."""

from __future__ import annotations

from dataclasses import dataclass

from shared.contracts.base import Event, event
from shared.contracts.exports import ExportedTable
from shared.contracts.values import Problem

# So many tables are named that have other rows than they were sent with.
DIFFERING_TOLD = 100


@dataclass(frozen=True, kw_only=True)
class ImportFacts:
    """What has come in: counted where it is now, beside what was counted when it was sent.

    `differing` names tables that have other rows than that, as DATABASE TABLE, at most DIFFERING_TOLD of them.
    """

    databases: tuple[str, ...] = ()
    tables: tuple[ExportedTable, ...] = ()
    tables_total: int = 0
    rows: int = 0
    rows_expected: int = 0
    size_bytes: int = 0
    differing: tuple[str, ...] = ()


@event("import.started", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class ImportStarted(Event):
    """An import has begun, on the primary."""

    import_id: str
    cluster_id: str
    project_id: str
    operation_id: str
    instance_id: str


@event("import.completed", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class ImportCompleted(Event):
    """All of an import is in the cluster."""

    import_id: str
    cluster_id: str
    project_id: str
    operation_id: str
    instance_id: str
    facts: ImportFacts


@event("import.failed", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class ImportFailed(Event):
    """An import has come to nothing; where something of it is left in the cluster, the problem says so."""

    import_id: str
    cluster_id: str
    operation_id: str
    problem: Problem
    cancelled: bool = False
