"""Makes a host of a container: its limits, its mounts, its fixed address, and the keys it is born with."""

from __future__ import annotations

import io
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import docker.errors
from docker.models.containers import Container

from services.provisioner.domain.instance import Instance
from services.provisioner.providers.base import DATA_DIR
from services.provisioner.providers.local import volumes
from services.provisioner.providers.local.addresses import LABEL, endpoint, free_address
from services.provisioner.providers.local.engine import ensure_network, installation
from shared.contracts.values import Flavor

# The label with the epoch of who made a container.
EPOCH = "dtrove-epoch"
PACKAGES_DIR = "/var/cache/dtrove/packages"
DATABASE_PORTS = (22, 3306, 5432, 6379)
LIMIT = 20_000
FLAVORS = (
    Flavor(id="micro", name="micro", vcpus=1, ram_mb=256, disk_gb=5),
    Flavor(id="tiny", name="tiny", vcpus=1, ram_mb=512, disk_gb=5),
    Flavor(id="small", name="small", vcpus=1, ram_mb=1024, disk_gb=10),
    Flavor(id="medium", name="medium", vcpus=2, ram_mb=2048, disk_gb=20),
    Flavor(id="large", name="large", vcpus=2, ram_mb=4096, disk_gb=40),
)


@dataclass(frozen=True)
class HostMaker:
    """Makes hosts of one installation; `publish` puts their ports on loopback."""

    client: docker.DockerClient
    home: Path
    image: str
    publish: bool

    def make(self, instance: Instance) -> Container:
        """The container of an instance, not started yet. Raises the engine's errors, and ProviderError."""
        data, shared = volumes.prepare(self.home, instance.id)
        # Packages that one host has fetched are lent to the next; all of them belong to whoever owns this machine.
        packages = self.home / "images" / "packages"
        packages.mkdir(parents=True, exist_ok=True)
        network = ensure_network(self.client, self.home)
        mounts = [
            docker.types.Mount(DATA_DIR, str(data), type="bind", propagation="rslave" if shared else None),
            docker.types.Mount(PACKAGES_DIR, str(packages), type="bind"),
        ]
        ports: Any = {f"{port}/tcp": ("127.0.0.1", None) for port in DATABASE_PORTS} if self.publish else None
        with free_address(self.client, self.home, network, instance.id) as address:
            joined = {network: endpoint(self.client, address)}
            return self.client.containers.create(
                self.image, command=["/usr/local/sbin/dtrove-host"], name=f"dtrove-{instance.id}",
                hostname=re.sub(r"[^A-Za-z0-9-]", "-", instance.name)[:63], network=network, networking_config=joined,
                ports=ports, mounts=mounts, mem_limit=f"{instance.flavor.ram_mb}m",
                ulimits=[docker.types.Ulimit(name=name, soft=LIMIT, hard=LIMIT) for name in ("nofile", "nproc")],
                cap_add=["SYS_PTRACE", "NET_ADMIN"],
                # Engines listen at their cluster's own address before it is there: see ADR 0060.
                sysctls={"net.ipv4.ip_nonlocal_bind": "1"},
                tmpfs={"/run": "mode=755", "/tmp": "mode=1777"},  # noqa: S108 - inside the host
                labels={"dtrove-home": installation(self.home), "dtrove-instance": instance.id,
                        "dtrove-cluster": instance.cluster_id, EPOCH: str(instance.epoch), LABEL: address},
            )  # fmt: skip


def put_keys(container: Container, instance: Instance, user: str) -> None:
    """Lay the keys beside the host's first process, which takes them before it becomes sshd."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path, text, mode in (
            ("etc/dtrove-user", user, 0o644),
            ("etc/dtrove-authorized-key", instance.public_key + "\n", 0o600),
            ("etc/ssh/ssh_host_ed25519_key", instance.host_key_private.reveal(), 0o600),
            ("etc/ssh/ssh_host_ed25519_key.pub", instance.host_key + "\n", 0o644),
        ):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(text.encode()), mode
            tar.addfile(entry, io.BytesIO(text.encode()))
    container.put_archive("/", archive.getvalue())
