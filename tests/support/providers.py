"""A provider under test, judged from outside: wishes for it, and logins to the servers that it makes."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from examples.provider.provider import TinyProvider
from services.provisioner.dependencies import make_host_key
from services.provisioner.domain.instance import Instance, Volume
from services.provisioner.providers import get_provider
from services.provisioner.providers.base import BaseProvider, Found
from services.provisioner.providers.fake import Provider as Fake
from tests.support.installation import wait_for


@dataclass
class Rig:
    """A provider, and what a test needs to judge it from outside. `again` makes it anew, as after a restart."""

    name: str
    options: dict[str, object]
    place: Path
    remembers: bool = True
    real: bool = False
    image: str = "debian"
    provider: BaseProvider = field(init=False)

    def __post_init__(self) -> None:
        self.provider = get_provider(self.name, self.options)
        self.key = make_key(self.place)

    def again(self) -> BaseProvider:
        """The provider as another process, or the same after a restart, has it."""
        return get_provider(self.name, self.options) if self.remembers else self.provider

    def instance(self, volume_gb: int = 0) -> Instance:
        """A wish for an instance of the smallest flavor, with keys as the workflow makes them."""
        private, public = make_host_key("contract")
        return Instance(
            id=str(uuid4()), cluster_id=str(uuid4()), project_id="p", operation_id="o", name="contract-1",
            image=self.image, flavor=self.provider.flavors()[0], public_key=public_of(self.key), host_key=public,
            host_key_private=private, volume=Volume(size_gb=volume_gb) if volume_gb else None,
        )  # fmt: skip

    def up(self, instance: Instance, provider: BaseProvider | None = None) -> Instance:
        """Create it and wait until it is ACTIVE."""
        chosen = provider or self.provider
        chosen.create(instance)
        self.wait(instance, "ACTIVE", chosen)
        return instance

    def wait(self, instance: Instance, status: str, provider: BaseProvider | None = None) -> None:
        """Wait until the provider gives this status. A host image that is missing is built meanwhile."""
        chosen = provider or self.provider
        wait_for(lambda: chosen.update_status(instance)[0] == status, 300, what=f"{status} of {instance.id}")

    def held(self, instance_id: str) -> list[Found]:
        """What the provider holds with this instance's tag."""
        return [one for one in self.provider.list_ours() if one.instance_id == instance_id]

    def double(self, instance: Instance) -> bool:
        """Make a second server with the tag of one that is there; false where the provider cannot have two."""
        if isinstance(self.provider, Fake):
            self.provider.cloud.add_server(instance.id, instance.cluster_id, instance.name, instance.flavor.name)
        elif isinstance(self.provider, TinyProvider):
            tags = {"dtrove-instance": instance.id, "dtrove-cluster": instance.cluster_id}
            self.provider.cloud.boot(instance.name, instance.flavor.id, instance.image, "", tags)
        else:
            return False
        return True

    def run(self, instance: Instance, command: str, key: Path | None = None, host_key: str = "") -> tuple[int, str]:
        """Run a command on the server as its user, trusting only the key that the provider named; code and output."""
        known = self.place / f"known-{uuid4()}"
        known.write_text(f"server {host_key or instance.host_key}\n")
        done = subprocess.run(
            ["ssh", "-F", "/dev/null", "-i", str(key or self.key), "-p", str(instance.ssh_port), "-o", "BatchMode=yes",
             "-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={known}", "-o", "HostKeyAlias=server",
             "-o", "IdentitiesOnly=yes", "-o", "HostKeyAlgorithms=ssh-ed25519", "-o", "ConnectTimeout=5",
             f"{instance.user}@{instance.addr}", command],
            capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return done.returncode, done.stdout.strip() or done.stderr.strip()

    def reached(self, instance: Instance) -> None:
        """Wait until one can log in."""
        wait_for(lambda: self.run(instance, "true")[0] == 0, 30, what=f"a login to {instance.addr}")


def make_key(place: Path) -> Path:
    """A fresh key pair in a file of its own."""
    path = place / f"key-{uuid4()}"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
    return path


def public_of(key: Path) -> str:
    """The public half."""
    return " ".join(key.with_suffix(".pub").read_text().split()[:2])
