"""Databases of services that are migrated already: a session migrates one of each kind, and tests get copies."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from shared.db import migrate
from tests.support.postgres import PrivatePostgres


@dataclass
class Blanks:
    """Kept in `directory`, or on the session's PostgreSQL."""

    directory: Path
    _kept: dict[tuple[str, str], str] = field(default_factory=dict)

    def file(self, service: str, directory: Path) -> str:
        """A SQLite database of a service, in a test's own directory; returns its URL."""
        copy = directory / f"{service}.sqlite"
        shutil.copyfile(self._migrated(service), copy)
        return f"sqlite:///{copy}"

    def on(self, server: PrivatePostgres, service: str) -> str:
        """A database of a service on PostgreSQL; returns its URL."""
        key = (service, "postgresql")
        if key not in self._kept:
            self._kept[key] = server.fresh(f"blank_{service}")
            migrate.upgrade(service, self._kept[key])
        return server.fresh(service, like=self._kept[key])

    def _migrated(self, service: str) -> str:
        key = (service, "sqlite")
        if key not in self._kept:
            path = self.directory / f"{service}.sqlite"
            migrate.upgrade(service, f"sqlite:///{path}")
            self._kept[key] = str(path)
        return self._kept[key]
