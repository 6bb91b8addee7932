"""What the provisioner announces: servers that came, failed or went."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.contracts.base import Event, event
from shared.contracts.values import Flavor, Problem, VolumeRef


@event("instance.active", publisher="provisioner")
@dataclass(frozen=True, kw_only=True)
class InstanceActive(Event):
    """A server is up. `host_key` is the public key it was born with, as `ssh-ed25519 AAAA...`.

    `keeps_host_key` says that no cloud has seen the private half: the host made it, and it is pinned as it is. Any other
    is replaced at first contact.

    `reach` maps a port of the server to the `host:port` where the controller and its users reach it, for
    providers whose addresses are not routed (a container engine in a virtual machine); empty means direct.
    """

    instance_id: str
    cluster_id: str
    operation_id: str
    server: str
    addr: str
    user: str
    host_key: str
    keeps_host_key: bool = False
    local_id: str = ""
    ssh_port: int = 22
    volume: VolumeRef | None = None
    reach: dict[str, str] = field(default_factory=dict)


@event("instance.failed", publisher="provisioner")
@dataclass(frozen=True, kw_only=True)
class InstanceFailed(Event):
    """A server could not be had; what was made for it has been removed."""

    instance_id: str
    cluster_id: str
    operation_id: str
    problem: Problem


@event("instance.deleted", publisher="provisioner")
@dataclass(frozen=True, kw_only=True)
class InstanceDeleted(Event):
    """A server, its volumes and addresses are gone from the provider."""

    instance_id: str
    cluster_id: str
    operation_id: str


@event("flavors.listed", publisher="provisioner")
@dataclass(frozen=True, kw_only=True)
class FlavorsListed(Event):
    """The flavors of the provider in use, announced at start-up and whenever they change."""

    provider: str
    flavors: tuple[Flavor, ...]
    supports_volumes: bool
    supports_snapshots: bool
