"""The provider itself: the port over Nova, Neutron, Cinder and Glance."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from openstack.connection import Connection

from services.provisioner.domain.delegation import Delegation
from services.provisioner.domain.instance import Instance
from services.provisioner.providers.base import DATA_DIR, BaseProvider, Found, fitting, no_server, wanted_volume
from services.provisioner.providers.openstack import quotas
from services.provisioner.providers.openstack.account import Gate, connect
from services.provisioner.providers.openstack.errors import translated
from services.provisioner.providers.openstack.marks import INSTALLATION, INSTANCE, as_found, eldest, mark
from services.provisioner.providers.openstack.network import Network
from services.provisioner.providers.openstack.servers import ACCEPTED, Servers, fault_of, state_of
from services.provisioner.providers.openstack.settings import OpenStackSettings
from services.provisioner.providers.openstack.togetherness import Togetherness
from services.provisioner.providers.openstack.volumes import Volumes
from services.provisioner.providers.openstack.waiting import POLL_SECONDS
from shared.config import read
from shared.contracts.values import Flavor
from shared.options import parse_jump


class Provider(BaseProvider):
    """Options: see `OpenStackSettings`; DTROVE_SSH_USER and DTROVE_SSH_JUMP besides."""

    poll_seconds = POLL_SECONDS
    supports_resize = True
    supports_delegation = True

    def __init__(self, options: Mapping[str, object], gate: Gate | None = None, lent: Delegation | None = None) -> None:
        super().__init__(options)
        self.chosen = read(OpenStackSettings, options)
        self.user = str(options.get("DTROVE_SSH_USER") or "root")
        told = options.get("DTROVE_SSH_JUMP")
        self._jump = parse_jump(told).host if told else ""
        self._gate = gate or Gate(self.chosen.calls_at_once, self.chosen.call_seconds)
        self._lent = lent

    def create(self, instance: Instance) -> None:
        """Ask for port, keys, group and server, each unless it is there."""
        instance.user = self.user
        with translated("create a server"):
            server = self._servers.find(instance)
            port = self._network.find_port(instance.id)
            if server is None:
                quotas.check_servers(self._cloud, instance)
                port = self._network.port(instance)
                key_name, group_id = self._togetherness.key_name(instance), self._togetherness.server_group(instance)
                server = self._servers.make(instance, port.id, key_name, group_id)
            instance.server = instance.local_id = str(server.id)
            instance.server_status, instance.progress = "BUILD", ACCEPTED
            if port is not None:
                instance.addr = self._network.addr(instance, port)

    def update_status(self, instance: Instance) -> tuple[str, int]:
        """What Nova says now."""
        with translated("look at a server"):
            server = self._servers.find(instance)
            if server is None or state_of(server)[0] == "DELETED":
                instance.server_status, instance.progress = "DELETED", 0
                return "DELETED", 0
            instance.server_status, progress = state_of(server)
            # Nova begins anew on another compute host where one has failed; a user is not shown that as a way back.
            instance.progress = max(progress, instance.progress) if instance.server_status == "BUILD" else progress
            instance.message = fault_of(server)
            if not instance.addr and (port := self._network.find_port(instance.id)) is not None:
                instance.addr = self._network.addr(instance, port)
        return instance.server_status, instance.progress

    def destroy(self, instance: Instance) -> None:
        """Delete all that carries the instance's mark; with the cluster's last instance also what its servers shared."""
        with translated("delete a server"):
            self._servers.destroy(instance)
            self._volumes.destroy(instance)
            self._network.remove_port(instance.id)
            if not self._network.uses_cluster(instance.cluster_id):
                self._togetherness.remove(instance.cluster_id)
                self._network.remove_group(instance.cluster_id)

    def create_volume(self, instance: Instance) -> None:
        """Make the volume, unless it is there."""
        with translated("create a volume"):
            self._volumes.make(instance)

    def attach_volume(self, instance: Instance) -> None:
        """Attach it; the file system and the mount are datastore_agentless's, over SSH."""
        with translated("attach a volume"):
            device = self._volumes.attach(instance, str(self._present(instance).id))
        volume = wanted_volume(instance)
        volume.device, volume.mount_point, volume.mounted = device, DATA_DIR, False

    def extend_volume(self, instance: Instance, size_gb: int) -> None:
        """Make it larger while it is in use."""
        with translated("extend a volume"):
            self._volumes.extend(instance, size_gb)

    def snapshot(self, instance: Instance, name: str) -> str:
        """An image of the server's own disk; volumes are left out."""
        with translated("make a snapshot"):
            made = self._cloud.compute.create_server_image(
                self._present(instance).id,
                name,
                metadata={INSTALLATION: self.chosen.installation, INSTANCE: instance.id},
            )
        return str(made.id)

    def snapshot_volume(self, instance: Instance, name: str) -> str:
        """A snapshot in Cinder; it goes with its volume."""
        with translated("make a snapshot of a volume"):
            return self._volumes.snapshot(instance, name)

    def resize(self, instance: Instance, flavor: Flavor) -> None:
        """Resize and confirm."""
        with translated("resize a server"):
            self._servers.resize(self._present(instance), flavor)
        instance.flavor = flavor

    def flavors(self, datastore: str | None = None) -> list[Flavor]:
        """The flavors that the project sees."""
        with translated("list the flavors"):
            listed = [
                Flavor(
                    id=str(one.id), name=str(one.name), vcpus=int(one.vcpus), ram_mb=int(one.ram), disk_gb=int(one.disk)
                )
                for one in self._cloud.compute.flavors()
            ]
        return fitting(listed, datastore)

    def find(self, instance_id: str) -> Found | None:
        """The eldest server with the mark."""
        with translated("find a server"):
            server = eldest(self._servers.tagged(INSTANCE, instance_id))
        return None if server is None else as_found("server", server)

    def list_ours(self) -> list[Found]:
        """Servers and volumes with this installation's mark."""
        with translated("list what is ours"):
            servers = [as_found("server", one) for one in self._servers.ours()]
            return servers + [as_found("volume", one) for one in self._volumes.ours()]

    def remove(self, found: Found) -> None:
        """Delete one server or one volume."""
        with translated(f"remove a {found.kind}"):
            things = self._volumes if found.kind == "volume" else self._servers
            thing = things.get(found.id)
            if thing is None:
                return
            if (mark(thing, INSTALLATION), mark(thing, INSTANCE)) == (self.chosen.installation, found.instance_id):
                things.remove(found.id)

    def power_off(self, instance: Instance) -> None:
        """Have Nova stop it; `update_status` tells when it is off."""
        with translated("power a server off"):
            self._servers.stop(self._present(instance))

    def power_on(self, instance: Instance) -> None:
        """Have Nova start it."""
        with translated("power a server on"):
            self._servers.start(self._present(instance))

    def console_output(self, instance: Instance, lines: int = 50) -> str:
        """The end of what Nova has recorded."""
        with translated("read a console"):
            server = self._servers.find(instance)
            return "" if server is None else self._servers.console(server.id, lines)

    @property
    def calls(self) -> int:
        """How many HTTP requests were sent, those to Keystone included."""
        return self._gate.calls

    def on_behalf(self, delegation: Delegation) -> BaseProvider:
        """Another connection, through the same gate."""
        return Provider(self.options, self._gate, delegation)

    @property
    def cloud_project(self) -> str:
        """The project that the token is for."""
        with translated("log in to the cloud"):
            return str(self._cloud.current_project_id)

    @cached_property
    def _cloud(self) -> Connection:
        with translated("reach the cloud"):
            return connect(self.chosen, self._gate, self._lent)

    @cached_property
    def _servers(self) -> Servers:
        return Servers(self._cloud, self.chosen)

    @cached_property
    def _volumes(self) -> Volumes:
        return Volumes(self._cloud, self.chosen)

    @cached_property
    def _network(self) -> Network:
        return Network(self._cloud, self.chosen, self._jump)

    @cached_property
    def _togetherness(self) -> Togetherness:
        return Togetherness(self._cloud, self.chosen)

    def _present(self, instance: Instance) -> Any:
        server = self._servers.find(instance)
        if server is None:
            raise no_server(instance)
        return server
