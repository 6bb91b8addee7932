"""Keeps in mind what the provider said last, so that nobody who only asks has to wait on a cloud."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.provisioner.providers.base import Found, fitting
from services.provisioner.providers.clouds import Clouds
from shared.clock import Clock, SystemClock
from shared.contracts.state import ProviderState
from shared.contracts.values import Flavor
from shared.errors import DtroveError


@dataclass
class ProviderWatch:
    """The last look at a provider; `name` is what DTROVE_PROVIDER calls it, `ours_at` is when all that is ours was seen."""

    name: str
    clouds: Clouds
    clock: Clock = field(default_factory=SystemClock)
    _flavors: list[Flavor] = field(default_factory=list)
    _seen: list[Found] = field(default_factory=list)
    _trouble: str = "nobody has asked it yet"
    _looked_at: str = ""
    _ours_at: float = float("-inf")
    ours_at: datetime | None = None

    def look_at_flavors(self) -> list[Flavor]:
        """Ask for the flavors. Raises ProviderError, ProviderBusy."""
        with self._noting():
            self._flavors = self.clouds.own.flavors()
        return self._flavors

    def wants_a_look(self) -> bool:
        """Whether the last look at what is ours is long enough ago for this provider."""
        return self.clock.monotonic() - self._ours_at >= self.clouds.own.sweep_seconds

    def look_at_ours(self) -> list[Found]:
        """Ask for all servers and volumes of ours. Raises ProviderError, ProviderBusy."""
        self._ours_at, self.ours_at = self.clock.monotonic(), self.clock.now()
        with self._noting():
            self._seen = self.clouds.list_ours()
        return self._seen

    def flavors(self, datastore: str | None = None) -> list[Flavor]:
        """The flavors as last seen, those that fit a datastore where one is named. Asks only if nobody has before."""
        return fitting(self._flavors or self.look_at_flavors(), datastore)

    def status(self) -> dict[str, Any]:
        """How the last look went: `answers`, `message` (the trouble), `checked_at`, and what of ours was seen."""
        kinds = [thing.kind for thing in self._seen]
        return {
            "provider": self.name, "answers": not self._trouble, "message": self._trouble,
            "checked_at": self._looked_at, "flavors": len(self._flavors), "servers": kinds.count("server"),
            "volumes": kinds.count("volume"), "supports_volumes": self.clouds.own.supports_volumes,
            "supports_snapshots": self.clouds.own.supports_snapshots,
        }  # fmt: skip

    def state(self) -> ProviderState:
        """The same for the operator's view of the whole."""
        return ProviderState(
            name=self.name,
            answers=not self._trouble,
            message=self._trouble,
            checked_at=self._looked_at,
            calls=self.clouds.own.calls,
        )

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Note when the provider was asked and how it went; the error goes on to the asker."""
        trouble = ""
        try:
            yield
        except DtroveError as error:
            trouble = " ".join(filter(None, (error.message, error.what_to_do)))
            raise
        finally:
            self._trouble, self._looked_at = trouble, self.clock.now().isoformat()
