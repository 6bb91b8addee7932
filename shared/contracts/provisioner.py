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

    `cluster_addr` is the address that its cluster has of its own, for the database to listen at beside the server's.

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
    cluster_addr: str = ""


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


@event("instance.fenced", publisher="provisioner")
@dataclass(frozen=True, kw_only=True)
class InstanceFenced(Event):
    """A server is off, as the provider says by itself after it was switched off: `server_status` is SHUTOFF, or DELETED where it
    is gone. Nothing on it writes any more until `node.power_requested` was answered.
    """

    instance_id: str
    cluster_id: str
    operation_id: str
    server_status: str


@event("instance.powered", publisher="provisioner")
@dataclass(frozen=True, kw_only=True)
class InstancePowered(Event):
    """A server that was off runs again, at `addr`; `reach` as in `instance.active`."""

    instance_id: str
    cluster_id: str
    operation_id: str
    addr: str
    reach: dict[str, str] = field(default_factory=dict)


@event("instance.power_failed", publisher="provisioner")
@dataclass(frozen=True, kw_only=True)
class InstancePowerFailed(Event):
    """A server could not be switched: `wanted` is `off` or `on`. How it is, nobody knows for sure: nothing was fenced."""

    instance_id: str
    cluster_id: str
    operation_id: str
    wanted: str
    problem: Problem


@event("instance.resized", publisher="provisioner")
@dataclass(frozen=True, kw_only=True)
class InstanceResized(Event):
    """The volume of a server is `volume_gb` large at the provider; what is on it may not have noticed yet. Or, with a `flavor`, the
    server is one of that, and runs at `addr`; `reach` as in `instance.active`.

    `message` says what there is to know of it, as that it is a folder whose size nothing enforces; mostly empty.
    """

    instance_id: str
    cluster_id: str
    operation_id: str
    volume_gb: int = 0
    flavor: Flavor | None = None
    addr: str = ""
    reach: dict[str, str] = field(default_factory=dict)
    message: str = ""


@event("instance.resize_failed", publisher="provisioner")
@dataclass(frozen=True, kw_only=True)
class InstanceResizeFailed(Event):
    """The volume of a server could not be made larger, or, with a `flavor`, the server not one of that."""

    instance_id: str
    cluster_id: str
    operation_id: str
    problem: Problem
    flavor: Flavor | None = None


@event("address.moved", publisher="provisioner")
@dataclass(frozen=True, kw_only=True)
class AddressMoved(Event):
    """A cluster's own address leads to the server of this instance, and to no other; it may have done so before.

    `operation_id` is empty where nobody has asked: a server had lost it, by a reboot for instance.
    """

    cluster_id: str
    instance_id: str
    operation_id: str
    addr: str
    seconds: float = 0.0


@event("address.move_failed", publisher="provisioner")
@dataclass(frozen=True, kw_only=True)
class AddressMoveFailed(Event):
    """A cluster's own address could not be led to the server of this instance. Where it leads, nobody knows for sure."""

    cluster_id: str
    instance_id: str
    operation_id: str
    problem: Problem


@event("flavors.listed", publisher="provisioner")
@dataclass(frozen=True, kw_only=True)
class FlavorsListed(Event):
    """The flavors of the provider in use, announced at start-up and whenever they change."""

    provider: str
    flavors: tuple[Flavor, ...]
    supports_volumes: bool
    supports_snapshots: bool
    supports_resize: bool = False
    supports_addresses: bool = False
