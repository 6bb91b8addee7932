"""A file in parts that lie beside the API, handed out as one, whole or some of its bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.api.domain.ranges import Span
from shared.errors import Conflict

BLOCK = 256 * 1024


@dataclass(frozen=True)
class Filed:
    """The parts, one after the other, and how long each is."""

    parts: Sequence[tuple[Path, int]]

    @classmethod
    def found(cls, files: Sequence[str], size: int, store: str) -> Filed:
        """These files, which have `size` bytes together. Raises Conflict where they are not all here."""
        try:
            parts = [(Path(name), Path(name).stat().st_size) for name in files]
        except OSError as error:
            raise Conflict(
                f"the store {store} is a folder that the API does not see: {error.strerror}",
                what_to_do="let the API see that folder in the same place, or export to a store that speaks S3",
            ) from error
        if sum(length for _, length in parts) != size:
            raise Conflict(f"what the store {store} has of it is not as large as it was", what_to_do="export once more")
        return cls(parts)

    def read(self, span: Span) -> Iterator[bytes]:
        """These bytes, in blocks: whoever takes them slowly keeps nobody else waiting."""
        begin = 0
        for path, length in self.parts:
            first, last = max(span.first, begin), min(span.last, begin + length - 1)
            if first <= last:
                yield from _blocks(path, first - begin, last - first + 1)
            begin += length


def _blocks(path: Path, skipped: int, rest: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(skipped)
        while rest > 0 and (block := file.read(min(BLOCK, rest))):
            rest -= len(block)
            yield block
