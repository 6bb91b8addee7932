"""Nova's servers: found by their marks before one is made, watched, switched, resized, removed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from openstack.connection import Connection
from openstack.exceptions import ConflictException, NotFoundException

from services.provisioner.domain.instance import Instance
from services.provisioner.providers.base import ProviderBusy, ProviderError, refuse_stale
from services.provisioner.providers.openstack.marks import EPOCH, INSTALLATION, INSTANCE, eldest, mark, marks, tags
from services.provisioner.providers.openstack.settings import OpenStackSettings
from services.provisioner.providers.openstack.user_data import user_data
from services.provisioner.providers.openstack.waiting import wait_until
from shared.contracts.values import Flavor

# Nova may name a server for a while after it was deleted.
GONE = ("DELETED", "SOFT_DELETED")
GONE_SECONDS, RESIZE_SECONDS = 120.0, 240.0
_STATES = {
    "ACTIVE": "ACTIVE", "VERIFY_RESIZE": "ACTIVE", "BUILD": "BUILD", "REBUILD": "BUILD", "RESIZE": "BUILD",
    "REVERT_RESIZE": "BUILD", "MIGRATING": "ACTIVE", "REBOOT": "ACTIVE", "HARD_REBOOT": "ACTIVE", "PASSWORD": "ACTIVE",
    "SHUTOFF": "SHUTOFF", "PAUSED": "SHUTOFF", "SUSPENDED": "SHUTOFF", "SHELVED": "SHUTOFF",
    "SHELVED_OFFLOADED": "SHUTOFF", "RESCUE": "SHUTOFF", "ERROR": "ERROR", "DELETED": "DELETED", "SOFT_DELETED": "DELETED",
}  # fmt: skip
# How far a build is, by what Nova says it is at.
_PROGRESS = {"scheduling": 20, "networking": 40, "block_device_mapping": 50, "spawning": 70}
ACCEPTED, DONE = 10, 100


@dataclass(frozen=True)
class Servers:
    """The servers of one project."""

    cloud: Connection
    chosen: OpenStackSettings

    def find(self, instance: Instance) -> Any | None:
        """The instance's own server; where it knows none, the eldest that carries its mark."""
        if instance.server:
            return self.get(instance.server)
        # Nova does not filter by tags what it has accepted and not scheduled yet, but it does by name.
        return eldest(self._named(instance) or self.tagged(INSTANCE, instance.id))

    def get(self, server_id: str) -> Any | None:
        """A server by its id; None where there is none."""
        try:
            return self.cloud.compute.get_server(server_id)
        except NotFoundException:
            return None

    def tagged(self, key: str, value: str) -> list[Any]:
        """The servers with a mark."""
        listed = self.cloud.compute.servers(tags=f"{key}={value}")
        return [one for one in listed if mark(one, key) == value and one.status not in GONE]

    def ours(self) -> list[Any]:
        """The servers of this installation."""
        return self.tagged(INSTALLATION, self.chosen.installation)

    def make(self, instance: Instance, port_id: str, key_name: str, group_id: str) -> Any:
        """Ask for a server."""
        marked = marks(instance, self.chosen.installation)
        asked: dict[str, Any] = {
            "name": instance.name, "flavor_id": instance.flavor.id, "networks": [{"port": port_id}],
            "key_name": key_name, "user_data": user_data(instance), "config_drive": True,
            "metadata": {**marked, EPOCH: str(instance.epoch)}, "tags": tags(marked), **self._boot(instance),
        }  # fmt: skip
        if self.chosen.availability_zone:
            asked["availability_zone"] = self.chosen.availability_zone
        if group_id:
            asked["scheduler_hints"] = {"group": group_id}
        return self.cloud.compute.create_server(**asked)

    def destroy(self, instance: Instance) -> None:
        """Delete all servers of an instance, and come back when they are gone."""
        found = {one.id: one for one in (*self._named(instance), *self.tagged(INSTANCE, instance.id))}
        for one in found.values():
            refuse_stale(instance, int(mark(one, EPOCH) or 0))
        for server_id in sorted({*found, instance.server} - {""}):
            self.remove(server_id)

    def remove(self, server_id: str) -> None:
        """Delete one server, and come back when it is gone."""
        self.cloud.compute.delete_server(server_id, ignore_missing=True)
        wait_until(lambda: self._is_gone(server_id), GONE_SECONDS, f"the deletion of server {server_id}")

    def stop(self, server: Any) -> None:
        """Switch off; fine when it is off."""
        if server.status not in ("SHUTOFF", "SHELVED", "SHELVED_OFFLOADED"):
            self._switch(server, "SHUTOFF", self.cloud.compute.stop_server)

    def start(self, server: Any) -> None:
        """Switch on; fine when it is on."""
        if server.status != "ACTIVE":
            self._switch(server, "ACTIVE", self.cloud.compute.start_server)

    def resize(self, server: Any, flavor: Flavor) -> None:
        """Move a server to another flavor and confirm; goes on where an earlier attempt was broken off."""
        if server.status == "VERIFY_RESIZE":
            self._confirm(server.id)
            server = self._present(server.id)
        if not _has(server, flavor):
            if server.status != "RESIZE":
                self.cloud.compute.resize_server(server.id, flavor.id)
            wait_until(
                lambda: self._settled(server.id, "VERIFY_RESIZE"), RESIZE_SECONDS, f"the resize of {server.name}"
            )
            self._confirm(server.id)
        if not _has(self._present(server.id), flavor):
            raise ProviderBusy(f"server {server.name} has not become a {flavor.name}")

    def console(self, server_id: str, lines: int) -> str:
        """The end of a server's console."""
        said = self.cloud.compute.get_server_console_output(server_id, length=lines)
        return "\n".join(str(said.get("output") or "").splitlines()[-lines:])

    def image_id(self, image: str) -> str:
        """An image by its name or id, asked for each time: one of that name may have been replaced. Raises ProviderError."""
        there = self.cloud.image.find_image(image)
        if there is None:
            raise ProviderError(
                f"the cloud has no image {image!r}",
                what_to_do=f"upload one of that name, or register the datastore with one of these: {self._image_names()}",
            )
        return str(there.id)

    def _named(self, instance: Instance) -> list[Any]:
        """The servers with the instance's name that carry its mark."""
        if not instance.name:
            return []
        listed = self.cloud.compute.servers(name=f"^{re.escape(instance.name)}$")
        return [one for one in listed if mark(one, INSTANCE) == instance.id and one.status not in GONE]

    def _image_names(self) -> str:
        return ", ".join(sorted({str(one.name) for one in self.cloud.image.images()})) or "there are none"

    def _boot(self, instance: Instance) -> dict[str, Any]:
        image_id, size = self.image_id(instance.image), self.chosen.boot_volume_gb
        if not size:
            return {"image_id": image_id}
        return {
            "block_device_mapping": [
                {"boot_index": 0, "uuid": image_id, "source_type": "image", "destination_type": "volume",
                 "volume_size": size, "delete_on_termination": True}
            ]
        }  # fmt: skip

    def _switch(self, server: Any, wanted: str, switch: Any) -> None:
        try:
            switch(server.id)
        except ConflictException as error:
            # It has just become what was wanted, or is in the middle of something else.
            now = self._present(server.id)
            if now.status != wanted:
                raise ProviderBusy(
                    f"server {now.name} is {now.status} ({now.task_state or 'nothing'} under way)"
                ) from error

    def _confirm(self, server_id: str) -> None:
        self.cloud.compute.confirm_server_resize(server_id)
        wait_until(
            lambda: self._settled(server_id, "ACTIVE", "SHUTOFF"), RESIZE_SECONDS, "the confirmation of the resize"
        )

    def _settled(self, server_id: str, *wanted: str) -> bool:
        server = self._present(server_id)
        if server.status == "ERROR":
            raise ProviderError(f"server {server.name} has ended in ERROR: {fault_of(server)}",
                                what_to_do="have the cloud's operators look at it")  # fmt: skip
        return server.status in wanted and not server.task_state

    def _present(self, server_id: str) -> Any:
        server = self.get(server_id)
        if server is None:
            raise ProviderError(f"server {server_id} is gone", what_to_do="delete the cluster and make it anew")
        return server

    def _is_gone(self, server_id: str) -> bool:
        server = self.get(server_id)
        return server is None or server.status in GONE


def state_of(server: Any) -> tuple[str, int]:
    """A server's state in the port's words, and how far it is in percent."""
    status = _STATES.get(server.status, "UNKNOWN")
    if status == "BUILD":
        return status, _PROGRESS.get(server.task_state or "", ACCEPTED)
    return status, DONE if status == "ACTIVE" else 0


def fault_of(server: Any) -> str:
    """Nova's words for what went wrong."""
    fault = server.fault or {}
    return str(fault.get("message") or "")


def _has(server: Any, flavor: Flavor) -> bool:
    """Whether a server is of a flavor. Newer Novas show what a flavor was when it was taken, and not its id."""
    shown = server.flavor or {}
    return flavor.id == shown.get("id") or flavor.name == (shown.get("original_name") or shown.get("name"))
