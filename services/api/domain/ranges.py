"""Which bytes of a file are asked for. Source: RFC 9110, sections 13.1.5 and 14."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ONE = re.compile(r"bytes=\s*(\d{0,19})\s*-\s*(\d{0,19})\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Span:
    """Bytes `first` to `last`, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """How many these are."""
        return self.last - self.first + 1


class NoSuchBytes(Exception):
    """None of what is asked for is in the file."""


def wanted(header: str | None, size: int) -> Span | None:
    """What a `Range` header asks for; None for all of it, also where the header says what nobody has to understand, as several ranges.

    Raises NoSuchBytes.
    """
    found = _ONE.fullmatch(header or "")
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        span = Span(max(0, size - int(last)), size - 1)
    elif last and int(last) < int(first):
        return None
    else:
        span = Span(int(first), min(int(last or size), size - 1))
    if span.first >= size or span.length <= 0:
        raise NoSuchBytes
    return span
