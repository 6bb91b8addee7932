"""Mounts a volume that its provider has only attached: a file system where there is none, fstab, mounted by its UUID; and grows it.

Nothing that a device holds is ever written over: whatever low-level probing finds on it, but a file system, is refused.
"""

from __future__ import annotations

from services.datastore_agentless.hosts.base import ANY_CODE, Phase, Run, Script, quote
from shared.errors import Failure

MOUNT_POINT = "/var/lib/dtrove-data"
FILE_SYSTEM = "ext4"
# blkid's codes: 0 something was found, 2 nothing was, 8 several things at once.
_FOUND, _NOTHING = 0, 2

# A provider may name several places, best first: the others count after a second.
_APPEARED = """n=0
while [ $n -lt 300 ]; do
  for device in {devices}; do
    if [ -b "$device" ]; then echo "$device"; exit 0; fi
    [ $n -ge 10 ] || break
  done
  n=$((n+1)); sleep 0.1
done
exit 3
"""

# Where nothing tells the kernel's devices by their UUIDs, as in a container without udev, the device's own name has to do.
_MOUNT = """set -e
number=$(printf '%d:%d' "0x$(stat -L -c %t {device})" "0x$(stat -L -c %T {device})")
mkdir -p {point}
if mountpoint -q {point}; then
  [ "$(findmnt -n -o UUID --target {point})" = {uuid} ] || [ "$(mountpoint -d {point})" = "$number" ] || {{
    echo "something else is mounted at {point}" >&2; exit 4; }}
else
  [ -z "$(ls -A {point})" ] || {{ echo "{point} is not empty" >&2; exit 4; }}
fi
source=UUID={uuid}
findfs "$source" > /dev/null 2>&1 || source={device}
grep -qsF -e UUID={uuid}' ' -e {device}' ' /etc/fstab || echo "$source "{entry} >> /etc/fstab
mountpoint -q {point} || mount -t {kind} -o defaults "$source" {point}
"""


def mount(devices: str, point: str) -> Script:
    """Mount a device at `point`, with a new file system if it is empty. Raises Failure; repeating it is harmless.

    `devices` are the places where it may be, best first, a line each.
    """
    yield Phase("mounting the volume")
    places = devices.splitlines()
    line = _APPEARED.format(devices=" ".join(quote(one) for one in places))
    appeared = yield Run(line, title="wait for the volume's device", timeout=40, ok_codes=(0, 3), changes=False)
    if appeared.code != 0:
        raise Failure(f"the volume's device {' or '.join(places)} has not appeared on the host",
                      what_to_do="see at the provider whether the volume is attached, then retry")  # fmt: skip
    device = appeared.stdout.strip() or places[0]
    kind, uuid = yield from _look(device)
    if not kind:
        yield Run(
            ("mkfs." + FILE_SYSTEM, "-q", "-m", "0", device),
            title="make a file system on the empty volume",
            timeout=300,
        )
        kind, uuid = yield from _look(device)
    # Source: fstab(5), blanks are written as \\040.
    entry = point.replace(" ", "\\040") + f" {kind} defaults,nofail 0 2"
    line = _MOUNT.format(
        entry=quote(entry), device=quote(device), point=quote(point), uuid=quote(uuid), kind=quote(kind)
    )
    mounted = yield Run(line, title=f"mount the volume at {point}", ok_codes=(0, 4))
    if mounted.code != 0:
        raise Failure(f"the volume cannot be mounted: {mounted.stderr.strip()}",
                      what_to_do="look at the mount point on the host; DTrove writes over nothing that it did not make")  # fmt: skip


# The kernel hears of a disk that has grown from whoever runs the host, which may take a moment; some have to be asked to look.
_GREW = """device=$(findmnt -n -o SOURCE -M {point} | tail -n 1)
[ -b "$device" ] || {{ echo "no device is mounted at {point}" >&2; exit 1; }}
rescan=/sys/class/block/$(basename "$(readlink -f "$device")")/device/rescan
n=0
while [ $n -lt 300 ]; do
  [ "$(blockdev --getsize64 "$device")" -lt {size} ] || exit 0
  if [ -w "$rescan" ]; then echo 1 > "$rescan"; fi
  n=$((n+1)); sleep 0.1
done
echo "$device has $(blockdev --getsize64 "$device") bytes, and not {size}" >&2; exit 1
"""

_GROW = """device=$(findmnt -n -o SOURCE -M {point} | tail -n 1)
case $(findmnt -n -o FSTYPE -M {point} | tail -n 1) in
  ext[234]) resize2fs "$device";;
  xfs) xfs_growfs {point};;
  *) echo "a file system that is neither ext4 nor xfs is grown by hand" >&2; exit 1;;
esac
"""


def grow(point: str, size_gb: int, *, by_provider: bool = False) -> Script:
    """Have the file system at `point` fill its volume, once that has grown to `size_gb`; returns its size in bytes, 0 for unknown.

    With `by_provider` it is only looked at: who mounts a volume by itself grows what is on it as well. Repeating it changes
    nothing.
    """
    place, size = quote(point), size_gb * 1024**3
    title = "see how large the file system is; its provider grows it with the volume, where that is more than a folder"
    if not by_provider:
        yield Run(_GREW.format(point=place, size=size), title="see that the volume's device has grown", timeout=45,
                  changes=False)  # fmt: skip
        yield Run(_GROW.format(point=place), title=f"grow the file system at {point}", timeout=300)
        title = "see how large the file system is"
    seen = yield Run(f"df --output=size -B1 {place} | tail -n 1", title=title, changes=False, sample=str(size))
    return int(seen.text) if seen.text.isdecimal() else 0


def _look(device: str) -> Script:
    """The kind of file system on the device and its UUID; both empty for a device that holds nothing at all."""
    found = yield Run(("blkid", "-p", "-o", "export", device), title="see what the volume holds",
                      ok_codes=ANY_CODE, changes=False)  # fmt: skip
    tags = dict(line.split("=", 1) for line in found.stdout.splitlines() if "=" in line)
    if found.code == _NOTHING:
        return "", ""
    if found.code != _FOUND or tags.get("USAGE") != "filesystem":
        held = tags.get("PTTYPE") or tags.get("TYPE") or found.stderr.strip() or "something that is no file system"
        raise Failure(f"the volume's device {device} holds data that DTrove did not put there ({held})",
                      what_to_do="give an empty volume, or one with a file system on the whole device")  # fmt: skip
    if not tags.get("UUID"):
        raise Failure(f"the file system on {device} has no UUID", what_to_do="give an empty volume")
    return tags["TYPE"], tags["UUID"]
