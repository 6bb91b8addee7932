"""How a stream is cut into parts, of which an object store takes so many and no more."""

from __future__ import annotations

import math
from dataclasses import dataclass

from services.datastore_agentless.backup_stores.base import MB

SPARE_PARTS = 8


@dataclass(frozen=True)
class Cut:
    """How a stream is cut: into `count` parts at most, of `part_bytes`."""

    part_bytes: int
    count: int


def cut(stream_bytes: int, least: int, most: int) -> Cut:
    """Parts of `least` bytes, larger ones where `most` of these would not do; and some to spare.

    What cannot be compressed grows: by a ten-thousandth in zstd, and 16 bytes for each 64 KB in age. Estimates do more.
    """
    expected = max(1, math.ceil(stream_bytes * 1.05))
    size = max(least, math.ceil(expected / (most - SPARE_PARTS) / MB) * MB)
    return Cut(size, math.ceil(expected / size) + SPARE_PARTS)
