"""Volumes of the local provider: a file with a file system of a fixed size, mounted into the running host.

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
# Named when there was one kind.
DISK = "disk.ext4"
# The best first: xfs grows while it is mounted for whoever may mount it, ext4 only for who has CAP_SYS_RESOURCE as well.
_MAKE = {
    "xfs": ("mkfs.xfs", "-q"),
    "ext4": ("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1"),
}
_KNOWN = Path("/proc/filesystems")


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
            _run(*_MAKE[_best_kind()], str(draft))
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


def extend(home: Path, instance_id: str, size_gb: int) -> bool:
    """Make the volume so large with what is on it, mounted or not; fine when it is. False where a plain folder serves.

    Raises ProviderError, also where Linux lets nobody here grow an ext4 that is mounted.
    """
    disk, path = _disk(home, instance_id), folder(home, instance_id)
    with _alone(home):
        if not disk.exists():
            return False
        with disk.open("r+b") as file:
            file.truncate(max(size_gb * 1024**3, disk.stat().st_size))
        if not is_mounted(path) and _run("blkid", "-o", "value", "-s", "TYPE", str(disk)).strip() == "ext4":
            _run("e2fsck", "-f", "-p", str(disk), fine=(0, 1))
            _run("resize2fs", str(disk))
    if not mount(home, instance_id):
        return False
    with _alone(home):
        _extend_mounted(path)
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
    return sys.platform == "linux" and os.geteuid() == 0 and shutil.which(_MAKE[_best_kind()][0]) is not None


def _best_kind() -> str:
    """The best kind of file system that the kernel knows and that can be made here."""
    known = _KNOWN.read_text().split() if _KNOWN.exists() else []
    return next((kind for kind, command in _MAKE.items() if kind in known and shutil.which(command[0])), "ext4")


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


def _extend_mounted(path: Path) -> None:
    """Have the file system that is mounted at `path` fill its file. Raises ProviderError."""
    device, kind = _run("findmnt", "-n", "-o", "SOURCE,FSTYPE", "-M", str(path)).splitlines()[-1].split()
    _run("losetup", "-c", device)
    if kind == "xfs":
        _run("xfs_growfs", str(path))
        return
    try:
        _run("resize2fs", device)
    except ProviderError as error:
        # Source: capabilities(7), ext4 grows while it is mounted for those alone who have it.
        raise ProviderError("the file system of the volume does not grow while it is mounted", command=error.command,
                            stderr=error.stderr,
                            what_to_do="run the provisioner with CAP_SYS_RESOURCE, then retry the operation") from error  # fmt: skip


def _run(*command: str, fine: tuple[int, ...] = (0,)) -> str:
    """What a command prints. Raises ProviderError."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProviderError(f"{command[0]} did not run: {error}", what_to_do="see that the machine is well") from error
    if done.returncode not in fine:
        raise ProviderError(f"{command[0]} failed", command=" ".join(command), stderr=done.stderr,
                            what_to_do="look at the machine's disk space and loop devices")  # fmt: skip
    return done.stdout
