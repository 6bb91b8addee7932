"""Cinder's volumes: one for each instance that wants one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from openstack.connection import Connection
from openstack.exceptions import BadRequestException, NotFoundException

from services.provisioner.domain.instance import Instance
from services.provisioner.providers.base import ProviderBusy, ProviderError, wanted_volume
from services.provisioner.providers.openstack import quotas
from services.provisioner.providers.openstack.marks import INSTALLATION, INSTANCE, eldest, mark, marks, name_of
from services.provisioner.providers.openstack.settings import OpenStackSettings
from services.provisioner.providers.openstack.waiting import wait_until

READY_SECONDS, ATTACHED_SECONDS, GONE_SECONDS = 120.0, 120.0, 120.0
BROKEN = ("error", "error_deleting", "error_extending", "error_attaching", "error_detaching")
# Source: libvirt gives a virtio disk the first twenty letters of the volume's id as its serial number.
SERIAL_LETTERS = 20


@dataclass(frozen=True)
class Volumes:
    """The volumes of one project."""

    cloud: Connection
    chosen: OpenStackSettings

    def of(self, instance_id: str) -> list[Any]:
        """The volumes with an instance's mark."""
        return self._marked(INSTANCE, instance_id)

    def ours(self) -> list[Any]:
        """The volumes of this installation."""
        return self._marked(INSTALLATION, self.chosen.installation)

    def get(self, volume_id: str) -> Any | None:
        """A volume by its id; None where there is none."""
        try:
            return self.cloud.block_storage.get_volume(volume_id)
        except (NotFoundException, BadRequestException):
            return None

    def make(self, instance: Instance) -> Any:
        """The instance's volume, made where there is none, and ready to be attached or attached already."""
        wanted = wanted_volume(instance)
        there = self._present(wanted.id) if wanted.id else eldest(self.of(instance.id))
        volume = there or self._make(instance, wanted.size_gb)
        wait_until(
            lambda: self._is(volume.id, "available", "in-use"), READY_SECONDS, f"the making of volume {volume.id}"
        )
        wanted.id = str(volume.id)
        return volume

    def attach(self, instance: Instance, server_id: str) -> str:
        """Attach the instance's volume to its server, once; where the server's kernel shows it: see `devices`."""
        volume = self.make(instance)
        compute = self.cloud.compute
        there = self._attachment(server_id, volume.id)
        if there is None:
            compute.create_volume_attachment(server_id, volume_id=volume.id)
        wait_until(lambda: self._is(volume.id, "in-use"), ATTACHED_SECONDS, f"the attaching of volume {volume.id}")
        attached = there or self._attachment(server_id, volume.id)
        if attached is None:
            raise ProviderBusy(f"volume {volume.id} is in use by another server than {server_id}")
        return devices(str(volume.id), str(attached.device or ""))

    def extend(self, instance: Instance, size_gb: int) -> None:
        """Make the volume larger, also while it is attached; fine when it is so already."""
        wanted = wanted_volume(instance)
        volume = self._present(wanted.id)
        if volume.size < size_gb:
            # Source: Cinder extends attached volumes from microversion 3.42 on.
            self.cloud.block_storage.extend_volume(volume.id, size_gb)
        wait_until(lambda: self._has_size(volume.id, size_gb), READY_SECONDS, f"the growing of volume {volume.id}")
        wanted.size_gb = size_gb

    def snapshot(self, instance: Instance, name: str) -> str:
        """A snapshot of the volume as it stands, attached or not; its id."""
        volume = self._present(wanted_volume(instance).id)
        made = self.cloud.block_storage.create_snapshot(
            volume_id=volume.id, name=name, is_forced=True, metadata=marks(instance, self.chosen.installation)
        )
        wait_until(lambda: self._snapshot_is_ready(made.id), READY_SECONDS, f"the snapshot of volume {volume.id}")
        return str(made.id)

    def destroy(self, instance: Instance) -> None:
        """Delete all volumes of an instance with their snapshots, and come back when they are gone."""
        for volume in self.of(instance.id):
            self.remove(volume.id)

    def remove(self, volume_id: str) -> None:
        """Delete one volume with its snapshots, and come back when it is gone."""
        storage = self.cloud.block_storage
        for snapshot in list(storage.snapshots(volume_id=volume_id)):
            storage.delete_snapshot(str(snapshot.id), ignore_missing=True)
        wait_until(lambda: not list(storage.snapshots(volume_id=volume_id)), GONE_SECONDS, "the deletion of snapshots")
        wait_until(lambda: self._is_free(volume_id), ATTACHED_SECONDS, f"the detaching of volume {volume_id}")
        storage.delete_volume(volume_id, ignore_missing=True)
        wait_until(lambda: self.get(volume_id) is None, GONE_SECONDS, f"the deletion of volume {volume_id}")

    def _marked(self, key: str, value: str) -> list[Any]:
        # Cinder reads the filter as a dictionary in Python's own notation; the library calls it by another name.
        listed = self.cloud.block_storage.volumes(properties=str({key: value}))
        return [one for one in listed if mark(one, key) == value and one.status != "deleting"]

    def _make(self, instance: Instance, size_gb: int) -> Any:
        quotas.check_volume(self.cloud, size_gb)
        asked: dict[str, Any] = {
            "name": name_of(instance.id), "size": size_gb, "metadata": marks(instance, self.chosen.installation),
        }  # fmt: skip
        if self.chosen.volume_type:
            asked["volume_type"] = self.chosen.volume_type
        if self.chosen.availability_zone:
            asked["availability_zone"] = self.chosen.availability_zone
        return self.cloud.block_storage.create_volume(**asked)

    def _attachment(self, server_id: str, volume_id: str) -> Any | None:
        attached: Iterator[Any] = self.cloud.compute.volume_attachments(server_id)
        return next((one for one in attached if one.volume_id == volume_id), None)

    def _present(self, volume_id: str) -> Any:
        volume = self.get(volume_id) if volume_id else None
        if volume is None:
            raise ProviderError(f"there is no volume {volume_id or 'of this instance'}",
                                what_to_do="delete the cluster and make it anew")  # fmt: skip
        return volume

    def _is(self, volume_id: str, *wanted: str) -> bool:
        volume = self._present(volume_id)
        if volume.status in BROKEN:
            raise ProviderError(f"volume {volume_id} has ended in state {volume.status}",
                                what_to_do="have the cloud's operators look at it")  # fmt: skip
        return volume.status in wanted

    def _has_size(self, volume_id: str, size_gb: int) -> bool:
        return self._is(volume_id, "available", "in-use") and self._present(volume_id).size >= size_gb

    def _snapshot_is_ready(self, snapshot_id: str) -> bool:
        status = self.cloud.block_storage.get_snapshot(snapshot_id).status
        if status in BROKEN:
            raise ProviderError(f"snapshot {snapshot_id} has ended in state {status}",
                                what_to_do="have the cloud's operators look at it")  # fmt: skip
        return bool(status == "available")

    def _is_free(self, volume_id: str) -> bool:
        volume = self.get(volume_id)
        return volume is None or volume.status in ("available", *BROKEN, "deleting")


def devices(volume_id: str, told: str) -> str:
    """Where a server may show a volume, best first, a line each. What the cloud tells is a guess of its own."""
    return "\n".join(filter(None, (f"/dev/disk/by-id/virtio-{volume_id[:SERIAL_LETTERS]}", told)))
