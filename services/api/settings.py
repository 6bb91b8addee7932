"""What the API can be told."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from services.api.domain.limits import BODY_BYTES, Limits
from services.api.identity.policy_file import parse_policy_file
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


def parse_proxies(raw: Any) -> tuple[str, ...]:
    """Addresses, with blanks between them. Raises ValueError with a sentence."""
    return tuple(str(ip_address(one)) for one in str(raw).split())


PLAIN = "the API speaks plain HTTP to whoever reaches this address, and tokens travel on it: set DTROVE_TLS_CERT_FILE and " \
        "DTROVE_TLS_KEY_FILE, or put a TLS proxy in front"  # fmt: skip


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
        parse=options.parse_address,
    )  # fmt: skip
    tls_cert_file: str = option(
        "DTROVE_TLS_CERT_FILE", "certificate of the API, with its chain, in PEM; the API then speaks TLS", default="",
        parse=options.existing_file,
    )  # fmt: skip
    tls_key_file: str = option(
        "DTROVE_TLS_KEY_FILE", "the certificate's private key, in PEM, without a passphrase", default="",
        parse=options.existing_file,
    )  # fmt: skip
    rate_per_token: float = option(
        "DTROVE_RATE_PER_TOKEN", "requests a second that one token may make, five times as many at once; 0: no limit",
        default=200.0,
    )  # fmt: skip
    rate_per_project: float = option(
        "DTROVE_RATE_PER_PROJECT", "the same for one project, whoever of it asks", default=400.0
    )
    rate_per_address: float = option(
        "DTROVE_RATE_PER_ADDRESS", "the same for one address, whatever its tokens, also without one", default=500.0
    )
    at_once_per_token: int = option(
        "DTROVE_AT_ONCE_PER_TOKEN", "requests of one token that are worked on at the same time; 0: no limit", default=24
    )
    streams_per_token: int = option(
        "DTROVE_STREAMS_PER_TOKEN", "streams (`follow=true`) that one token may have open; 0: no limit", default=64
    )
    max_body_kb: int = option(
        "DTROVE_MAX_BODY_KB", "the largest body of a request, in KiB", default=BODY_BYTES // 1024,
        parse=options.whole(1, 65_536),
    )  # fmt: skip
    max_connections: int = option(
        "DTROVE_MAX_CONNECTIONS", "connections to the API at a time; more wait", default=512,
        parse=options.whole(1, 65_536),
    )  # fmt: skip
    connections_per_address: int = option(
        "DTROVE_CONNECTIONS_PER_ADDRESS", "of these, from one address", default=256, parse=options.whole(1, 65_536)
    )
    request_seconds: float = option(
        "DTROVE_REQUEST_SECONDS",
        "seconds that a request's headers, and then its body, may take to arrive",
        default=30.0,
    )
    proxies: tuple[str, ...] = option(
        "DTROVE_PROXIES", "addresses of proxies before the API, with blanks between them: their X-Forwarded-For says for whom "
        "they ask, and they may have any number of connections", default=(), parse=parse_proxies,
    )  # fmt: skip
    open_paths: tuple[str, ...] = option(
        "DTROVE_OPEN_PATHS", "paths that need no token, with blanks between them; `none` closes them all",
        default=OPEN_PATHS, parse=parse_open_paths,
    )  # fmt: skip
    metrics_token_hash: str = option(
        "DTROVE_METRICS_TOKEN_HASH", "SHA-256 (hex) of a token that sees the nodes of all projects at /metrics, and can do nothing "
        "else; empty: only an administrator's token does", default="", parse=parse_hash,
    )  # fmt: skip
    stuck_seconds: float = option(
        "DTROVE_STUCK_SECONDS", "an open operation of which nobody has spoken for so many seconds counts as stuck",
        default=600.0,
    )  # fmt: skip
    console: bool = option("DTROVE_CONSOLE", "whether the web console is served, at /", default=True)
    session_minutes: int = option(
        "DTROVE_SESSION_MINUTES", "minutes that a session of the console lasts from its sign-in", default=480,
        parse=options.whole(1, 44_640),
    )  # fmt: skip
    keystone_url: str = option(
        "DTROVE_KEYSTONE_URL", "OpenStack's identity service, whose tokens count in X-Auth-Token; empty: only DTrove's own do",
        default="",
    )  # fmt: skip
    keystone_cacert: str = option(
        "DTROVE_KEYSTONE_CACERT", "a PEM file with the authority that has signed Keystone's certificate", default="",
        parse=options.existing_file,
    )  # fmt: skip
    keystone_seconds: float = option(
        "DTROVE_KEYSTONE_SECONDS", "seconds for which Keystone's word on a token counts; so long a revoked one works on",
        default=30.0,
    )  # fmt: skip
    policy_file: str = option(
        "DTROVE_POLICY_FILE", "YAML file with rules in oslo.policy's language for the roles reader, member and admin",
        default="", parse=parse_policy_file,
    )  # fmt: skip
    log_level: str = options.log_level()

    @property
    def limits(self) -> Limits:
        """What one client may ask."""
        return Limits(
            per_token=self.rate_per_token, per_project=self.rate_per_project, per_address=self.rate_per_address, at_once=self.at_once_per_token,
            streams=self.streams_per_token, body_bytes=self.max_body_kb * 1024, proxies=self.proxies,
        )  # fmt: skip

    @staticmethod
    def wrong_together(chosen: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """The keyring must be there; a certificate needs its key."""
        yield from options.keyring_is_wrong(chosen)
        certificate, key = chosen.get("DTROVE_TLS_CERT_FILE", ""), chosen.get("DTROVE_TLS_KEY_FILE", "")
        if bool(certificate) != bool(key):
            yield "DTROVE_TLS_CERT_FILE", "a certificate and its key go together: set both, or none"

    @staticmethod
    def unwise_together(chosen: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """SQLite beside a broker for many; tokens that travel in clear."""
        if not options.is_loopback(
            str(chosen.get("WEB_SERVER_ADDRESS", "localhost:0")).rpartition(":")[0]
        ) and not chosen.get("DTROVE_TLS_CERT_FILE"):
            yield "WEB_SERVER_ADDRESS", PLAIN
        yield from options.sqlite_is_unwise("API_DATABASE_URL", chosen)
