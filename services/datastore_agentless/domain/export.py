"""Data of a cluster in a form that other tools read: what it is of, where it lies, and which key opens it. It may outlive its cluster."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.datastore_agentless.domain.backup import TRANSITIONS, State
from shared.errors import Conflict
from shared.secrets import Secret


@dataclass(frozen=True)
class Choice:
    """What is wanted of a cluster: in which format, of which databases (none named: all) and which of their tables."""

    format: str
    databases: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()


@dataclass
class Export:
    """One export. Where it stands, and how that may change, is as with a backup.

    `identity` opens it: a private key of age's that opens nothing else, which whoever may read the cluster may have; empty where it
    is not encrypted. `token`, `beginnings`, `instance_id`, `datastore` and `manifest` are as in Backup.
    """

    id: str
    cluster_id: str
    project_id: str
    operation_id: str
    created_at: datetime
    cluster_name: str
    format: str
    store: str
    key: str
    databases: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    recipient: str = ""
    identity: Secret = field(default_factory=lambda: Secret(""))
    token: Secret = field(default_factory=lambda: Secret(""))
    beginnings: int = 0
    instance_id: str = ""
    datastore: dict[str, str] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)
    size_bytes: int = 0
    stored_bytes: int = 0
    ended_at: datetime | None = None
    state: State = State.MAKING

    def become(self, state: State) -> None:
        """Move to `state`; repeating the current one is allowed. Raises Conflict on any other move."""
        if state != self.state and state not in TRANSITIONS[self.state]:
            raise Conflict(f"export {self.id} is {self.state} and cannot become {state}")
        self.state = state

    @property
    def choice(self) -> Choice:
        """What it is of."""
        return Choice(self.format, tuple(self.databases), tuple(self.tables))

    @property
    def job(self) -> str:
        """The name of what sends it from its node, another one after each beginning."""
        return f"export-{self.beginnings}"

    def file(self, extension: str) -> str:
        """What its file is called once it is decrypted: of small letters, digits, hyphens and dots."""
        return f"{self.cluster_name}-{self.id[:8]}.{extension}.zst"

    @property
    def file_kept(self) -> str:
        """What its file is called as it is kept."""
        return f"{self.manifest['file']}.age" if self.recipient else str(self.manifest["file"])

    @property
    def manifest_bytes(self) -> bytes:
        """The manifest as it is kept beside the parts."""
        return json.dumps(self.manifest, indent=2, sort_keys=True).encode()
