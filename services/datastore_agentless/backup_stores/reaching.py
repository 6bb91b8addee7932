"""Looks from time to time whether the stores answer, so that nobody who asks waits for one that does not."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.datastore_agentless.backup_stores.stores import Stores
from shared.errors import DtroveError


@dataclass
class Reaching:
    """`troubles` has a line for each store that was looked at: why it did not answer, empty where it did."""

    stores: Stores
    troubles: dict[str, str] = field(default_factory=dict)

    def look(self) -> None:
        """Ask each of them."""
        for name in self.stores.names:
            self.troubles[name] = self._trouble(name)

    def _trouble(self, name: str) -> str:
        try:
            self.stores.get(name).reach()
        except DtroveError as error:
            return error.message
        return ""
