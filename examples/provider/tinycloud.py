"""What a cloud's own library looks like to a provider: calls, answers, errors. It stands for the one of your cloud."""

from __future__ import annotations

import itertools
import time
from typing import Any


class TinyError(Exception):
    """The cloud said no. `status` is an HTTP status: 4xx is final, the rest may pass."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class TinyCloud:
    """A cloud in a process's memory, whose machines come up after `boot_seconds`."""

    def __init__(self, boot_seconds: float = 0.2, quota: int = 20) -> None:
        self._boot_seconds, self._quota = boot_seconds, quota
        self._machines: dict[str, dict[str, Any]] = {}
        self._disks: dict[str, dict[str, Any]] = {}
        self._images: dict[str, str] = {}
        self._numbers = itertools.count(1)

    def sizes(self) -> list[dict[str, Any]]:
        """What can be had."""
        return [
            {"name": f"t{cores}", "cores": cores, "megabytes": cores * 1024, "gigabytes": 20} for cores in (4, 1, 2)
        ]

    def boot(self, name: str, size: str, image: str, user_data: str, tags: dict[str, str]) -> str:
        """Accept a machine; returns its id."""
        if len(self._machines) >= self._quota:
            raise TinyError(403, "quota exceeded")
        number = f"machine-{next(self._numbers)}"
        self._machines[number] = {"id": number, "name": name, "size": size, "image": image, "user_data": user_data,
                                  "tags": tags, "on": True, "since": time.monotonic()}  # fmt: skip
        return number

    def machines(self, **tags: str) -> list[dict[str, Any]]:
        """The machines that carry all these tags, with state and percent."""
        return [{**one, **self._state(one)} for one in self._machines.values() if tags.items() <= one["tags"].items()]

    def power(self, machine: str, on: bool) -> None:
        """Switch a machine."""
        if machine not in self._machines:
            raise TinyError(404, f"no machine {machine}")
        self._machines[machine]["on"] = on

    def delete(self, machine: str) -> None:
        """Delete a machine."""
        if self._machines.pop(machine, None) is None:
            raise TinyError(404, f"no machine {machine}")

    def make_disk(self, gigabytes: int, tags: dict[str, str]) -> str:
        """Make a disk; returns its id."""
        number = f"disk-{next(self._numbers)}"
        self._disks[number] = {"id": number, "gigabytes": gigabytes, "tags": tags, "machine": ""}
        return number

    def disks(self, **tags: str) -> list[dict[str, Any]]:
        """The disks that carry all these tags."""
        return [dict(one) for one in self._disks.values() if tags.items() <= one["tags"].items()]

    def plug(self, disk: str, machine: str) -> str:
        """Attach a disk; returns the device that the machine sees."""
        self._disks[disk]["machine"] = machine
        return "/dev/vdb"

    def delete_disk(self, disk: str) -> None:
        """Delete a disk."""
        if self._disks.pop(disk, None) is None:
            raise TinyError(404, f"no disk {disk}")

    def photograph(self, machine: str, name: str) -> str:
        """Make an image of a machine; returns its id."""
        number = f"image-{next(self._numbers)}"
        self._images[number] = f"{machine} {name}"
        return number

    def screen(self, machine: str) -> str:
        """What the machine's console shows."""
        return f"{machine} boots\n{machine} login:\n"

    def _state(self, machine: dict[str, Any]) -> dict[str, Any]:
        share = (time.monotonic() - machine["since"]) / self._boot_seconds
        if share < 1:
            return {"state": "starting", "percent": int(100 * share)}
        return {"state": "running" if machine["on"] else "stopped", "percent": 100}
