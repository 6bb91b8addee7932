"""Volumes of the local provider: a file with an ext4 file system of a fixed size, mounted into the running host."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from services.provisioner.providers.base import ProviderError

TIMEOUT = 60


def folder(home: Path, instance_id: str) -> Path:
    """The folder that the host sees as its data directory; it exists before the host, the mount comes and goes."""
    return home / "volumes" / instance_id / "mnt"


def prepare(home: Path, instance_id: str) -> Path:
    """Make the folder that will carry the mount."""
    path = folder(home, instance_id)
    path.mkdir(parents=True, exist_ok=True)
    _share(home / "volumes")
    return path


def _share(root: Path) -> None:
    """Let later mounts below `root` be seen by hosts that run already; where that is denied, plain folders serve."""
    if os.geteuid() == 0 and not is_mounted(root):
        try:
            _run("mount", "--bind", str(root), str(root))
            _run("mount", "--make-shared", str(root))
        except ProviderError:
            return


def create(home: Path, instance_id: str, size_gb: int) -> Path:
    """The volume's file with its file system; made once. Raises ProviderError."""
    disk = folder(home, instance_id).with_name("disk.ext4")
    if disk.exists():
        return disk
    disk.parent.mkdir(parents=True, exist_ok=True)
    draft = disk.with_suffix(".new")
    with draft.open("wb") as file:
        file.truncate(size_gb * 1024**3)
    _run("mkfs.ext4", "-q", "-F", "-m", "0", str(draft))
    draft.replace(disk)
    return disk


def mount(home: Path, instance_id: str, disk: Path) -> bool:
    """Mount the volume; fine when it is mounted. False where this machine cannot mount, and a plain folder serves."""
    path = prepare(home, instance_id)
    if is_mounted(path):
        return True
    try:
        _run("mount", "-o", "loop", str(disk), str(path))
        shutil.rmtree(path / "lost+found", ignore_errors=True)
        return True
    except ProviderError:
        return False


def remove(home: Path, instance_id: str) -> None:
    """Unmount and delete; fine when it is gone."""
    path = folder(home, instance_id)
    _unmount(path)
    shutil.rmtree(path.parent, ignore_errors=True)


def remove_all(home: Path) -> list[str]:
    """Remove every volume of the installation; returns what went."""
    root = home / "volumes"
    names = [path.name for path in root.iterdir()] if root.exists() else []
    for name in names:
        remove(home, name)
    _unmount(root)
    return [f"volume {name}" for name in names]


def is_mounted(path: Path) -> bool:
    """Whether something is mounted at `path`: os.path.ismount() does not see a bind mount within one file system."""
    # Source: proc(5), /proc/<pid>/mountinfo: the fifth field is the mount point, blanks written as \\040.
    points = (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return str(path.resolve()).replace(" ", "\\040") in points


def _unmount(path: Path) -> None:
    """Unmount whatever is mounted at `path`, however many times."""
    for _ in range(100):
        if not is_mounted(path):
            return
        _run("umount", "-l", str(path))


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProviderError(f"{command[0]} did not run: {error}") from error
    if done.returncode != 0:
        raise ProviderError(f"{command[0]} failed", command=" ".join(command), stderr=done.stderr,
                            what_to_do="look at the machine's disk space and loop devices")  # fmt: skip
