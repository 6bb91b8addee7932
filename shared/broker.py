"""A broker's URI, with RabbitMQ's own words for TLS behind the question mark; of a cluster, its nodes' with `;` between.

Source: RabbitMQ's documentation, "URI Query Parameters": cacertfile, certfile, keyfile, verify, server_name_indication.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

BETWEEN = ";"
SCHEMES, TLS_SCHEME = ("amqp", "amqps", "pyamqp"), "amqps"
PORT, TLS_PORT = 5672, 5671
FILES = {"cacertfile": "ca_certs", "certfile": "certfile", "keyfile": "keyfile"}
VERIFY, NAME = "verify", "server_name_indication"
KNOWN = (*FILES, VERIFY, NAME)


@dataclass(frozen=True)
class Broker:
    """Where it is, or one node of it, as `uri` without words for TLS, and `tls` as the AMQP library wants it: None for no TLS."""

    uri: str = field(repr=False)
    host: str
    port: int
    tls: dict[str, Any] | None = None

    @property
    def verified(self) -> bool:
        """Whether nobody else can pass for it."""
        return self.tls is not None and self.tls["cert_reqs"] == ssl.CERT_REQUIRED


def read_uris(text: str) -> tuple[Broker, ...]:
    """The nodes of a broker, mostly one. Raises ValueError with a sentence."""
    return tuple(read_uri(one.strip()) for one in text.split(BETWEEN))


def read_uri(text: str) -> Broker:
    """Take a node's URI apart. Raises ValueError with a sentence."""
    parts = urlsplit(text)
    if parts.scheme not in SCHEMES or not parts.hostname:
        raise ValueError("is no broker's URI; it should read like amqp://user:password@host:5672/vhost")
    words = dict(parse_qsl(parts.query, keep_blank_values=True))
    if wrong := sorted(set(words) - set(KNOWN)):
        raise ValueError(
            f"has unknown words behind the question mark: {', '.join(wrong)}; known are {', '.join(KNOWN)}"
        )
    if words and parts.scheme != TLS_SCHEME:
        raise ValueError(f"has words for TLS ({', '.join(sorted(words))}), so it has to begin with amqps://")
    tls = _tls(words, parts.hostname) if parts.scheme == TLS_SCHEME else None
    uri = urlunsplit(parts._replace(query="", fragment=""))
    return Broker(uri, parts.hostname, parts.port or (TLS_PORT if tls else PORT), tls)


def _tls(words: dict[str, str], host: str) -> dict[str, Any]:
    """The server's certificate is checked, and its name, unless `verify_none` is said."""
    if words.get(VERIFY, "verify_peer") not in ("verify_peer", "verify_none"):
        raise ValueError("has another word for `verify` than verify_peer or verify_none")
    if ("certfile" in words) != ("keyfile" in words):
        raise ValueError("names a certificate without its key, or a key alone: certfile and keyfile go together")
    for word in FILES:
        if word in words:
            _can_be_read(word, words[word])
    checked = words.get(VERIFY) != "verify_none"
    name = {"server_hostname": words.get(NAME) or host} if checked else {}
    return {
        **{FILES[word]: words[word] for word in FILES if word in words}, **name,
        "cert_reqs": ssl.CERT_REQUIRED if checked else ssl.CERT_NONE, "tls_minimum_version": ssl.TLSVersion.TLSv1_2,
    }  # fmt: skip


def _can_be_read(word: str, path: str) -> None:
    try:
        with open(path, "rb"):  # noqa: PTH123
            return
    except OSError as error:
        raise ValueError(f"names the {word} {path}, which cannot be read: {error.strerror}") from error
