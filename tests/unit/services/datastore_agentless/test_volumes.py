"""A volume that is only attached is mounted, and nothing that it holds is ever written over."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from services.datastore_agentless.hosts.base import Result, Run
from services.datastore_agentless.hosts.volumes import grow, mount
from shared.errors import Failure
from tests.unit.services.datastore_agentless.scripted import ScriptedHost

EXT4 = "DEVNAME=/dev/vdb\nUUID=8f0d\nTYPE=ext4\nUSAGE=filesystem\n"


def holding(*answers: Result) -> Callable[[Run], Result]:
    """What low-level probing says, one answer after the other."""
    left = list(answers)
    return lambda _: left.pop(0)


def test_an_empty_volume_gets_a_file_system_and_is_mounted_by_its_uuid() -> None:
    host = ScriptedHost(see_what_the_volume_holds=holding(Result(code=2), Result(stdout=EXT4)))
    host.drive(mount("/dev/vdb", "/data"))
    assert host.titles == [
        "wait for the volume's device", "see what the volume holds", "make a file system on the empty volume",
        "see what the volume holds", "mount the volume at /data",
    ]  # fmt: skip
    assert "mkfs.ext4 -q -m 0 /dev/vdb" in host.lines
    assert """echo "$source "'/data ext4 defaults,nofail 0 2' >> /etc/fstab""" in host.lines
    assert "source=UUID=8f0d\n" in host.lines
    assert 'mount -t ext4 -o defaults "$source" /data' in host.lines


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_a_volume_with_a_file_system_is_mounted_as_it_is(kind: str) -> None:
    host = ScriptedHost(see_what_the_volume_holds=EXT4.replace("ext4", kind))
    host.drive(mount("/dev/vdb", "/data"))
    assert "mkfs" not in host.lines
    assert f"mount -t {kind}" in host.lines


@pytest.mark.parametrize("found", [
    Result(stdout="PTTYPE=gpt\n"),
    Result(stdout="TYPE=LVM2_member\nUSAGE=raid\n"),
    Result(stdout="TYPE=crypto_LUKS\nUSAGE=crypto\n"),
    Result(code=8, stderr="ambivalent result"),
    Result(code=4, stderr="error: /dev/vdb: Input/output error"),
    Result(code=127, stderr="blkid: not found"),
], ids=["partitions", "LVM", "LUKS", "ambivalent", "unreadable", "no blkid"])  # fmt: skip
def test_whatever_else_it_holds_is_refused_and_left_alone(found: Result) -> None:
    host = ScriptedHost(see_what_the_volume_holds=found)
    with pytest.raises(Failure, match="holds data that DTrove did not put there"):
        host.drive(mount("/dev/vdb", "/data"))
    assert "mkfs" not in host.lines
    assert "fstab" not in host.lines


def test_a_device_that_does_not_appear_is_named() -> None:
    host = ScriptedHost(wait_for_the_volume=Result(code=3))
    with pytest.raises(Failure, match="device /dev/vdb has not appeared") as caught:
        host.drive(mount("/dev/vdb", "/data"))
    assert "attached" in caught.value.what_to_do


def test_a_mount_point_in_use_is_told() -> None:
    host = ScriptedHost(see_what_the_volume_holds=EXT4, mount=Result(code=4, stderr="/data is not empty\n"))
    with pytest.raises(Failure, match="cannot be mounted: /data is not empty"):
        host.drive(mount("/dev/vdb", "/data"))


def test_of_several_places_the_one_where_it_has_appeared_is_mounted() -> None:
    host = ScriptedHost(wait_for_the_volume="/dev/vdb\n", see_what_the_volume_holds=EXT4)
    host.drive(mount("/dev/disk/by-id/virtio-1\n/dev/vdb", "/data"))
    assert "for device in /dev/disk/by-id/virtio-1 /dev/vdb; do" in host.lines
    assert "blkid -p -o export /dev/vdb" in host.lines


def test_odd_names_are_quoted() -> None:
    host = ScriptedHost(see_what_the_volume_holds=EXT4)
    host.drive(mount("/dev/disk/by-id/a b;c", "/da ta"))
    assert "'/dev/disk/by-id/a b;c'" in host.lines
    assert "mkdir -p '/da ta'" in host.lines
    assert r"/da\040ta ext4" in host.lines


def test_a_file_system_grows_with_a_device_that_has_grown_and_its_size_is_told() -> None:
    host = ScriptedHost(see_how_large=Result(stdout="21003583488\n"))
    assert host.drive(grow("/data", 20)) == 21003583488
    assert host.titles == [
        "see that the volume's device has grown", "grow the file system at /data", "see how large the file system is",
    ]  # fmt: skip
    assert f"-lt {20 << 30} ]" in host.lines


def test_a_file_system_that_its_provider_grows_is_only_looked_at() -> None:
    host = ScriptedHost(see_how_large=Result(stdout="df: /data: No such file or directory\n"))
    assert host.drive(grow("/data", 20, by_provider=True)) == 0
    assert "resize2fs" not in host.lines
