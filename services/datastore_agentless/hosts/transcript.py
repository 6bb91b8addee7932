"""The record of what ran on hosts, with every known secret masked: the one place where masking happens."""

from __future__ import annotations

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

    def __post_init__(self) -> None:
        for secret in self.secrets:
            self.learn(secret)

    def learn(self, value: object) -> None:
        """Mask this value from now on, if it is a Secret (each of its lines by itself)."""
        if isinstance(value, Secret):
            self._known.update(line for line in value.reveal().splitlines() if len(line) >= MIN_SECRET)

    def mask(self, text: str) -> str:
        """The text without any secret."""
        for secret in sorted(self._known, key=len, reverse=True):
            text = text.replace(secret, MASK)
        return text

    def held_back(self, text: str) -> int:
        """How many characters at the end of a stream's piece may be the beginning of a secret, to be told with the next."""
        longest = max((len(secret) for secret in self._known), default=0)
        for size in range(min(len(text), longest - 1), 0, -1):
            if any(secret.startswith(text[-size:]) for secret in self._known):
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
