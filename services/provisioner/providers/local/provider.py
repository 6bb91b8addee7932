"""The provider itself: containers that behave like servers."""

from __future__ import annotations

import contextlib
import io
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docker
import docker.errors
from docker.models.containers import Container

from services.provisioner.domain.instance import Instance
from services.provisioner.images import ensure_image
from services.provisioner.providers.base import BaseProvider, Found, ProviderError
from services.provisioner.providers.local import volumes
from services.provisioner.providers.local.engine import connect, ensure_network, installation, translated
from shared.contracts.values import Flavor

DATA_DIR = "/var/lib/dtrove-data"
DATABASE_PORTS = (22, 3306, 5432, 6379)
LIMIT = 20_000
_FLAVORS = (
    Flavor(id="tiny", name="tiny", vcpus=1, ram_mb=512, disk_gb=5),
    Flavor(id="small", name="small", vcpus=1, ram_mb=1024, disk_gb=10),
    Flavor(id="medium", name="medium", vcpus=2, ram_mb=2048, disk_gb=20),
    Flavor(id="large", name="large", vcpus=2, ram_mb=4096, disk_gb=40),
)
_STATES = {"running": "ACTIVE", "created": "BUILD", "exited": "SHUTOFF", "stopped": "SHUTOFF", "dead": "ERROR",
           "configured": "BUILD", "initialized": "BUILD", "restarting": "BUILD", "paused": "SHUTOFF"}  # fmt: skip


