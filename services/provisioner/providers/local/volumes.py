"""Volumes of the local provider: a file with an ext4 file system of a fixed size, mounted into the running host.

Mounting takes root on Linux. Elsewhere a volume is a plain folder, whose size nothing enforces.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from services.provisioner.providers.base import ProviderError
from services.provisioner.providers.lock import locked

TIMEOUT = 60
DISK = "disk.ext4"


def folder(home: Path, instance_id: str) -> Path:
    """The folder that the host sees as its data directory; it exists before the host, the mount comes and goes."""
    return _root(home) / instance_id / "mnt"


def prepare(home: Path, instance_id: str) -> tuple[Path, bool]:
    """Make the folder that will carry the mount; tells whether what is mounted on it later will be seen in the host."""
    path = folder(home, instance_id)
    path.mkdir(parents=True, exist_ok=True)
    with _alone(home):
        return path, _share(_root(home))


def create(home: Path, instance_id: str, size_gb: int) -> bool:
    """Make the volume's file with its file system, once; false where a plain folder serves. Raises ProviderError."""
    disk = _disk(home, instance_id)
    disk.parent.mkdir(parents=True, exist_ok=True)
    if not can_mount():
        return False
    with _alone(home):
        if not disk.exists():
            draft = disk.with_suffix(".new")
            with draft.open("wb") as file:
                file.truncate(size_gb * 1024**3)
            _run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1", str(draft))
            draft.replace(disk)
    return True


def mount(home: Path, instance_id: str) -> bool:
    """Mount the volume, if there is one; fine when it is mounted. False where a plain folder serves."""
    path, shared = prepare(home, instance_id)
    with _alone(home):
        if is_mounted(path):
            return True
        disk = _disk(home, instance_id)
        if not shared or not disk.exists():
            return False
        try:
            _run("mount", "-o", "loop", str(disk), str(path))
        except ProviderError:
            return False
        # Databases want an empty folder.
        shutil.rmtree(path / "lost+found", ignore_errors=True)
        return True


def remove(home: Path, instance_id: str) -> None:
    """Unmount and delete; fine when it is gone. Raises ProviderError."""
    path = folder(home, instance_id)
    with _alone(home):
        _unmount(path)
        shutil.rmtree(path.parent, ignore_errors=True)


def remove_all(home: Path) -> list[str]:
    """Remove every volume of the installation; returns what went. Raises ProviderError."""
    names = [path.name for path in _root(home).iterdir()] if _root(home).exists() else []
    for name in names:
        remove(home, name)
    _unmount(_root(home))
    return [f"volume {name}" for name in names]


def disks(home: Path) -> list[str]:
    """The instances that have a volume."""
    return sorted(disk.parent.name for disk in _root(home).glob(f"*/{DISK}"))


def can_mount() -> bool:
    """Whether this machine, and this user, can mount a file at all."""
    return sys.platform == "linux" and os.geteuid() == 0 and shutil.which("mkfs.ext4") is not None


def is_mounted(path: Path) -> bool:
    """Whether something is mounted at `path`: os.path.ismount() does not see a bind mount within one file system."""
    # Source: proc(5), /proc/<pid>/mountinfo: the fifth field is the mount point, blanks written as \\040.
    table = Path("/proc/self/mountinfo")
    points = (line.split()[4] for line in table.read_text().splitlines()) if table.exists() else ()
    return str(path.resolve()).replace(" ", "\\040") in points


def _root(home: Path) -> Path:
    return home / "volumes"


def _disk(home: Path, instance_id: str) -> Path:
    return _root(home) / instance_id / DISK


def _alone(home: Path) -> AbstractContextManager[int]:
    """Two processes that look and then mount would both mount."""
    return locked(home / "run" / "volumes.lock")


def _share(root: Path) -> bool:
    """Let later mounts below `root` be seen by hosts that run already; false where that is denied."""
    if not can_mount():
        return False
    try:
        if not is_mounted(root):
            _run("mount", "--bind", str(root), str(root))
        _run("mount", "--make-shared", str(root))
    except ProviderError:
        return False
    return True


def _unmount(path: Path) -> None:
    """Unmount whatever is mounted at `path`, however many times; the loop device behind it goes with its mount."""
    for _ in range(100):
        if not is_mounted(path):
            return
        _run("umount", "-l", str(path))


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProviderError(f"{command[0]} did not run: {error}", what_to_do="see that the machine is well") from error
    if done.returncode != 0:
        raise ProviderError(f"{command[0]} failed", command=" ".join(command), stderr=done.stderr,
                            what_to_do="look at the machine's disk space and loop devices")  # fmt: skip
