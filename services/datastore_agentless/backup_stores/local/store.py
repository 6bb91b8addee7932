"""A folder beside DTrove: `<folder>/<key>/part-000001` and so on, and last of all `manifest.json`.

Until a backup is finished, a part's name ends in the sum that its node has noted: a part that an earlier try left behind cannot
pass for this one's.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from services.datastore_agentless.backup_stores.base import MB, BackupStore, Content, Damaged, Fetching, Part, Sending
from services.datastore_agentless.backup_stores.local.carrying import Errand, carrying
from services.datastore_agentless.backup_stores.local.disk import on_disk, write
from services.datastore_agentless.hosts.base import Target
from services.datastore_agentless.hosts.simulated import is_simulated
from shared.errors import Failure, NotFound

# Where on a node parts wait for a carrier.
SPOOLS = "/var/lib/dtrove/spools"
MANIFEST = "manifest.json"
_BEGUN = "begun"
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")


class LocalStore(BackupStore):
    """Backups in `folder`, which need not be there yet. `spools` is the folder on nodes that holds their spools."""

    def __init__(self, name: str, folder: Path, *, part_bytes: int = 64 * MB, spools: str = SPOOLS) -> None:
        super().__init__(name)
        self.folder, self.part_bytes, self._spools = folder, part_bytes, spools

    def begin(self, key: str, stream_bytes: int, token: str = "") -> Sending:
        place = self._place(key)
        if not token:
            if (place / MANIFEST).exists():
                raise Failure(f"the backup {key} is whole already; nothing is written over it")
            with self._trouble("make room for", key):
                _empty(place)
                place.mkdir(parents=True, mode=0o700)
        return Sending(self.part_bytes, token=_BEGUN, spool=self._spool("out", key))

    def finish(self, key: str, token: str, parts: Sequence[Part], manifest: bytes) -> None:
        place = self._place(key)
        with self._trouble("keep", key):
            for part in parts:
                if (came := place / came_as(part)).exists():
                    came.replace(place / called(part.number))
                self._see(key, part)
            write(place / MANIFEST, manifest)
            wanted = {MANIFEST, *(called(part.number) for part in parts)}
            for left in place.iterdir():
                if left.name not in wanted:
                    left.unlink()
            on_disk(place)

    def abandon(self, key: str, token: str) -> None:
        if not (self._place(key) / MANIFEST).exists():
            self.remove(key)

    def fetching(self, key: str, parts: Sequence[Part]) -> Fetching:
        for part in parts:
            self._see(key, part)
        sources = tuple(f"{key}/{called(part.number)}" for part in parts)
        return Fetching(tuple(parts), spool=self._spool("back", key), sources=sources)

    def content(self, key: str, parts: Sequence[Part], name: str) -> Content:
        for part in parts:
            self._see(key, part)
        return Content(files=tuple(str(self._place(key) / called(part.number)) for part in parts))

    def manifest(self, key: str) -> bytes:
        try:
            return (self._place(key) / MANIFEST).read_bytes()
        except FileNotFoundError as error:
            raise NotFound(f"the store {self.name} has no backup {key}") from error
        except OSError as error:
            raise Failure(f"the manifest of {key} cannot be read: {error.strerror}") from error

    def remove(self, key: str) -> None:
        place = self._place(key)
        with self._trouble("remove", key):
            # What has no manifest is no backup any more, should the rest take two tries.
            (place / MANIFEST).unlink(missing_ok=True)
            _empty(place)
        for above in place.parents:
            if above == self.folder:
                return
            with contextlib.suppress(OSError):
                above.rmdir()

    def reach(self) -> None:
        probe = self.folder / f".reach-{os.getpid()}"
        with self._trouble("write to", str(self.folder)):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write(probe, b"")
            probe.unlink()

    def carried(self, target: Target, key: str, way: Sending | Fetching) -> AbstractContextManager[Callable[[], None]]:
        if is_simulated(target.addr):
            return super().carried(target, key, way)
        if isinstance(way, Sending):
            errand = Errand(self._place(key), way.spool, way.spooled, part_bytes=way.part_bytes)
        else:
            errand = Errand(self.folder, way.spool, way.spooled, sources=way.sources)
        return carrying(target, errand)

    def _place(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise Failure(f"{key!r} is no key of a backup")
        return self.folder / key

    def _spool(self, way: str, key: str) -> str:
        return f"{self._spools}/{way}-{hashlib.sha256(f'{self.name} {key}'.encode()).hexdigest()[:24]}"

    def _see(self, key: str, part: Part) -> None:
        """Raises Damaged where a part is missing, or is not as large as it was."""
        with self._trouble("look at", key):
            try:
                size = (self._place(key) / called(part.number)).stat().st_size
            except FileNotFoundError as error:
                # A volume that was not mounted has nothing at all: that says nothing about what is on it.
                if next(self.folder.iterdir(), None) is None:
                    raise Failure(f"the store {self.name} is empty: there is nothing at {self.folder}",
                                  what_to_do="see that the volume which it lies on is mounted there, then retry") from error  # fmt: skip
                raise Damaged(f"part {part.number} of the backup {key} is missing in the store {self.name}", key=key,
                              what_to_do=f"see what became of {error.filename}; restore another backup") from error  # fmt: skip
        if size != part.size:
            raise Damaged(f"part {part.number} of the backup {key} has {size} bytes in the store {self.name} "
                          f"in place of {part.size}", key=key)  # fmt: skip

    @contextlib.contextmanager
    def _trouble(self, what: str, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Failure(f"the store {self.name} cannot {what} {key}: {error.strerror or error}",
                          what_to_do=f"see that there is room at {self.folder}, and that DTrove may write there") from error  # fmt: skip


def called(number: int) -> str:
    """The name of a part of a finished backup."""
    return f"part-{number:06d}"


def came_as(part: Part) -> str:
    """The name of a part before its backup is finished."""
    return f"{called(part.number)}.{part.sha256}"


def _empty(place: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(place)
