"""What the command line can be told. It reads the environment itself; config.yaml is for the services."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from shared.config import option
from shared.options import existing_file, is_loopback
from shared.secrets import Secret


def parse_url(raw: Any) -> str:
    """A URL of HTTP. Raises ValueError with a sentence."""
    parts = urlsplit(str(raw))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{str(raw)!r} is no URL; it should read like https://dtrove.example:8780")
    return str(raw).rstrip("/")


def warn_plain(url: str) -> str:
    """Say what it means to speak plain HTTP over a network."""
    parts = urlsplit(url)
    if parts.scheme == "https" or not url or is_loopback(parts.hostname or ""):
        return ""
    return "the token travels over the network in clear: use https"


def warn_token(token: Secret) -> str:
    """Say who can read the environment."""
    return "a token in the environment is handed on to every program that is started from here" if token else ""


@dataclass(frozen=True)
class Settings:
    """One field per option."""

    url: str = option("DTROVE_URL", "where the API answers; empty: the address that `dtrove up` chose here", default="",
                      parse=parse_url, warn=warn_plain)  # fmt: skip
    token: Secret = option(
        "DTROVE_TOKEN", "the token to come with; empty: the one that `dtrove init` left in DTROVE_HOME",
        default=Secret(""), secret=True, warn=warn_token,
    )  # fmt: skip
    ca_file: str = option(
        "DTROVE_CA_FILE", "certificates, in PEM, of the authority that has signed the API's; empty: those that Python trusts",
        default="", parse=existing_file,
    )  # fmt: skip
    home: str = option(
        "DTROVE_HOME", "directory of the local installation; empty: `var` beside config.yaml", default=""
    )
    config: str = option("DTROVE_CONFIG", "the configuration file of the services; empty: the config.yaml that came along",
                         default="")  # fmt: skip