class Provider(BaseProvider):
    """Options: DTROVE_HOME (where its files live), DTROVE_SSH_USER, DTROVE_LOCAL_PUBLISH (`always` publishes ports on loopback)."""

    def __init__(self, options: Mapping[str, object]) -> None:
        super().__init__(options)
        self.home = Path(str(options.get("DTROVE_HOME") or "var")).resolve()
        self.user = str(options.get("DTROVE_SSH_USER") or "root")
        self.publish = options.get("DTROVE_LOCAL_PUBLISH") == "always"
        self._client: docker.DockerClient | None = None

    @property
    def client(self) -> docker.DockerClient:
        """The engine's client, connected at first use."""
        if self._client is None:
            self._client = connect(self.home)
        return self._client

    def create(self, instance: Instance) -> None:
        """Make and start the container; it is a server with sshd within a second."""
        instance.user = self.user
        container = self._container(instance.id)
        if container is None:
            container = self._make(instance)
        with translated("start a server"):
            if container.status != "running":
                self._put_keys(container, instance)
                container.start()
        instance.server = str(container.id)
        instance.local_id = str(container.name)

    def update_status(self, instance: Instance) -> tuple[str, int]:
        """Ask the engine."""
        container = self._container(instance.id)
        if container is None:
            instance.server_status, instance.progress = "DELETED", 0
            return "DELETED", 0
        instance.server_status = _STATES.get(container.status, "UNKNOWN")
        settings = container.attrs["NetworkSettings"]
        networks = settings.get("Networks") or {}
        instance.addr = next((one["IPAddress"] for one in networks.values() if one.get("IPAddress")), instance.addr)
        instance.reach = {
            port.partition("/")[0]: f"127.0.0.1:{bound[0]['HostPort']}"
            for port, bound in (settings.get("Ports") or {}).items() if bound
        }  # fmt: skip
        if instance.server_status == "SHUTOFF" and container.attrs["State"].get("ExitCode"):
            instance.server_status = "ERROR"
            instance.message = f"the host ended with code {container.attrs['State']['ExitCode']}"
        instance.progress = 100 if instance.server_status == "ACTIVE" else 50
        return instance.server_status, instance.progress

    def destroy(self, instance: Instance) -> None:
        """Remove the container and its volume."""
        container = self._container(instance.id)
        if container is not None:
            with translated("remove a server"), contextlib.suppress(docker.errors.NotFound):
                container.remove(force=True, v=True)
        volumes.remove(self.home, instance.id)
        if self._container(instance.id) is not None:
            raise ProviderError(
                f"server {instance.name} is still there after its removal", what_to_do="retry the delete"
            )

    def create_volume(self, instance: Instance) -> None:
        """Make the file behind the volume."""
        if instance.volume is None:
            raise ProviderError(f"instance {instance.id} has no volume to make", what_to_do="give a volume size")
        volumes.create(self.home, instance.id, instance.volume.size_gb)
        instance.volume.id = f"local-{instance.id}"

    def attach_volume(self, instance: Instance) -> None:
        """Mount the volume into the running host, where the folder has been waiting for it since its start."""
        self.create_volume(instance)
        assert instance.volume is not None
        disk = volumes.create(self.home, instance.id, instance.volume.size_gb)
        if not volumes.mount(self.home, instance.id, disk):
            instance.message = "this machine cannot mount: the volume is a plain folder, its size is not enforced"
        instance.volume.mount_point, instance.volume.mounted = DATA_DIR, True

    def snapshot(self, instance: Instance, name: str) -> str:
        """Commit the container's own root; volumes are left out."""
        container = self._container(instance.id)
        if container is None:
            raise ProviderError(f"there is no server for instance {instance.id}")
        with translated("make a snapshot"):
            safe = re.sub(r"[^a-z0-9_.-]", "-", name.lower())
            image = container.commit(repository=f"localhost/dtrove-snapshot-{instance.id[:8]}", tag=safe,
                                     changes=f"LABEL dtrove-home={installation(self.home)}")  # fmt: skip
        return str(image.id)

    def flavors(self, datastore: str | None = None) -> list[Flavor]:
        """Four sizes; relational databases want at least 512 MB, which all have."""
        return list(_FLAVORS)

    def find(self, instance_id: str) -> Found | None:
        """The container with this instance's label."""
        container = self._container(instance_id)
        return None if container is None else self._found(container)

    def list_ours(self) -> list[Found]:
        """Containers and volumes of this installation."""
        with translated("list servers"):
            label: dict[str, str | list[str] | bool] = {"label": f"dtrove-home={installation(self.home)}"}
            found = [self._found(one) for one in self.client.containers.list(all=True, filters=label)]
        root = self.home / "volumes"
        disks = root.glob("*/disk.ext4") if root.exists() else ()
        return found + [Found("volume", f"local-{disk.parent.name}", disk.parent.name, "") for disk in disks]

    def power_off(self, instance: Instance) -> None:
        """Kill the container."""
        container = self._container(instance.id)
        if container is not None and container.status == "running":
            with translated("power a server off"):
                container.kill()

    def power_on(self, instance: Instance) -> None:
        """Start the container again; its address stays."""
        container = self._container(instance.id)
        if container is None:
            raise ProviderError(f"there is no server for instance {instance.id}", what_to_do="delete and make it anew")
        with translated("power a server on"):
            if container.status != "running":
                container.start()

    def console_output(self, instance: Instance, lines: int = 50) -> str:
        """What the host's PID 1 wrote."""
        container = self._container(instance.id)
        if container is None:
            return ""
        with translated("read a console"):
            return bytes(container.logs(tail=lines)).decode(errors="replace")

    def _container(self, instance_id: str) -> Container | None:
        with translated("find a server"):
            try:
                return self.client.containers.get(f"dtrove-{instance_id}")
            except docker.errors.NotFound:
                return None

    def _make(self, instance: Instance) -> Container:
        def progress(message: str) -> None:
            instance.message = message

        data = volumes.prepare(self.home, instance.id)
        cache = self.home / "images" / "apt"
        cache.mkdir(parents=True, exist_ok=True)
        with translated("make a server"):
            image = ensure_image(self.client, self.home / "images", progress)
            network = ensure_network(self.client, self.home)
            ulimits = [docker.types.Ulimit(name=name, soft=LIMIT, hard=LIMIT) for name in ("nofile", "nproc")]
            ports: Any = {f"{port}/tcp": ("127.0.0.1", None) for port in DATABASE_PORTS} if self.publish else None
            return self.client.containers.create(
                image, command=["/usr/local/sbin/dtrove-host"], name=f"dtrove-{instance.id}",
                hostname=re.sub(r"[^A-Za-z0-9-]", "-", instance.name)[:63], network=network, ports=ports,
                mem_limit=f"{instance.flavor.ram_mb}m", ulimits=ulimits, cap_add=["SYS_PTRACE", "NET_ADMIN"],
                tmpfs={"/run": "mode=755", "/tmp": "mode=1777"},  # noqa: S108 - inside the host
                mounts=[docker.types.Mount(DATA_DIR, str(data), type="bind", propagation="rslave"),
                        docker.types.Mount("/var/cache/apt/archives", str(cache), type="bind")],
                labels={"dtrove-home": installation(self.home), "dtrove-instance": instance.id,
                        "dtrove-cluster": instance.cluster_id},
            )  # fmt: skip

    def _put_keys(self, container: Container, instance: Instance) -> None:
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for path, text, mode in (
                ("etc/dtrove-user", self.user, 0o644),
                ("etc/dtrove-authorized-key", instance.public_key + "\n", 0o600),
                ("etc/ssh/ssh_host_ed25519_key", instance.host_key_private.reveal(), 0o600),
                ("etc/ssh/ssh_host_ed25519_key.pub", instance.host_key + "\n", 0o644),
            ):
                entry = tarfile.TarInfo(path)
                entry.size, entry.mode = len(text.encode()), mode
                tar.addfile(entry, io.BytesIO(text.encode()))
        container.put_archive("/", archive.getvalue())

    def _found(self, container: Container) -> Found:
        labels = container.labels
        return Found("server", str(container.id), labels.get("dtrove-instance", ""), labels.get("dtrove-cluster", ""))
