"""A whole provider, as short as one can be: copy it, and put your cloud's library in the place of tinycloud."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from examples.provider.tinycloud import TinyCloud, TinyError
from services.provisioner.domain.instance import Instance
from services.provisioner.providers.base import (
    BaseProvider,
    Found,
    ProviderBusy,
    ProviderError,
    fitting,
    no_server,
    refuse_stale,
)
from shared.contracts.values import Flavor

STATES = {"starting": "BUILD", "running": "ACTIVE", "stopped": "SHUTOFF"}
INSTANCE, CLUSTER, EPOCH = "dtrove-instance", "dtrove-cluster", "dtrove-epoch"


class TinyProvider(BaseProvider):
    """Options: TINY_BOOT_SECONDS. DTrove hands over its whole configuration by name, so yours may hold more."""

    def __init__(self, options: Mapping[str, object]) -> None:
        super().__init__(options)
        self.cloud = TinyCloud(boot_seconds=float(str(options.get("TINY_BOOT_SECONDS") or 0.2)))

    def create(self, instance: Instance) -> None:
        """Find the server by its tag, or ask for it: this may be the second call, after a crash or a lost answer."""
        with translated("make a server"):
            there = self._machine(instance.id)
            instance.server = there["id"] if there else self.cloud.boot(
                instance.name, instance.flavor.id, instance.image, user_data(instance),
                {INSTANCE: instance.id, CLUSTER: instance.cluster_id, EPOCH: str(instance.epoch)},
            )  # fmt: skip
        instance.user, instance.local_id = "root", instance.server
        # Of `.invalid` addresses DTrove knows that no server is there: it plays one. Yours come from the cloud.
        instance.addr = f"sim-{instance.id[:8]}.invalid"

    def update_status(self, instance: Instance) -> tuple[str, int]:
        """Say how far the server is, in DTrove's words."""
        with translated("look at a server"):
            machine = self._machine(instance.id)
        instance.server_status = STATES[machine["state"]] if machine else "DELETED"
        instance.progress = machine["percent"] if machine else 0
        return instance.server_status, instance.progress

    def destroy(self, instance: Instance) -> None:
        """Delete whatever carries the tag; what is gone already is gone."""
        with translated("delete a server"):
            machines = self.cloud.machines(**{INSTANCE: instance.id})
            for machine in machines:
                refuse_stale(instance, int(machine["tags"].get(EPOCH, 0)))
            for machine in machines:
                self.cloud.delete(machine["id"])
            for disk in self.cloud.disks(**{INSTANCE: instance.id}):
                self.cloud.delete_disk(disk["id"])

    def create_volume(self, instance: Instance) -> None:
        """Find the disk by its tag, or make it."""
        if instance.volume is None:
            raise ProviderError(f"instance {instance.id} has no volume to make", what_to_do="give a volume size")
        with translated("make a volume"):
            there = self.cloud.disks(**{INSTANCE: instance.id})
            instance.volume.id = there[0]["id"] if there else self.cloud.make_disk(
                instance.volume.size_gb, {INSTANCE: instance.id, CLUSTER: instance.cluster_id}
            )  # fmt: skip

    def attach_volume(self, instance: Instance) -> None:
        """Attach it. `mounted` stays false: DTrove makes the file system on `device` and mounts it over SSH."""
        self.create_volume(instance)
        assert instance.volume is not None
        with translated("attach a volume"):
            instance.volume.device = self.cloud.plug(instance.volume.id, instance.server)
        instance.volume.mount_point, instance.volume.mounted = "/var/lib/dtrove-data", False

    def snapshot(self, instance: Instance, name: str) -> str:
        """Make an image."""
        with translated("make a snapshot"):
            return self.cloud.photograph(instance.server, name)

    def flavors(self, datastore: str | None = None) -> list[Flavor]:
        """Translate the sizes; `fitting` sorts and filters them."""
        with translated("list sizes"):
            sizes = self.cloud.sizes()
        return fitting(
            [
                Flavor(id=one["name"], name=one["name"], vcpus=one["cores"], ram_mb=one["megabytes"],
                       disk_gb=one["gigabytes"])
                for one in sizes
            ],
            datastore,
        )  # fmt: skip

    def find(self, instance_id: str) -> Found | None:
        """The server with the tag."""
        with translated("find a server"):
            machine = self._machine(instance_id)
        return None if machine is None else found("server", machine)

    def list_ours(self) -> list[Found]:
        """All that carries our tags; what has none is somebody else's."""
        with translated("list what is ours"):
            return [found("server", one) for one in self.cloud.machines() if INSTANCE in one["tags"]] + [
                found("volume", one) for one in self.cloud.disks() if INSTANCE in one["tags"]
            ]

    def remove(self, found: Found) -> None:
        """Delete one thing, by its id and its tag; what has been deleted meanwhile is not listed any more."""
        there = self.cloud.machines if found.kind == "server" else self.cloud.disks
        delete = self.cloud.delete if found.kind == "server" else self.cloud.delete_disk
        with translated("delete a thing"):
            if any(one["id"] == found.id for one in there(**{INSTANCE: found.instance_id})):
                delete(found.id)

    def power_off(self, instance: Instance) -> None:
        """Off; who fences a server that is gone is told so by `NoServer`."""
        with translated("power a server off"):
            if self._machine(instance.id) is None:
                raise no_server(instance)
            self.cloud.power(instance.server, on=False)

    def power_on(self, instance: Instance) -> None:
        """On."""
        with translated("power a server on"):
            self.cloud.power(instance.server, on=True)

    def console_output(self, instance: Instance, lines: int = 50) -> str:
        """The last lines."""
        with translated("read a console"):
            return "\n".join(self.cloud.screen(instance.server).splitlines()[-lines:])

    def _machine(self, instance_id: str) -> dict[str, Any] | None:
        return next(iter(self.cloud.machines(**{INSTANCE: instance_id})), None)


@contextlib.contextmanager
def translated(action: str) -> Iterator[None]:
    """Turn the library's errors into the two that DTrove knows: final, with a remedy; or passing, tried again."""
    try:
        yield
    except TinyError as error:
        if error.status == 403:
            raise ProviderError(f"the cloud would not {action}: {error}",
                                what_to_do="delete what is not needed, or have the quota raised; then retry") from error  # fmt: skip
        if 400 <= error.status < 500 and error.status != 429:
            raise ProviderError(f"the cloud would not {action}: {error}", what_to_do="ask who runs it") from error
        raise ProviderBusy(f"the cloud could not {action} just now: {error}") from error


def user_data(instance: Instance) -> str:
    """What cloud-init does at the server's birth: it takes the cluster's key, and the host key by which DTrove knows it.

    JSON is YAML too, and nothing in it needs quoting. The private host key goes to the cloud this once: DTrove replaces
    it by one made on the server as soon as it has logged in.
    """
    told = {
        "ssh_keys": {"ed25519_private": instance.host_key_private.reveal(), "ed25519_public": instance.host_key},
        "disable_root": False,
        "users": [{"name": "root", "ssh_authorized_keys": [instance.public_key]}],
    }
    return base64.b64encode(f"#cloud-config\n{json.dumps(told)}".encode()).decode()


def found(kind: str, thing: Mapping[str, Any]) -> Found:
    """A machine or disk in DTrove's words."""
    return Found(kind, thing["id"], thing["tags"][INSTANCE], thing["tags"].get(CLUSTER, ""))
