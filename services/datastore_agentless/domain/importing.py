"""What is to come into a cluster that serves: of which export it is, what is in that, and how far it has come."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.datastore_agentless.domain.export import Export
from shared.contracts.exports import ExportedTable
from shared.errors import Conflict


class State(StrEnum):
    """Where an import stands."""

    LOADING = "loading"
    COMPLETED = "completed"
    FAILED = "failed"


TRANSITIONS: dict[State, set[State]] = {
    State.LOADING: {State.COMPLETED, State.FAILED},
    State.COMPLETED: set(),
    State.FAILED: {State.LOADING},
}


@dataclass(frozen=True)
class Contents:
    """What a stream holds: whole databases, or chosen tables of the only one; what was counted when it was sent, and how large it is.

    `exact`: it was counted in the very snapshot that was sent.
    """

    format: str
    databases: tuple[str, ...]
    tables: tuple[str, ...] = ()
    counted: tuple[ExportedTable, ...] = ()
    size_bytes: int = 0
    exact: bool = False

    @property
    def rows(self) -> int:
        """How many rows, or keys."""
        return sum(one.rows for one in self.counted)

    def told(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


@dataclass
class Import:
    """One import. `manifest` has what its steps keep: the node that it was begun on, what is to come in, and what was counted then."""

    id: str
    cluster_id: str
    project_id: str
    operation_id: str
    export_id: str
    created_at: datetime
    instance_id: str = ""
    beginnings: int = 0
    manifest: dict[str, Any] = field(default_factory=dict)
    ended_at: datetime | None = None
    state: State = State.LOADING

    def become(self, state: State) -> None:
        """Move to `state`; repeating the current one is allowed. Raises Conflict on any other move."""
        if state != self.state and state not in TRANSITIONS[self.state]:
            raise Conflict(f"import {self.id} is {self.state} and cannot become {state}")
        self.state = state

    @property
    def contents(self) -> Contents:
        """What is to come in, also when the export is gone by now."""
        told = self.manifest["contents"]
        return Contents(told["format"], tuple(told["databases"]), tuple(told["tables"]),
                        tuple(ExportedTable(**one) for one in told["counted"]), told["size_bytes"], told["exact"])  # fmt: skip

    @property
    def job(self) -> str:
        """The name of what loads it on its node, another one after each beginning."""
        return f"import-{self.beginnings}"


def contents(export: Export) -> Contents:
    """What an export that is whole has, by its manifest."""
    told = export.manifest
    return Contents(
        export.format, tuple(told["databases"]), tuple(export.tables), tuple(ExportedTable(**one) for one in told["tables"]),
        int(told["size_bytes"]), bool(told["rows_exact"]),
    )  # fmt: skip
