"""The port of a provider over the cloud in memory, with the faults that were ordered."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

from services.provisioner.domain.address import ClusterAddress
from services.provisioner.domain.delegation import Delegation
from services.provisioner.domain.instance import Instance
from services.provisioner.providers.base import (
    DATA_DIR,
    BaseProvider,
    Found,
    ProviderBusy,
    ProviderError,
    fitting,
    no_server,
    refuse_late,
    refuse_stale,
    wanted_volume,
)
from services.provisioner.providers.fake.cloud import Cloud, Place, Server
from services.provisioner.providers.fake.faults import DONE_ALL_THE_SAME, IGNORED, Faults, error_for, parse_faults
from shared.contracts.values import Flavor

T = TypeVar("T")
STATE_FILE = "fake-cloud.sqlite"
HIDDEN_SECONDS = 15.0
REFUSED = "refused"
_FLAVORS = (
    Flavor(id="micro", name="micro", vcpus=1, ram_mb=256, disk_gb=5),
    Flavor(id="tiny", name="tiny", vcpus=1, ram_mb=512, disk_gb=5),
    Flavor(id="small", name="small", vcpus=1, ram_mb=1024, disk_gb=10),
    Flavor(id="medium", name="medium", vcpus=2, ram_mb=2048, disk_gb=20),
    Flavor(id="large", name="large", vcpus=2, ram_mb=4096, disk_gb=40),
)


class Provider(BaseProvider):
    """Options: DTROVE_FAKE_BUILD_SECONDS, DTROVE_FAKE_FAULTS, DTROVE_SSH_USER, DTROVE_HOME (keeps the cloud over restarts).

    Addresses are `sim-<first 8 of the instance id>.invalid`, which datastore_agentless takes for simulated hosts.
    """

    supports_resize = True
    supports_delegation = True
    supports_addresses = True

    def __init__(self, options: Mapping[str, object], cloud: Cloud | None = None, lent: str = "") -> None:
        super().__init__(options)
        self.cloud, self._lent = cloud or self._new_cloud(STATE_FILE), lent
        self._others: dict[str, Cloud] = {}
        self.faults = Faults(parse_faults(str(options.get("DTROVE_FAKE_FAULTS") or "")))
        self.user = str(options.get("DTROVE_SSH_USER") or "root")

    def on_behalf(self, delegation: Delegation) -> BaseProvider:
        """A cloud of its own for each credential; one called `refused` lets nobody in."""
        name = delegation.credential_id
        if name not in self._others:
            digest = hashlib.sha256(name.encode()).hexdigest()[:12]
            self._others[name] = self._new_cloud(f"{digest}-{STATE_FILE}")
        return Provider(self.options, self._others[name], name)

    @property
    def cloud_project(self) -> str:
        """As the credential is called."""
        if self._lent == REFUSED:
            raise ProviderError("the credential is unknown", what_to_do="lend another one")
        return self._lent

    def create(self, instance: Instance) -> None:
        """Accept the server, unless one with its tag is there."""
        instance.user = self.user
        instance.addr = f"sim-{instance.id[:8]}.invalid"
        server = self._struck("create", lambda fault: self._own(instance) or self._make(instance, fault))
        instance.server = instance.local_id = server.id

    def update_status(self, instance: Instance) -> tuple[str, int]:
        """What the cloud says now."""
        server = self._struck("update_status", lambda _: self._own(instance))
        if server is None:
            instance.server_status, instance.progress = "DELETED", 0
            return "DELETED", 0
        instance.server_status, instance.progress = self.cloud.state(server)
        instance.message = "no host has room for this flavor" if instance.server_status == "ERROR" else ""
        return instance.server_status, instance.progress

    def destroy(self, instance: Instance) -> None:
        """Delete all that carries the instance's tag."""
        self._struck("destroy", lambda _: self.cloud.remove(instance.id, partial(refuse_stale, instance)))

    def create_volume(self, instance: Instance) -> None:
        """Make the volume, unless one with its tag is there."""
        self._struck("create_volume", lambda _: self._volume(instance))

    def attach_volume(self, instance: Instance) -> None:
        """Attach it; that it is mounted is part of the simulation."""
        self._struck("attach_volume", lambda _: self._attach(instance))

    def extend_volume(self, instance: Instance, size_gb: int) -> None:
        """Make it larger; that its file system is, too, is part of the simulation."""
        self._struck("extend_volume", lambda _: self._extend(instance, size_gb))

    def resize(self, instance: Instance, flavor: Flavor) -> None:
        """Of that flavor at once; its memory is simulated."""
        self._struck("resize", lambda _: self.cloud.set_flavor(self._present(instance), flavor.name))
        instance.flavor = flavor

    def snapshot(self, instance: Instance, name: str) -> str:
        """Make an image."""
        return self._struck("snapshot", lambda _: self.cloud.add_image(self._present(instance), name))

    def flavors(self, datastore: str | None = None) -> list[Flavor]:
        """Five sizes."""
        return self._struck("flavors", lambda _: fitting(_FLAVORS, datastore))

    def find(self, instance_id: str) -> Found | None:
        """The oldest server with the tag."""
        server = self._struck("find", lambda _: self._server(instance_id))
        return None if server is None else Found("server", server.id, server.instance_id, server.cluster_id)

    def list_ours(self) -> list[Found]:
        """Everything: nobody else uses this cloud."""

        def look(_: str) -> list[Found]:
            servers = [Found("server", one.id, one.instance_id, one.cluster_id) for one in self.cloud.servers()]
            volumes = [Found("volume", one.id, one.instance_id, one.cluster_id) for one in self.cloud.volumes()]
            places = [Found("address", one.id, one.instance_id, one.cluster_id) for one in self.cloud.addresses()]
            return [*servers, *volumes, *places]

        return self._struck("list_ours", look)

    def remove(self, found: Found) -> None:
        """Delete it, if it carries the tag."""
        tag = found.cluster_id if found.kind == "address" else found.instance_id
        self._struck("remove", lambda _: self.cloud.remove_one(found.kind, found.id, tag))

    def power_off(self, instance: Instance) -> None:
        """Off at once."""
        self._struck("power_off", lambda fault: self._switch(instance, "off", fault))

    def power_on(self, instance: Instance) -> None:
        """On at once."""
        self._struck("power_on", lambda fault: self._switch(instance, "on", fault))

    def take_address(self, address: ClusterAddress) -> None:
        """Set one aside, unless one with its tag is there."""
        address.addr = self._struck("take_address", lambda _: self._place(address).id)

    def move_address(self, address: ClusterAddress, instance: Instance) -> None:
        """Lead there at once."""
        self._struck("move_address", lambda _: self._lead(address, instance))

    def release_address(self, address: ClusterAddress) -> None:
        """Delete what carries the cluster's tag."""
        self._struck("release_address", lambda _: self.cloud.release(address.cluster_id))

    def console_output(self, instance: Instance, lines: int = 50) -> str:
        """What a server might have said."""
        server = self._struck("console_output", lambda _: self._own(instance))
        if server is None:
            return ""
        said = ["simulated server starts", f"{server.name} login:"]
        if server.fate == "error":
            said = ["simulated server starts", "no bootable device"]
        return "\n".join(said[-lines:])

    def _struck(self, call: str, do: Callable[[str], T]) -> T:
        """Do it, with whatever fault was ordered for this call; `do` is told the fault's name."""
        fault = self.faults.take(call)
        error = error_for(fault, call)
        if error is not None and fault not in DONE_ALL_THE_SAME:
            raise error
        done = do(fault)
        if error is not None:
            raise error
        return done

    def _make(self, instance: Instance, fault: str) -> Server:
        fate = fault if fault in ("error", "stuck") else "active"
        hidden = HIDDEN_SECONDS if fault == "hidden" else 0.0
        return self.cloud.add_server(
            instance.id, instance.cluster_id, instance.name, instance.flavor.name, fate, hidden, instance.epoch
        )

    def _switch(self, instance: Instance, power: str, fault: str) -> None:
        server = self._present(instance)
        if fault != IGNORED:
            self.cloud.set_power(server, power)

    def _new_cloud(self, file: str) -> Cloud:
        home, seconds = self.options.get("DTROVE_HOME"), self.options.get("DTROVE_FAKE_BUILD_SECONDS")
        return Cloud(float(str(seconds or 0.2)), Path(str(home)) / file if home else None)

    def _own(self, instance: Instance) -> Server | None:
        """The one that the instance knows for its own; where it knows none, the oldest with its tag."""
        tagged = self.cloud.servers(instance.id)
        return next((one for one in tagged if one.id == instance.server), next(iter(tagged), None))

    def _server(self, instance_id: str) -> Server | None:
        return next(iter(self.cloud.servers(instance_id)), None)

    def _present(self, instance: Instance) -> Server:
        server = self._own(instance)
        if server is None:
            raise no_server(instance)
        return server

    def _volume(self, instance: Instance) -> None:
        wanted = wanted_volume(instance)
        there = self.cloud.volumes(instance.id)
        disk = there[0] if there else self.cloud.add_volume(instance.id, instance.cluster_id, wanted.size_gb)
        wanted.id = disk.id

    def _attach(self, instance: Instance) -> None:
        self._volume(instance)
        self.cloud.attach(self.cloud.volumes(instance.id)[0], self._present(instance))
        volume = wanted_volume(instance)
        volume.mount_point, volume.mounted = DATA_DIR, True

    def _place(self, address: ClusterAddress) -> Place:
        there = self.cloud.addresses(address.cluster_id)
        return there[0] if there else self.cloud.add_address(address.cluster_id)

    def _lead(self, address: ClusterAddress, instance: Instance) -> None:
        server = self._present(instance)
        if self.cloud.state(server)[0] != "ACTIVE":
            raise ProviderBusy(f"the server of {instance.name} does not run", what_to_do="see that it does")
        there = self.cloud.addresses(address.cluster_id)
        if not there:
            raise ProviderError(f"no address is set aside for cluster {address.cluster_id}")
        self.cloud.lead(there[0], instance.id, address.epoch, partial(refuse_late, address))

    def _extend(self, instance: Instance, size_gb: int) -> None:
        self._volume(instance)
        volume = wanted_volume(instance)
        self.cloud.extend(self.cloud.volumes(instance.id)[0], size_gb)
        volume.size_gb = max(volume.size_gb, size_gb)
