"""Where a server is on the network: its port, its floating address, and who may reach it."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from openstack.connection import Connection
from openstack.exceptions import ConflictException

from services.provisioner.domain.instance import Instance
from services.provisioner.providers.base import ProviderBusy, ProviderError
from services.provisioner.providers.openstack.marks import belonging_to, eldest, name_of
from services.provisioner.providers.openstack.settings import OpenStackSettings

SSH_PORT = 22
FAMILIES = {4: "IPv4", 6: "IPv6"}


@dataclass(frozen=True)
class Network:
    """Ports, floating addresses and security groups of one project. `jump` is the host that SSH comes from, if any."""

    cloud: Connection
    chosen: OpenStackSettings
    jump: str = ""

    def port(self, instance: Instance) -> Any:
        """The instance's port, made where there is none."""
        there = self.find_port(instance.id)
        if there is not None:
            return there
        network_id = self._find_network()
        group = self.security_group(instance, network_id)
        return self.cloud.network.create_port(
            name=name_of(instance.id), description=belonging_to(instance.cluster_id), network_id=network_id,
            security_group_ids=[group.id],
        )  # fmt: skip

    def find_port(self, instance_id: str) -> Any | None:
        """The instance's port. Of two, made by two who knew nothing of each other, always the same."""
        return eldest(self.cloud.network.ports(name=name_of(instance_id)))

    def addr(self, instance: Instance, port: Any) -> str:
        """Where the server is reached: its floating address, made where that is wanted, or its fixed one."""
        if self.chosen.floating_network:
            return str(self._floating_ip(instance, port).floating_ip_address)
        return fixed_address(port)

    def security_group(self, instance: Instance, network_id: str) -> Any:
        """The cluster's group with the rules it should have; what is missing is added."""
        group = self._find_group(instance.cluster_id) or self._make_group(instance.cluster_id)
        there = {_of_rule(rule) for rule in group.security_group_rules}
        missing = [rule for rule in self._rules(instance, group.id, network_id) if _of_rule(rule) not in there]
        for rule in missing:
            try:
                self.cloud.network.create_security_group_rule(**rule)
            except ConflictException as error:
                # Another worker has made the same rule meanwhile; a quota is something else.
                if "quota" in str(error).lower():
                    raise
        return group

    def remove_port(self, instance_id: str) -> None:
        """Remove the instance's ports and floating addresses; fine when they are gone."""
        network = self.cloud.network
        for port in list(network.ports(name=name_of(instance_id))):
            for address in list(network.ips(port_id=port.id)):
                network.delete_ip(address)
            network.delete_port(port)
        for address in list(network.ips(description=name_of(instance_id))):
            network.delete_ip(address)

    def uses_cluster(self, cluster_id: str) -> bool:
        """Whether any instance of a cluster has a port."""
        return next(iter(self.cloud.network.ports(description=belonging_to(cluster_id))), None) is not None

    def remove_group(self, cluster_id: str) -> None:
        """Remove a cluster's group; a group that a port still holds stays for whoever removes that port."""
        for group in list(self.cloud.network.security_groups(name=name_of(cluster_id))):
            try:
                self.cloud.network.delete_security_group(group)
            except ConflictException:
                continue

    def _find_network(self) -> str:
        wanted = self.chosen.network
        if wanted:
            return self._named(wanted, "DTROVE_OS_NETWORK")
        own = [one for one in self.cloud.network.networks(project_id=self.cloud.current_project_id)
               if not one.is_router_external]  # fmt: skip
        if len(own) != 1:
            names = ", ".join(sorted(str(one.name) for one in own)) or "none"
            raise ProviderError(f"it is not clear which network servers are to be put on: the project has {names}",
                                what_to_do="name one in DTROVE_OS_NETWORK")  # fmt: skip
        return str(own[0].id)

    def _named(self, name: str, option: str) -> str:
        there = self.cloud.network.find_network(name)
        if there is None:
            raise ProviderError(f"the cloud has no network {name!r}", what_to_do=f"set {option} to one that is there")
        return str(there.id)

    def _floating_ip(self, instance: Instance, port: Any) -> Any:
        network = self.cloud.network
        there = eldest(network.ips(port_id=port.id))
        if there is not None:
            return there
        outside = self._named(self.chosen.floating_network, "DTROVE_OS_FLOATING_NETWORK")
        return network.create_ip(floating_network_id=outside, port_id=port.id, description=name_of(instance.id))

    def _find_group(self, cluster_id: str) -> Any | None:
        return eldest(self.cloud.network.security_groups(name=name_of(cluster_id)))

    def _make_group(self, cluster_id: str) -> Any:
        """Make the group; where two workers do so at once, both go on with the elder one."""
        network = self.cloud.network
        made = network.create_security_group(name=name_of(cluster_id), description=belonging_to(cluster_id))
        elder = self._find_group(cluster_id)
        if elder is None:
            raise ProviderBusy(f"the security group {name_of(cluster_id)} was removed while it was made")
        if elder.id != made.id:
            network.delete_security_group(made)
        return elder

    def _rules(self, instance: Instance, group_id: str, network_id: str) -> Iterator[dict[str, Any]]:
        """SSH from us, the database from its clients, and everything among the cluster's own servers."""
        subnets = self._subnets(network_id)
        for cidr in self.chosen.ssh_from or self._ourselves(subnets):
            yield _rule(group_id, cidr, SSH_PORT)
        if instance.port:
            for cidr in self.chosen.clients_from or subnets:
                yield _rule(group_id, cidr, instance.port)
        for family in FAMILIES.values():
            yield {"security_group_id": group_id, "direction": "ingress", "ether_type": family,
                   "remote_group_id": group_id}  # fmt: skip

    def _subnets(self, network_id: str) -> tuple[str, ...]:
        return tuple(str(one.cidr) for one in self.cloud.network.subnets(network_id=network_id))

    def _ourselves(self, subnets: tuple[str, ...]) -> Iterator[str]:
        """The address that our SSH comes from, as far as this machine can tell: behind a translation it cannot."""
        if self.jump:
            host = self.jump
        else:
            towards = next(iter(subnets), "") if not self.chosen.floating_network else "0.0.0.0/0"
            host = _own_address(towards)
        try:
            yield str(ipaddress.ip_network(host))
        except ValueError as error:
            raise ProviderError(
                f"it is not clear from which address SSH reaches the servers ({host or 'none'} is none)",
                what_to_do="name the controller's or the jump host's networks in DTROVE_OS_SSH_FROM",
            ) from error


