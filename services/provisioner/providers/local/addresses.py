"""Fixed addresses for hosts, IP and MAC: what the engine gives by itself changes with every stop and start. And for clusters."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
from docker.types import EndpointConfig

from services.provisioner.providers.base import ProviderError
from services.provisioner.providers.local import reserved
from services.provisioner.providers.local.engine import installation
from services.provisioner.providers.lock import locked

LABEL = "dtrove-addr"
# Networks of hosts are so large: see engine.ensure_network.
PREFIX = 24


@contextmanager
def free_address(client: docker.DockerClient, home: Path, network: str, whose: str) -> Iterator[str]:
    """An address of the installation's network that no host has, and no cluster; others wait until this one is taken.

    Raises ProviderError where the network is full.
    """
    with locked(home / "run" / "addresses.lock"):
        yield pick(_subnet(client, network), _taken(client, home, network), whose)


def pick(subnet: ipaddress.IPv4Network, taken: set[str], whose: str) -> str:
    """The first address that is free, each instance and each cluster beginning at another place."""
    # The first one is the gateway's, the last one is nobody's.
    hosts = [str(host) for host in subnet.hosts()][1:-1]
    begin = int(hashlib.sha256(whose.encode()).hexdigest(), 16) % len(hosts)
    for address in hosts[begin:] + hosts[:begin]:
        if address not in taken:
            return address
    raise ProviderError(f"all {len(hosts)} addresses of the local network {subnet} are taken",
                        what_to_do="delete clusters that are not needed, then retry the operation")  # fmt: skip


def nobodys(address: str) -> str:
    """The address that no host is given, of the network that this one is of: who asks for it asks everybody."""
    return str(ipaddress.IPv4Interface(f"{address}/{PREFIX}").network.broadcast_address - 1)


def endpoint(client: docker.DockerClient, address: str) -> EndpointConfig:
    """Where a host joins the network: its address, and the MAC that belongs to it, whichever host has it.

    What the engine gives by itself is another MAC at every start, and for up to a minute neighbours go on sending to the old one.
    """
    return client.api.create_endpoint_config(ipv4_address=address, mac_address=mac(address))


def mac(address: str) -> str:
    """A locally administered MAC that tells the address, as Docker's own do: 02:42 and its four bytes."""
    return ":".join(f"{byte:02x}" for byte in (0x02, 0x42, *ipaddress.IPv4Address(address).packed))


def _subnet(client: docker.DockerClient, network: str) -> ipaddress.IPv4Network:
    pools = (client.networks.get(network).attrs.get("IPAM") or {}).get("Config") or []
    return ipaddress.IPv4Network(next(pool["Subnet"] for pool in pools if "." in pool.get("Subnet", "")))


def _taken(client: docker.DockerClient, home: Path, network: str) -> set[str]:
    found: set[str] = set()
    for one in client.api.containers(all=True, filters={"label": f"dtrove-home={installation(home)}"}):
        found.add((one.get("Labels") or {}).get(LABEL, ""))
        joined = ((one.get("NetworkSettings") or {}).get("Networks") or {}).get(network) or {}
        found.add(joined.get("IPAddress") or "")
    return found.union(one.addr for one in reserved.every(home)) - {""}
