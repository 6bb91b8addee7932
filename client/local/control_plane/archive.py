"""The archive's bytes: a tar, gzipped as it is written, so that what is inside lies nowhere in clear beside its original."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from client.local.control_plane.manifest import ANOTHER, NAME, Manifest, Part, load
from shared.errors import Failure

CHUNK = 1024 * 1024
# A manifest of a few hundred parts is far below.
MOST_MANIFEST = 4 * CHUNK
# What a part is made of: a file, or its bytes.
Content = Path | bytes


def part_of(content: Content) -> Part:
    """Its sum and length."""
    digest, length = hashlib.sha256(), 0
    for chunk in _chunks(content):
        digest.update(chunk)
        length += len(chunk)
    return Part(digest.hexdigest(), length)


def pack(manifest: Manifest, contents: Mapping[str, Content]) -> Iterator[bytes]:
    """The gzipped tar, piece by piece: the manifest first. Raises Failure where a part is not any more what it was."""
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    for piece in _tar(manifest, contents):
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()


def _tar(manifest: Manifest, contents: Mapping[str, Content]) -> Iterator[bytes]:
    mtime = int(manifest.moment.timestamp())
    for name, content in {NAME: manifest.dump(), **contents}.items():
        length = manifest.parts[name].bytes if name in manifest.parts else len(manifest.dump())
        header = tarfile.TarInfo(name)
        header.size, header.mode, header.mtime = length, 0o600, mtime
        yield header.tobuf(tarfile.PAX_FORMAT)
        written = 0
        for chunk in _chunks(content):
            written += len(chunk)
            yield chunk
        if written != length:
            raise Failure(f"{name} has changed while it was copied", what_to_do="make the copy once more")
        yield b"\0" * (-length % tarfile.BLOCKSIZE)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def unpack(source: Path, folder: Path) -> Manifest:
    """Put an archive's parts into a folder that is empty, each held against its sum; return the manifest.

    Raises Failure for whatever is not as the manifest says. What was written by then is whole, but not all.
    """
    try:
        with tarfile.open(source, "r:gz") as archive:
            return _unpack(archive, folder)
    except (tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError) as error:
        raise Failure(f"the archive is no archive of DTrove's: {error}", what_to_do=ANOTHER) from error


def _unpack(archive: tarfile.TarFile, folder: Path) -> Manifest:
    manifest = _manifest(archive)
    left = dict(manifest.parts)
    while member := archive.next():
        expected = left.pop(member.name, None)
        inside = archive.extractfile(member) if member.isreg() else None
        if expected is None or inside is None:
            raise Failure(f"the archive holds {member.name!r}, which its {NAME} does not name", what_to_do=ANOTHER)
        if _write(inside, folder / member.name) != expected:
            raise Failure(
                f"{member.name} in the archive is not what was put there: its sum differs", what_to_do=ANOTHER
            )
    if left:
        raise Failure(f"the archive lacks {', '.join(sorted(left))}", what_to_do=ANOTHER)
    return manifest


def _manifest(archive: tarfile.TarFile) -> Manifest:
    first = archive.next()
    inside = archive.extractfile(first) if first is not None and first.isreg() and first.name == NAME else None
    if inside is None:
        raise Failure(f"the archive does not begin with {NAME}: it is no archive of DTrove's", what_to_do=ANOTHER)
    try:
        said = json.loads(inside.read(MOST_MANIFEST))
    except ValueError as error:
        raise Failure(f"the archive's {NAME} is no JSON", what_to_do=ANOTHER) from error
    if not isinstance(said, dict):
        raise Failure(f"the archive's {NAME} is not as DTrove writes it", what_to_do=ANOTHER)
    return load(said)


def _write(inside: IO[bytes], path: Path) -> Part:
    """Write a part for its owner alone, down to the disk; return what it turned out to be."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest, length = hashlib.sha256(), 0
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        while chunk := inside.read(CHUNK):
            digest.update(chunk)
            length += file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return Part(digest.hexdigest(), length)


def _chunks(content: Content) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


class Reading(io.RawIOBase):
    """What an iterator yields, as a file to read from."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # RawIOBase.read hands in a bytearray of its own
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        length = min(len(buffer), len(self._rest))
        buffer[:length] = self._rest[:length]
        self._rest = self._rest[length:]
        return length
