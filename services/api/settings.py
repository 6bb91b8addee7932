"""What the API can be told."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared import options
from shared.config import option

OPEN_PATHS = ("/healthz", "/readyz", "/metrics", "/v1/openapi.json", "/docs")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def parse_hash(raw: Any) -> str:
    """A SHA-256 in hexadecimal digits. Raises ValueError with a sentence."""
    text = str(raw).strip().lower()
    if not _SHA256.fullmatch(text):
        raise ValueError("is no SHA-256: 64 hexadecimal digits are wanted, not the token itself")
    return text


def parse_open_paths(raw: Any) -> tuple[str, ...]:
    """Which of the paths that may be open are. Raises ValueError with a sentence."""
    chosen = tuple(str(raw).split())
    if chosen == ("none",):
        return ()
    if wrong := [path for path in chosen if path not in OPEN_PATHS]:
        raise ValueError(f"{', '.join(wrong)} always needs a token; only {', '.join(OPEN_PATHS)} can be open")
    return chosen


def warn_open(address: str) -> str:
    """Say what it means to listen for others."""
    host = address.rpartition(":")[0]
    if options.is_loopback(host):
        return ""
    return "the API speaks plain HTTP to whoever reaches this address: put a TLS proxy in front, tokens travel on it"


@dataclass(frozen=True)
class Settings:
    """One field per option."""

    database_url: str = options.database_url("API_DATABASE_URL", "the API's")
    amqp_uri: str = options.amqp_uri()
    keyring: str = options.keyring()
    home: str = options.home()
    max_cluster_size: int = option(
        "DTROVE_MAX_CLUSTER_SIZE", "the most nodes a cluster may have", default=5, parse=options.whole(1, 1000)
    )
    bootstrap_token_hash: str = option(
        "DTROVE_BOOTSTRAP_TOKEN_HASH",
        "SHA-256 (hex) of the first administrator's token, which the API takes in when it starts; `dtrove init` makes one",
        default="", parse=parse_hash,
    )  # fmt: skip
    web_address: str = option(
        "WEB_SERVER_ADDRESS", "host:port where the API listens", default="127.0.0.1:8780",
        parse=options.parse_address, warn=warn_open,
    )  # fmt: skip
    open_paths: tuple[str, ...] = option(
        "DTROVE_OPEN_PATHS", "paths that need no token, with blanks between them; `none` closes them all",
        default=OPEN_PATHS, parse=parse_open_paths,
    )  # fmt: skip
    stuck_seconds: float = option(
        "DTROVE_STUCK_SECONDS", "an open operation of which nobody has spoken for so many seconds counts as stuck",
        default=600.0,
    )  # fmt: skip
    log_level: str = options.log_level()

    @staticmethod
    def wrong_together(chosen: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """The keyring must be there."""
        yield from options.keyring_is_wrong(chosen)

    @staticmethod
    def unwise_together(chosen: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """SQLite beside a broker for many."""
        yield from options.sqlite_is_unwise("API_DATABASE_URL", chosen)
