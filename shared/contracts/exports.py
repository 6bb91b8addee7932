"""What datastore_agentless announces of exports, what one can be, and how one is described wherever it is spoken of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shared.contracts.base import Event, event
from shared.contracts.values import Problem

SQL, CUSTOM, RDB, JSON_LINES = "sql", "custom", "rdb", "jsonl"
# Of each engine the usual one first, by the name of its dialect.
FORMATS: Mapping[str, tuple[str, ...]] = {"pgsql": (SQL, CUSTOM), "mysql": (SQL,), "redis": (RDB, JSON_LINES)}
# So many tables are told of by name; a manifest has all of them.
TABLES_TOLD = 1000


@dataclass(frozen=True, kw_only=True)
class ExportedTable:
    """A table of an export, with its schema where the engine has such; of Redis a database, whose rows are its keys."""

    database: str
    table: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class ExportFacts:
    """What is known of an export that is whole. `rows_exact` is whether rows were counted in the snapshot that was sent, or beside it.

    `file` is what it may be called, `restore` reads what is in it from standard input.
    """

    engine: str
    begun_at: str
    ended_at: str
    size_bytes: int
    stored_bytes: int
    sha256: str
    file: str
    restore: str
    tools: dict[str, str] = field(default_factory=dict)
    databases: tuple[str, ...] = ()
    tables: tuple[ExportedTable, ...] = ()
    tables_total: int = 0
    rows: int = 0
    rows_exact: bool = False


@event("export.started", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class ExportStarted(Event):
    """An export is being made on a node."""

    export_id: str
    cluster_id: str
    project_id: str
    operation_id: str
    instance_id: str
    store: str


@event("export.completed", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class ExportCompleted(Event):
    """An export is whole: every byte of it is where it is kept, and can be had from there."""

    export_id: str
    cluster_id: str
    project_id: str
    operation_id: str
    instance_id: str
    store: str
    facts: ExportFacts


@event("export.failed", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class ExportFailed(Event):
    """An export could not be made; what there was of it is gone, or goes."""

    export_id: str
    cluster_id: str
    operation_id: str
    problem: Problem
    cancelled: bool = False


@event("export.deleted", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class ExportDeleted(Event):
    """Nothing is kept of an export any more."""

    export_id: str
    cluster_id: str
    operation_id: str


@event("export.delete_failed", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class ExportDeleteFailed(Event):
    """An export could not be removed from where it is kept; it is no longer handed out."""

    export_id: str
    cluster_id: str
    operation_id: str
    problem: Problem


def objection(engine: str, format_: str, databases: Sequence[str], tables: Sequence[str]) -> tuple[str, str]:
    """Why an engine makes no such export: the field, and a sentence about it; two empty texts where it does.

    `engine` is one that FORMATS has.
    """
    if format_ not in FORMATS[engine]:
        return "format", f"must be one of {', '.join(FORMATS[engine])}"
    if format_ == CUSTOM and len(databases) != 1:
        return "databases", "must name one: a file of pg_dump's custom format holds one database"
    if format_ == RDB and databases:
        return "databases", "cannot be chosen: a snapshot holds all of them; choose the format jsonl"
    if engine == "redis" and not all(name.isascii() and name.isdigit() for name in databases):
        return "databases", "must be numbers"
    if engine == "redis" and tables:
        return "tables", "are for engines that have such"
    if tables and len(databases) != 1:
        return "tables", "can be chosen of one database: name that in `databases`"
    return "", ""


def command(file: str, restore: str, *, encrypted: bool) -> str:
    """The line of shell that restores an export from its file, in a folder with that and with its key.

    `file` and `restore` are as in ExportFacts; a file's name needs no quotes.
    """
    opened = f"age -d -i {key_file(file)} {file}.age | zstd -dc" if encrypted else f"zstd -dc {file}"
    return f"{opened} | {restore}"


def key_file(file: str) -> str:
    """What the file with an export's key is called beside it."""
    return f"{file.partition('.')[0]}.key"
