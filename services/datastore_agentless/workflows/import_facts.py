"""What is told of an import: what was counted where it is now, beside what was counted when it was sent."""

from __future__ import annotations

from collections.abc import Sequence

from services.datastore_agentless.domain.importing import Contents
from shared.contracts.exports import TABLES_TOLD, ExportedTable
from shared.contracts.imports import DIFFERING_TOLD, ImportFacts


def facts(within: Contents, found: Sequence[ExportedTable]) -> ImportFacts:
    """What others are told of it."""
    there = {(one.database, one.table): one.rows for one in found}
    differing = [one for one in within.counted if there.get((one.database, one.table), 0) != one.rows]
    return ImportFacts(
        databases=within.databases, tables=tuple(found[:TABLES_TOLD]), tables_total=len(found),
        rows=sum(one.rows for one in found), rows_expected=within.rows, size_bytes=within.size_bytes,
        differing=tuple(f"{one.database} {one.table}".rstrip() for one in differing[:DIFFERING_TOLD]),
    )  # fmt: skip
