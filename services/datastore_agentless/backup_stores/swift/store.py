"""A container: `<prefix>/<key>/<token>/part-000001` and so on, `backup.zst.age`, which is all of them, and `manifest.json`.

Nodes bring each part by a URL of its own, to a folder that belongs to one beginning: what an earlier one still sends touches nothing of
it. Source: Swift's middleware `slo`: a static large object names its segments with sizes and MD5 sums, which Swift itself looks at when
it is made; it has at most 1,000 of them, of at most 5 GB each.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence

from services.datastore_agentless.backup_stores.base import MB, BackupStore, Content, Damaged, Fetching, Part, Sending
from services.datastore_agentless.backup_stores.cutting import Cut, cut
from services.datastore_agentless.backup_stores.swift.container import Container, Seen
from services.datastore_agentless.backup_stores.swift.place import SwiftPlace
from shared.errors import Failure, NotFound
from shared.secrets import Secret

STREAM, MANIFEST = "backup.zst.age", "manifest.json"
MOST_PARTS, LARGEST_PART = 1000, 5 * 1024 * MB
# As long as a transfer may take, and what it may have waited before.
URL_SECONDS = 36 * 3600
# Who reads begins at once, and asks again where a line breaks.
READER_SECONDS = 3600


class SwiftStore(BackupStore):
    """Backups at one place of a Swift."""

    def __init__(self, name: str, place: SwiftPlace, *, part_bytes: int = 64 * MB) -> None:
        super().__init__(name)
        self.place, self.part_bytes = place, part_bytes
        self._container = Container(name, place)

    def begin(self, key: str, stream_bytes: int, token: str = "") -> Sending:
        chosen = self._cut(stream_bytes)
        if not token:
            self._make_room(key)
            token = secrets.token_hex(8)
        signer = self._container.signer("PUT", URL_SECONDS)
        urls = [signer.url(self._part(key, token, number)) for number in range(1, chosen.count + 1)]
        return Sending(chosen.part_bytes, Secret("\n".join(urls)), token)

    def finish(self, key: str, token: str, parts: Sequence[Part], manifest: bytes) -> None:
        names = [self._part(key, token, part.number) for part in parts]
        if parts:
            self._see(key, names, parts, by_sum=True)
            self._container.put(self._of(key, STREAM), self._segments(names, parts), **{"multipart-manifest": "put"})
        kept = {*names, self._of(key, MANIFEST), *([self._of(key, STREAM)] if parts else [])}
        self._drop(name for name in self._container.listed(self._of(key, "")) if name not in kept)
        self._container.put(self._of(key, MANIFEST), manifest)

    def abandon(self, key: str, token: str) -> None:
        # Whoever heard nothing of a `finish` that came to its end would take a whole backup's parts away.
        if token and self._container.look(self._of(key, MANIFEST)) is None:
            self._drop(self._container.listed(self._of(key, f"{token}/")))

    def fetching(self, key: str, parts: Sequence[Part]) -> Fetching:
        if not parts:
            return Fetching(())
        names = self._there(key, parts)
        signer = self._container.signer("GET", URL_SECONDS)
        return Fetching(tuple(parts), Secret("\n".join(signer.url(name) for name in names)))

    def content(self, key: str, parts: Sequence[Part], name: str) -> Content:
        if not parts:
            return Content()
        self._there(key, parts)
        return Content(Secret(self._container.signer("GET", READER_SECONDS).url(self._of(key, STREAM), filename=name)))

    def manifest(self, key: str) -> bytes:
        return self._container.get(self._of(key, MANIFEST))

    def remove(self, key: str) -> None:
        first, last = self._of(key, MANIFEST), self._of(key, STREAM)
        # The large object says what its parts are called, also where they are not listed: so it goes after them.
        names = {*self._container.listed(self._of(key, "")), *self._names(key)} - {first, last}
        self._drop((first, *sorted(names), last))

    def reach(self) -> None:
        self._container.signer("PUT", 1)
        self._container.put(self._of("", ".reach"), b"")
        self._container.delete(self._of("", ".reach"))

    def _cut(self, stream_bytes: int) -> Cut:
        chosen = cut(stream_bytes, self.part_bytes, MOST_PARTS)
        if chosen.part_bytes > LARGEST_PART:
            raise Failure(f"{stream_bytes / MB:,.0f} MB are more than the store {self.name} takes as one backup: Swift puts at most "
                          f"{MOST_PARTS:,} parts of 5 GB together", what_to_do="name a store of another kind")  # fmt: skip
        return chosen

    def _of(self, key: str, name: str) -> str:
        return "/".join([*filter(None, (self.place.prefix, key)), name])

    def _part(self, key: str, token: str, number: int) -> str:
        return self._of(key, f"{token}/part-{number:06d}")

    def _segments(self, names: Sequence[str], parts: Sequence[Part]) -> bytes:
        listed = [
            {"path": f"/{self.place.container}/{name}", "etag": part.tag, "size_bytes": part.size}
            for name, part in zip(names, parts, strict=True)
        ]
        return json.dumps(listed).encode()

    def _names(self, key: str) -> list[str]:
        """What the parts of a finished backup are called, in order; none where there is none."""
        try:
            told = json.loads(self._container.get(self._of(key, STREAM), **{"multipart-manifest": "get"}))
        except NotFound:
            return []
        return [str(one["name"]).removeprefix(f"/{self.place.container}/") for one in told]

    def _there(self, key: str, parts: Sequence[Part]) -> list[str]:
        """What the parts are called. Raises Damaged where one is missing, or is not as large as it was; Failure where the container is."""
        names = self._names(key)
        if len(names) != len(parts):
            self._container.see()
            raise Damaged(f"the backup {key} is missing in the store {self.name}, or has other parts there", key=key)
        self._see(key, names, parts, by_sum=False)
        return names

    def _see(self, key: str, names: Sequence[str], parts: Sequence[Part], *, by_sum: bool) -> None:
        listed = self._container.listed(self._of(key, ""))
        for name, part in zip(names, parts, strict=True):
            seen = listed.get(name)
            if not _is_as(part, seen, by_sum):
                # The listing follows what is there at its own pace.
                seen = self._container.look(name)
            if not _is_as(part, seen, by_sum):
                what = "is missing" if seen is None else "is not as the node has sent it"
                raise Damaged(f"part {part.number} of the backup {key} {what} in the store {self.name}", key=key,
                              what_to_do="back up once more")  # fmt: skip

    def _make_room(self, key: str) -> None:
        """Nothing of an earlier try may pass for this one's. Raises Failure where that has become a backup."""
        if self._container.look(self._of(key, MANIFEST)) is not None:
            raise Failure(f"the backup {key} is whole already; nothing is written over it")
        self.remove(key)

    def _drop(self, names: Iterable[str]) -> None:
        for name in names:
            self._container.delete(name)


def _is_as(part: Part, seen: Seen | None, by_sum: bool) -> bool:
    return seen is not None and seen.size == part.size and (not by_sum or seen.etag == part.tag)
