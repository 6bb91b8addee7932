"""The fake provider, with the accidents of this run in its way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from services.provisioner.providers.fake.cloud import Cloud
from services.provisioner.providers.fake.faults import Fault
from services.provisioner.providers.fake.provider import Provider
from shared.clock import Clock

T = TypeVar("T")


class Sky(Protocol):
    """What happens to calls of the cloud."""

    def at_cloud(self, call: str) -> str:
        """Called before: a fault of the fake provider, or an empty word. May end the process."""

    def after_cloud(self, call: str) -> None:
        """Called when the cloud has done it. May end the process."""


class SimProvider(Provider):
    """One cloud for every replica of the provisioner; it outlives them."""

    def __init__(self, clock: Clock, build_seconds: float, sky: Sky) -> None:
        super().__init__({}, Cloud(build_seconds, clock=clock))
        self._sky = sky

    def answers_at(self, addr: str) -> bool:
        """Whether a server that is up has this address."""
        there = [one for one in self.cloud.servers() if addr == f"sim-{one.instance_id[:8]}.invalid"]
        return any(self.cloud.state(one)[0] == "ACTIVE" for one in there)

    def _struck(self, call: str, do: Callable[[str], T]) -> T:
        fault = self._sky.at_cloud(call)
        if fault:
            # At this very call, whatever was ordered for one.
            self.faults.pending.insert(0, Fault(call, fault))
        done = super()._struck(call, do)
        self._sky.after_cloud(call)
        return done
