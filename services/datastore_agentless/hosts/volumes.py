"""Mounts a volume that its provider has only attached: a file system where there is none, fstab, mounted by its UUID.

Nothing that a device holds is ever written over: whatever low-level probing finds on it, but a file system, is refused.
"""

from __future__ import annotations

from services.datastore_agentless.hosts.base import ANY_CODE, Phase, Run, Script, quote
from shared.errors import Failure

MOUNT_POINT = "/var/lib/dtrove-data"
FILE_SYSTEM = "ext4"
# blkid's codes: 0 something was found, 2 nothing was, 8 several things at once.
_FOUND, _NOTHING = 0, 2

_APPEARED = (
    """n=0; until [ -b {device} ]; do n=$((n+1)); [ $n -lt 300 ] || exit 3; sleep 0.1; done; readlink -f {device}"""
)

_MOUNT = """set -e
mkdir -p {point}
if mountpoint -q {point}; then
  [ "$(findmnt -n -o UUID --target {point})" = {uuid} ] || {{ echo "something else is mounted at {point}" >&2; exit 4; }}
else
  [ -z "$(ls -A {point})" ] || {{ echo "{point} is not empty" >&2; exit 4; }}
fi
grep -qsF {mark} /etc/fstab || echo {entry} >> /etc/fstab
mountpoint -q {point} || mount -t {kind} -o defaults UUID={uuid} {point}
"""


def mount(device: str, point: str) -> Script:
    """Mount `device` at `point`, with a new file system if it is empty. Raises Failure; repeating it is harmless."""
    yield Phase("mounting the volume")
    appeared = yield Run(_APPEARED.format(device=quote(device)), title="wait for the volume's device", timeout=40,
                         ok_codes=(0, 3), changes=False)  # fmt: skip
    if appeared.code != 0:
        raise Failure(f"the volume's device {device} has not appeared on the host",
                      what_to_do="see at the provider whether the volume is attached, then retry")  # fmt: skip
    kind, uuid = yield from _look(device)
    if not kind:
        yield Run(
            ("mkfs." + FILE_SYSTEM, "-q", "-m", "0", device),
            title="make a file system on the empty volume",
            timeout=300,
        )
        kind, uuid = yield from _look(device)
    # Source: fstab(5), blanks are written as \\040.
    mark = f"UUID={uuid} "
    entry = mark + point.replace(" ", "\\040") + f" {kind} defaults,nofail 0 2"
    line = _MOUNT.format(entry=quote(entry), mark=quote(mark), point=quote(point), uuid=quote(uuid), kind=quote(kind))
    mounted = yield Run(line, title=f"mount the volume at {point}", ok_codes=(0, 4))
    if mounted.code != 0:
        raise Failure(f"the volume cannot be mounted: {mounted.stderr.strip()}",
                      what_to_do="look at the mount point on the host; DTrove writes over nothing that it did not make")  # fmt: skip


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