def fixed_address(port: Any) -> str:
    """A port's first address, of IPv4 where it has one."""
    addresses = [str(one["ip_address"]) for one in port.fixed_ips or ()]
    return min(addresses, key=lambda one: ipaddress.ip_address(one).version, default="")


def _own_address(subnet: str) -> str:
    """This machine's address on the way to a subnet. A datagram socket that is connected sends nothing."""
    network = ipaddress.ip_network(subnet or "0.0.0.0/0")
    target = str(network[1]) if network.prefixlen else "192.0.2.1"
    with socket.socket(socket.AF_INET6 if network.version == 6 else socket.AF_INET, socket.SOCK_DGRAM) as line:
        try:
            line.connect((target, SSH_PORT))
        except OSError:
            return ""
        return str(line.getsockname()[0])


def _rule(group_id: str, cidr: str, port: int) -> dict[str, Any]:
    return {
        "security_group_id": group_id, "direction": "ingress", "protocol": "tcp", "remote_ip_prefix": cidr,
        "ether_type": FAMILIES[ipaddress.ip_network(cidr).version], "port_range_min": port, "port_range_max": port,
    }  # fmt: skip


def _of_rule(rule: Any) -> tuple[Any, ...]:
    """What makes two rules the same. The cloud's own words differ from ours in a name."""
    ether = rule.get("ether_type") or rule.get("ethertype")
    return (rule["direction"], ether, rule.get("protocol"), rule.get("port_range_min"), rule.get("port_range_max"),
            rule.get("remote_ip_prefix"), rule.get("remote_group_id"))  # fmt: skip
