"""What the provider `openstack` can be told."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

from shared import options
from shared.cloud import CloudAccount, parse_endpoint_type
from shared.config import option

AFFINITIES = ("soft-anti-affinity", "anti-affinity", "none")


def parse_cidrs(raw: Any) -> tuple[str, ...]:
    """Networks, with blanks or commas between; a single address is a network of one. Raises ValueError with a sentence."""
    found = []
    for one in str(raw).replace(",", " ").split():
        try:
            found.append(str(ipaddress.ip_network(one)))
        except ValueError:
            raise ValueError(f"{one!r} is no network such as 10.0.0.0/24 (its host bits must be zero)") from None
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True, kw_only=True)
class OpenStackSettings(CloudAccount):
    """One field per option, beside those that say who DTrove is."""

    os_nova_bypass_url: str = option("OS_NOVA_BYPASS_URL", "Nova's URL, instead of the catalogue's", default="")
    os_nova_endpoint_type: str = option(
        "OS_NOVA_ENDPOINT_TYPE", "type of the Nova endpoint: public, internal or admin", default="public",
        parse=parse_endpoint_type,
    )  # fmt: skip
    installation: str = option(
        "DTROVE_INSTALLATION", "the name with which this installation marks what it makes in a cloud; two that share a project "
        "need two", default="dtrove",
    )  # fmt: skip
    network: str = option(
        "DTROVE_OS_NETWORK",
        "the network that servers are put on, by name or id; empty: the project's only one",
        default="",
    )
    floating_network: str = option(
        "DTROVE_OS_FLOATING_NETWORK", "the external network that gives each server a floating address, by name or id; empty: "
        "servers are reached at their fixed addresses", default="",
    )  # fmt: skip
    availability_zone: str = option("DTROVE_OS_AVAILABILITY_ZONE", "where servers and volumes are made; empty: Nova's choice",
                                    default="")  # fmt: skip
    anti_affinity: str = option(
        "DTROVE_OS_ANTI_AFFINITY", "whether the servers of a cluster are kept on different compute hosts: soft-anti-affinity "
        "(where it can be), anti-affinity (or not at all), none", default="soft-anti-affinity",
        parse=options.one_of(*AFFINITIES),
    )  # fmt: skip
    boot_volume_gb: int = option(
        "DTROVE_OS_BOOT_VOLUME_GB", "boot from a volume of so many GB made from the image; 0: from the flavor's own disk",
        default=0, parse=options.whole(0, 16_384),
    )  # fmt: skip
    volume_type: str = option("DTROVE_OS_VOLUME_TYPE", "Cinder's type of the volumes; empty: its default", default="")
    ssh_from: tuple[str, ...] = option(
        "DTROVE_OS_SSH_FROM", "the networks from which servers let SSH in; empty: the jump host's address, or this machine's",
        default=(), parse=parse_cidrs,
    )  # fmt: skip
    clients_from: tuple[str, ...] = option(
        "DTROVE_OS_CLIENTS_FROM", "the networks from which clients reach a database; empty: the servers' own subnets",
        default=(), parse=parse_cidrs,
    )  # fmt: skip
    calls_at_once: int = option("DTROVE_OS_CALLS_AT_ONCE", "calls to the cloud that are under way at the same time",
                                default=16, parse=options.whole(1, 256))  # fmt: skip
    call_seconds: float = option("DTROVE_OS_CALL_SECONDS", "seconds that one call to the cloud may take", default=30.0)
