"""Volumes of the local provider, really mounted: their size, their end, and two who mount at once."""

from __future__ import annotations

import multiprocessing
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from services.provisioner.providers.base import ProviderError
from services.provisioner.providers.local import volumes

pytestmark = pytest.mark.real


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    volumes.remove_all(tmp_path)


def loops(home: Path) -> list[str]:
    """The loop devices with a file of this home behind them."""
    listed = subprocess.run(["losetup", "-a"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if str(home) in line]


def mounts(home: Path) -> list[str]:
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(home) in line]


def mounted(home: Path) -> tuple[str, Path]:
    instance = str(uuid4())
    assert volumes.create(home, instance, 1)
    assert volumes.mount(home, instance)
    return instance, volumes.folder(home, instance)


def fill(path: Path, megabytes: int) -> None:
    with path.open("wb") as big:
        for _ in range(megabytes):
            big.write(bytes(1 << 20))


def test_a_volume_that_is_mounted_grows_with_what_is_on_it(home: Path) -> None:
    instance, path = mounted(home)
    (path / "kept").write_text("pear")
    before = shutil.disk_usage(path).total
    for size_gb in (2, 2, 1):
        assert volumes.extend(home, instance, size_gb)
        assert shutil.disk_usage(path).total > 1.9 * before, "it has grown, and does not shrink"
    assert (path / "kept").read_text() == "pear"


def test_a_volume_holds_as_much_as_was_asked_for_and_no_more(home: Path) -> None:
    _, folder = mounted(home)
    assert 900 << 20 < shutil.disk_usage(folder).total <= 1 << 30
    with pytest.raises(OSError, match="No space left"):
        fill(folder / "big", 1100)


def test_a_volume_is_empty_at_first_and_keeps_what_is_written(home: Path) -> None:
    instance, folder = mounted(home)
    assert list(folder.iterdir()) == []
    (folder / "data").write_text("kept")
    assert volumes.create(home, instance, 1)
    assert volumes.mount(home, instance)
    assert (folder / "data").read_text() == "kept"


def test_a_removed_volume_leaves_no_mount_no_loop_device_and_no_file(home: Path) -> None:
    instance, folder = mounted(home)
    assert len(loops(home)) == 1
    volumes.remove(home, instance)
    assert loops(home) == []
    assert not folder.parent.exists()
    volumes.remove(home, instance)


def test_all_volumes_of_a_home_go_at_once_also_those_whose_making_was_cut_short(home: Path) -> None:
    for _ in range(2):
        mounted(home)
    volumes.create(home, str(uuid4()), 1)
    unfinished = volumes.folder(home, "unfinished").with_name("disk.new")
    unfinished.parent.mkdir(parents=True)
    unfinished.write_bytes(b"half")
    assert len(volumes.remove_all(home)) == 4
    assert loops(home) == []
    assert mounts(home) == []


def test_a_volume_mounted_twice_over_goes_whole(home: Path) -> None:
    instance, folder = mounted(home)
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    volumes.remove(home, instance)
    assert loops(home) == []


def test_two_processes_that_mount_at_once_mount_once(home: Path) -> None:
    instance = str(uuid4())
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert pool.starmap(volumes.create, [(home, instance, 1)] * 4) == [True] * 4
        assert pool.starmap(volumes.mount, [(home, instance)] * 4) == [True] * 4
    assert len(loops(home)) == 1
    assert len(mounts(home)) == 2


def test_a_volume_that_was_never_made_is_not_mounted(home: Path) -> None:
    assert not volumes.mount(home, str(uuid4()))
    assert volumes.disks(home) == []


def test_a_size_that_cannot_be_made_is_refused_and_leaves_no_volume(home: Path) -> None:
    instance = str(uuid4())
    with pytest.raises((ProviderError, OSError)):
        volumes.create(home, instance, 10**9)
    assert volumes.disks(home) == []
