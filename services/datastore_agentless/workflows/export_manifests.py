"""What is told of an export: its manifest, version 1, which is kept beside its parts and can be read without DTrove."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.datastore_agentless.backup_stores.base import Part
from services.datastore_agentless.backup_stores.transfer import Sent
from services.datastore_agentless.datastores.base.dumping import Mark
from services.datastore_agentless.datastores.base.exporting import Exporting
from services.datastore_agentless.domain.export import Export
from shared.contracts.exports import TABLES_TOLD, ExportedTable, ExportFacts, command

VERSION = 1


def begun(export: Export, mark: Mark, exporting: Exporting) -> dict[str, Any]:
    """What is known of an export once it begins."""
    file, restore = export.file(exporting.extension(export.choice)), exporting.restore(export.choice)
    return {
        "version": VERSION, "export": export.id, "cluster": {"id": export.cluster_id, "name": export.cluster_name},
        "project": export.project_id, "datastore": export.datastore, "engine": mark.engine, "format": export.format,
        "file": file, "restore": restore,
        "recipient": export.recipient, "chosen": {"databases": export.databases, "tables": export.tables},
        "command": command(file, restore, encrypted=bool(export.recipient)),
        "rows_exact": exporting.counts_exactly, "begun": {"at": mark.at, "position": mark.position},
    }  # fmt: skip


def ended(mark: Mark, sent: Sent, tables: Sequence[ExportedTable]) -> dict[str, Any]:
    """What is known once all of it was sent."""
    return {
        "ended": {"at": mark.at, "position": mark.position}, "size_bytes": sent.size_bytes, "sha256": sent.sha256,
        "stored_bytes": sum(part.size for part in sent.parts), "parts": [vars(part) for part in sent.parts],
        "tables": [vars(table) for table in tables], "rows": sum(table.rows for table in tables),
    }  # fmt: skip


def parts_of(export: Export) -> list[Part]:
    """The parts that a manifest tells of."""
    return [Part(**one) for one in export.manifest["parts"]]


def facts(export: Export) -> ExportFacts:
    """What others are told of an export that is whole."""
    told = export.manifest
    alike = ("engine", "size_bytes", "stored_bytes", "sha256", "file", "restore", "tools", "rows", "rows_exact")
    tables = [ExportedTable(**one) for one in told["tables"]]
    return ExportFacts(**{name: told[name] for name in alike}, begun_at=told["begun"]["at"], ended_at=told["ended"]["at"],
                       databases=tuple(told["databases"]), tables=tuple(tables[:TABLES_TOLD]), tables_total=len(tables))  # fmt: skip
