"""The record of what ran on hosts, with every known secret masked: the one place where masking happens."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from shared.contracts.values import TranscriptEntry
from shared.secrets import Secret

MASK = "***"
KEEP = 4_000
MIN_SECRET = 4


@dataclass
class Transcript:
    """Collects entries and hands each to `sink` as it ends. `secrets` are masked wherever they turn up."""

    host: str
    sink: Callable[[TranscriptEntry], None] | None = None
    secrets: Iterable[Secret] = ()
    entries: list[TranscriptEntry] = field(default_factory=list)
    _known: set[str] = field(default_factory=set)
    # The same by the alphabet and by length, longest first: a backup's node may be given ten thousand URLs.
    _sorted: list[str] = field(default_factory=list)
    _by_length: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for secret in self.secrets:
            self.learn(secret)

    def learn(self, value: object) -> None:
        """Mask this value from now on, if it is a Secret (each of its lines by itself)."""
        if not isinstance(value, Secret):
            return
        fresh = {line for line in value.reveal().splitlines() if len(line) >= MIN_SECRET} - self._known
        if fresh:
            self._known |= fresh
            self._sorted = sorted(self._known)
            self._by_length = sorted(self._known, key=len, reverse=True)

    def mask(self, text: str) -> str:
        """The text without any secret."""
        for secret in self._by_length:
            text = text.replace(secret, MASK)
        return text

    def held_back(self, text: str) -> int:
        """How many characters at the end of a stream's piece may be the beginning of a secret, to be told with the next."""
        longest = len(self._by_length[0]) if self._by_length else 0
        for size in range(min(len(text), longest - 1), 0, -1):
            # What begins with the end of the text comes right at its place in the alphabet, or nothing does.
            place = bisect_left(self._sorted, text[-size:])
            if place < len(self._sorted) and self._sorted[place].startswith(text[-size:]):
                return size
        return 0

    def record(self, entry: TranscriptEntry) -> None:
        """Keep an entry, masked and cut to size, and pass it on."""
        masked = TranscriptEntry(
            sequence=len(self.entries) + 1, host=self.host, command=self.mask(entry.command)[-KEEP:],
            started_at=entry.started_at, seconds=entry.seconds, exit_code=entry.exit_code,
            stdout=self.mask(entry.stdout)[-KEEP:], stderr=self.mask(entry.stderr)[-KEEP:], title=self.mask(entry.title),
        )  # fmt: skip
        self.entries.append(masked)
        if self.sink:
            self.sink(masked)
