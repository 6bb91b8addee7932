"""What the provider `openstack` can be told; the six OS_* options that dtrove 0.1 had keep their names and meaning."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared import options
from shared.config import option
from shared.secrets import Secret

ENDPOINT_TYPES = ("public", "internal", "admin")
AFFINITIES = ("soft-anti-affinity", "anti-affinity", "none")


def parse_endpoint_type(raw: Any) -> str:
    """public, internal or admin, also as publicURL and so on. Raises ValueError with a sentence."""
    text = str(raw).removesuffix("URL").lower()
    if text not in ENDPOINT_TYPES:
        raise ValueError(f"{str(raw)!r} is none of {', '.join(ENDPOINT_TYPES)} (or publicURL, ...)")
    return text


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
class OpenStackSettings:
    """One field per option."""

    os_auth_url: str = option(
        "OS_AUTH_URL", "the URL of OpenStack's identity service", default="http://0.0.0.0:5000/v2.0"
    )
    os_nova_bypass_url: str = option("OS_NOVA_BYPASS_URL", "Nova's URL, instead of the catalogue's", default="")
    os_nova_endpoint_type: str = option(
        "OS_NOVA_ENDPOINT_TYPE", "type of the Nova endpoint: public, internal or admin", default="public",
        parse=parse_endpoint_type,
    )  # fmt: skip
    os_username: str = option("OS_USERNAME", "OpenStack user that owns all servers", default="")
    os_password: Secret = option("OS_PASSWORD", "that user's password", default=Secret(""), secret=True)
    os_project_id: str = option("OS_PROJECT_ID", "that user's project", default="")
    os_project_name: str = option(
        "OS_PROJECT_NAME", "that user's project by its name, where no id is given", default=""
    )
    os_user_domain_name: str = option("OS_USER_DOMAIN_NAME", "the domain that the user belongs to", default="Default")
    os_project_domain_name: str = option(
        "OS_PROJECT_DOMAIN_NAME", "the domain that the project belongs to", default="Default"
    )
    os_application_credential_id: str = option(
        "OS_APPLICATION_CREDENTIAL_ID", "an application credential, instead of a user and a password", default=""
    )
    os_application_credential_secret: Secret = option(
        "OS_APPLICATION_CREDENTIAL_SECRET", "its secret", default=Secret(""), secret=True
    )
    os_cloud: str = option("OS_CLOUD", "a cloud of clouds.yaml, instead of all of these", default="")
    os_client_config_file: str = option(
        "OS_CLIENT_CONFIG_FILE", "the clouds.yaml to look in; empty: where openstacksdk looks for one", default=""
    )
    os_region_name: str = option("OS_REGION_NAME", "the region, where the cloud has several", default="")
    os_interface: str = option(
        "OS_INTERFACE", "type of the endpoints of all services but Nova", default="public", parse=parse_endpoint_type
    )
    os_cacert: str = option("OS_CACERT", "a PEM file with the authority that has signed the cloud's certificates", default="",
                            parse=options.existing_file)  # fmt: skip
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


def wrong_with_openstack(chosen: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Rule: somebody to be, where the provider is openstack."""
    if chosen.get("OS_CLOUD"):
        return
    if chosen.get("OS_APPLICATION_CREDENTIAL_ID"):
        if not chosen.get("OS_APPLICATION_CREDENTIAL_SECRET"):
            yield "OS_APPLICATION_CREDENTIAL_SECRET", "is not set: the application credential needs its secret"
        return
    for name in ("OS_USERNAME", "OS_PASSWORD"):
        if not chosen.get(name):
            yield name, "is not set: the provider openstack needs it, or OS_APPLICATION_CREDENTIAL_ID, or OS_CLOUD"
    if not (chosen.get("OS_PROJECT_ID") or chosen.get("OS_PROJECT_NAME")):
        yield "OS_PROJECT_ID", "is not set: the provider openstack needs a project to work in"
