"""The provider itself: containers that behave like servers."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import docker
import docker.errors
from docker.models.containers import Container

from services.provisioner.domain.address import ClusterAddress
from services.provisioner.domain.instance import Instance
from services.provisioner.images import HostImage
from services.provisioner.providers.base import (
    DATA_DIR,
    BaseProvider,
    Found,
    ProviderError,
    fitting,
    no_addresses,
    no_server,
    refuse_stale,
    wanted_volume,
)
from services.provisioner.providers.local import leading, volumes
from services.provisioner.providers.local.addresses import LABEL
from services.provisioner.providers.local.engine import (
    EngineAway,
    build_pid_file,
    connect,
    installation,
    is_routed,
    translated,
)
from services.provisioner.providers.local.host import EPOCH, FLAVORS, HostMaker, put_keys
from services.provisioner.providers.local.state import read_state
from shared.contracts.values import Flavor

# What the catalogue calls the image that is built here.
STOCK_IMAGES = ("debian-12", "debian", "")
# In these nothing of a host runs, nor waits to run on.
_AT_REST = ("created", "configured", "initialized", "exited", "stopped", "dead")
FOLDER = "this machine cannot mount: the volume is a plain folder, its size is not enforced"


class Provider(BaseProvider):
    """Options: DTROVE_HOME (where its files live), DTROVE_SSH_USER, DTROVE_LOCAL_PUBLISH.

    Hosts keep their flavor: Podman's API changes the memory of no container that is there.

    `always` publishes the ports of hosts on loopback, `auto` where this machine does not reach the hosts otherwise.
    """

    def __init__(self, options: Mapping[str, object]) -> None:
        super().__init__(options)
        self.home = Path(str(options.get("DTROVE_HOME") or "var")).resolve()
        self.user = str(options.get("DTROVE_SSH_USER") or "root")
        # None: to be found out when an engine answers.
        self._publish = True if options.get("DTROVE_LOCAL_PUBLISH") == "always" else None
        # Where hosts are reached by ports of the loopback, nothing leads to another address.
        self.supports_addresses = sys.platform == "linux" and self._publish is None
        self.image = HostImage(lambda: self.client, self.home / "images", pid_file=build_pid_file(self.home))
        self._client: docker.DockerClient | None = None

    @property
    def client(self) -> docker.DockerClient:
        """The engine's client, connected at first use, and anew after the engine was away."""
        if self._client is None:
            self._client = connect(self.home)
        return self._client

    def create(self, instance: Instance) -> None:
        """Make and start the container; where the host image is missing, begin to make that and come back at once."""
        instance.user = self.user
        container = self._container(instance.id)
        if container is None:
            if instance.image in STOCK_IMAGES and not self._stock_image_is_there():
                self.image.begin()
                instance.server_status, instance.message = "BUILD", "building the host image"
                return
            container = self._make(instance)
        self._start(container, instance)

    def update_status(self, instance: Instance) -> tuple[str, int]:
        """Ask the engine; a server that waits for its image is made as soon as that is there."""
        container = self._container(instance.id)
        if container is None and not instance.server:
            self.create(instance)
            container = self._container(instance.id)
            if container is None:
                instance.server_status, (instance.progress, instance.message) = "BUILD", self.image.progress()
                return "BUILD", instance.progress
        if container is None:
            instance.server_status, instance.progress = "DELETED", 0
            return "DELETED", 0
        return read_state(container, instance)

    def destroy(self, instance: Instance) -> None:
        """Remove the container and its volume."""
        container = self._container(instance.id)
        if container is not None:
            refuse_stale(instance, int(container.labels.get(EPOCH) or 0))
            with self._asking("remove a server"), contextlib.suppress(docker.errors.NotFound):
                container.remove(force=True, v=True)
        volumes.remove(self.home, instance.id)
        if self._container(instance.id) is not None:
            raise ProviderError(
                f"server {instance.name} is still there after its removal", what_to_do="retry the delete"
            )

    def create_volume(self, instance: Instance) -> None:
        """Make the file behind the volume."""
        wanted = wanted_volume(instance)
        volumes.create(self.home, instance.id, wanted.size_gb)
        wanted.id = f"local-{instance.id}"

    def attach_volume(self, instance: Instance) -> None:
        """Mount the volume into the running host, where the folder has been waiting for it since its start."""
        self.create_volume(instance)
        if not volumes.mount(self.home, instance.id):
            instance.message = FOLDER
        volume = wanted_volume(instance)
        volume.mount_point, volume.mounted = DATA_DIR, True

    def extend_volume(self, instance: Instance, size_gb: int) -> None:
        """Make the file larger, and the file system on it, while it is mounted."""
        volume = wanted_volume(instance)
        if not volumes.extend(self.home, instance.id, size_gb):
            instance.message = FOLDER
        volume.size_gb = max(volume.size_gb, size_gb)

    def snapshot(self, instance: Instance, name: str) -> str:
        """Commit the container's own root; volumes are left out."""
        container = self._container(instance.id)
        if container is None:
            raise no_server(instance)
        with self._asking("make a snapshot"):
            safe = re.sub(r"[^a-z0-9_.-]", "-", name.lower())
            image = container.commit(repository=f"localhost/dtrove-snapshot-{instance.id[:8]}", tag=safe,
                                     changes=f"LABEL dtrove-home={installation(self.home)}")  # fmt: skip
        return str(image.id)

    def flavors(self, datastore: str | None = None) -> list[Flavor]:
        """Five sizes; MariaDB does not fit into the smallest."""
        return fitting(FLAVORS, datastore)

    def find(self, instance_id: str) -> Found | None:
        """The container with this instance's label."""
        container = self._container(instance_id)
        return None if container is None else self._found(container)

    def list_ours(self) -> list[Found]:
        """Containers, volumes and addresses of this installation."""
        hosts = self._hosts(f"dtrove-home={installation(self.home)}")
        disks = [Found("volume", f"local-{one}", one, "") for one in volumes.disks(self.home)]
        return [*map(self._found, hosts), *disks, *leading.found(self.home, hosts)]

    def remove(self, found: Found) -> None:
        """Remove one container, one volume or one address of this installation."""
        if found.kind == "address":
            if any(one.id == found.id and one.cluster_id == found.cluster_id for one in leading.found(self.home, ())):
                self._release(found.cluster_id)
            return
        if found.kind == "volume":
            if found.id == f"local-{found.instance_id}" and found.instance_id in volumes.disks(self.home):
                volumes.remove(self.home, found.instance_id)
            return
        with self._asking("remove a server"), contextlib.suppress(docker.errors.NotFound):
            container = self.client.containers.get(found.id)
            tags = container.labels.get("dtrove-home", ""), container.labels.get("dtrove-instance", "")
            if tags == (installation(self.home), found.instance_id):
                container.remove(force=True, v=True)

    def power_off(self, instance: Instance) -> None:
        """Kill the container, also a frozen one; it may have ended by itself a moment before."""
        container = self._container(instance.id)
        if container is None or container.status in _AT_REST:
            return
        with self._asking("power a server off"):
            try:
                container.kill()
            except docker.errors.APIError as error:
                if error.status_code not in (404, 409):
                    raise

    def power_on(self, instance: Instance) -> None:
        """Start the container again; its address stays, and its volume is mounted anew where the machine was restarted."""
        container = self._container(instance.id)
        if container is None:
            raise no_server(instance)
        volumes.mount(self.home, instance.id)
        with self._asking("power a server on"):
            if container.status == "paused":
                container.unpause()
            elif container.status != "running":
                container.start()

    def take_address(self, address: ClusterAddress) -> None:
        """Of the bridge, where hosts are reached at theirs."""
        if not self.supports_addresses:
            raise no_addresses()
        with self._asking("set an address aside"):
            address.addr = leading.take(self.client, self.home, address.cluster_id) if self._is_routed() else ""

    def move_address(self, address: ClusterAddress, instance: Instance) -> None:
        """Within the network namespaces of the cluster's hosts."""
        hosts = self._hosts(f"dtrove-cluster={address.cluster_id}")
        host = next((one for one in hosts if one.labels.get("dtrove-instance") == instance.id), None)
        if host is None:
            raise no_server(instance)
        with self._asking("move an address"):
            leading.move(self.home, address, instance, hosts, host.labels.get(LABEL) or instance.addr)

    def release_address(self, address: ClusterAddress) -> None:
        """Take it from the hosts that are left, and forget it."""
        self._release(address.cluster_id)

    def console_output(self, instance: Instance, lines: int = 50) -> str:
        """What the host's PID 1 wrote."""
        container = self._container(instance.id)
        if container is None:
            return ""
        with self._asking("read a console"):
            return bytes(container.logs(tail=lines)).decode(errors="replace")

    def _release(self, cluster_id: str) -> None:
        hosts = self._hosts(f"dtrove-cluster={cluster_id}")
        with self._asking("take an address away"):
            leading.release(self.home, cluster_id, hosts)

    def _hosts(self, label: str) -> list[Container]:
        """This installation's containers with a label, whatever their state."""
        wanted: dict[str, str | list[str] | bool] = {"label": [f"dtrove-home={installation(self.home)}", label]}
        with self._asking("list servers"):
            return list(self.client.containers.list(all=True, filters=wanted, ignore_removed=True))

    def _is_routed(self) -> bool:
        """Whether this machine reaches hosts at their own addresses, so that their ports are not published."""
        if self._publish is None:
            self._publish = not is_routed(self.client)
        return not self._publish

    def _container(self, instance_id: str) -> Container | None:
        with self._asking("find a server"):
            try:
                return self.client.containers.get(f"dtrove-{instance_id}")
            except docker.errors.NotFound:
                return None

    def _stock_image_is_there(self) -> bool:
        with self._asking("look for the host image"):
            return self.image.is_there(self.client)

    def _image_of(self, instance: Instance) -> str:
        """The image that an instance is made from: the stock one, or one that the engine holds, such as a snapshot."""
        if instance.image in STOCK_IMAGES:
            return self.image.name
        try:
            return str(self.client.images.get(instance.image).id)
        except docker.errors.ImageNotFound as error:
            raise ProviderError(
                f"the container engine has no image {instance.image!r}",
                what_to_do=f"give the datastore the image {STOCK_IMAGES[0]}, or the id of a snapshot",
            ) from error

    def _make(self, instance: Instance) -> Container:
        with self._asking("make a server"):
            published = not self._is_routed()
            try:
                return HostMaker(self.client, self.home, self._image_of(instance), published).make(instance)
            except docker.errors.APIError as error:
                # Whoever asked a moment before us, and was not heard of again, has made it.
                if error.status_code == 409 and (there := self._container(instance.id)) is not None:
                    return there
                raise

    def _start(self, container: Container, instance: Instance) -> None:
        with self._asking("start a server"):
            if container.status != "running":
                put_keys(container, instance, self.user)
                container.start()
        instance.server, instance.local_id = str(container.id), str(container.name)

    @contextlib.contextmanager
    def _asking(self, action: str) -> Iterator[None]:
        """Translate the engine's errors; one that is away is connected to anew at the next call."""
        try:
            with translated(action):
                yield
        except EngineAway:
            self._client = None
            raise

    def _found(self, container: Container) -> Found:
        labels = container.labels
        return Found("server", str(container.id), labels.get("dtrove-instance", ""), labels.get("dtrove-cluster", ""))
