"""The fake provider, with the accidents of this run in its way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from services.provisioner.domain.instance import Instance
from services.provisioner.providers.fake.cloud import Cloud, Server
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


def address_of(instance_id: str) -> str:
    """The address that the fake provider gives an instance's server."""
    return f"sim-{instance_id[:8]}.invalid"


class SimCloud(Cloud):
    """Is asked for its servers far more often than they change: its table is read again only once something has."""

    def __init__(self, build_seconds: float, clock: Clock) -> None:
        super().__init__(build_seconds, clock=clock)
        self._read_at = -1
        self._rows: list[Server] = []

    def servers(self, instance_id: str | None = None) -> list[Server]:
        now = self._now()
        return [one for one in self._every() if instance_id in (None, one.instance_id) and one.created_at <= now]

    def _every(self) -> list[Server]:
        """Also those that nobody is shown yet."""
        if self._read_at != self._db.total_changes:
            self._read_at = self._db.total_changes
            self._rows = [Server(*row) for row in self._db.execute("select * from servers order by created_at, id")]
        return self._rows


class SimProvider(Provider):
    """One cloud for every replica of the provisioner; it outlives them."""

    # As for a real cloud: a look that finds a server as it was teaches nothing.
    poll_seconds = 1.0

    def __init__(self, clock: Clock, build_seconds: float, sky: Sky) -> None:
        super().__init__({}, SimCloud(build_seconds, clock))
        self._sky = sky
        # Told the address of a server whose power goes.
        self.unplugged: Callable[[str], None] = lambda _addr: None

    def answers_at(self, addr: str) -> bool:
        """Whether a server that is up has this address."""
        there = [one for one in self.cloud.servers() if addr == address_of(one.instance_id)]
        return any(self.cloud.state(one)[0] == "ACTIVE" for one in there)

    def leads_to(self, cluster_id: str) -> list[str]:
        """The addresses of the servers that a cluster's own address leads to: one, or none."""
        return [address_of(one.instance_id) for one in self.cloud.addresses(cluster_id) if one.instance_id]

    def power_off(self, instance: Instance) -> None:
        """What runs on it ends with that."""
        self._struck("power_off", lambda _: self.pull_plug(self._present(instance)))

    def pull_plug(self, server: Server) -> None:
        """Off, whoever does it."""
        self.cloud.set_power(server, "off")
        self.unplugged(address_of(server.instance_id))

    def _struck(self, call: str, do: Callable[[str], T]) -> T:
        fault = self._sky.at_cloud(call)
        if fault:
            # At this very call, whatever was ordered for one.
            self.faults.pending.insert(0, Fault(call, fault))
        done = super()._struck(call, do)
        self._sky.after_cloud(call)
        return done
