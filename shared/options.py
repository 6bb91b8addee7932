"""Options that several services have, and what the values of options may be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from shared.broker import read_uris
from shared.config import option
from shared.errors import Failure
from shared.secrets import keyring_path, read_keyring

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
LOOPBACK = ("localhost", "::1", "[::1]")
_DRIVERS = ("sqlite", "sqlite+pysqlite", "postgresql", "postgres", "postgresql+psycopg2")


_HOST = re.compile(r"(?:(?P<user>[^@\s]+)@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^@:\s\[\]]+)(?::(?P<port>\d{1,5}))?")
# libpq's, from careless to careful.
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


@dataclass(frozen=True)
class Jump:
    """A host to go through."""

    user: str
    host: str
    port: int = 22

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}"


def database_url(name: str, whose: str) -> Any:
    """The option for a service's own database."""
    return option(name, f"where {whose} database is, as an SQLAlchemy URL: SQLite, or PostgreSQL through psycopg2",
                  parse=parse_database_url, warn=_warn_plain_database)  # fmt: skip


def amqp_uri() -> Any:
    """The option for the broker."""
    return option(
        "AMQP_URI", "RabbitMQ, as amqp://user:password@host:port/vhost, with TLS as amqps://...?cacertfile=/ca.pem (also certfile, "
        "keyfile, verify, server_name_indication), the nodes of a cluster one after the other with ; between; `dtrove up` runs "
        "one where none is named",
        parse=parse_amqp_uri, warn=_warn_plain_broker,
    )  # fmt: skip


def home() -> Any:
    """The option for the installation's directory."""
    return option("DTROVE_HOME", "directory where a local installation keeps all its files", default="var")


def keyring() -> Any:
    """The option for the keyring."""
    return option("DTROVE_KEYRING", "file with the keys that seal stored secrets, newest first; "
                                    "empty: `keyring` in DTROVE_HOME", default="")  # fmt: skip


def log_level() -> Any:
    """The option for the log."""
    return option("DTROVE_LOG_LEVEL", "least weight of what is logged: DEBUG, INFO, WARNING or ERROR", default="INFO",
                  parse=one_of(*LEVELS, upper=True), warn=_warn_debug)  # fmt: skip


def keyring_is_wrong(chosen: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Rule: the keyring is there and holds keys."""
    try:
        read_keyring(keyring_path(chosen["DTROVE_KEYRING"], chosen["DTROVE_HOME"]))
    except Failure as error:
        yield "DTROVE_KEYRING", f"{error.message}; {error.what_to_do}"


def sqlite_is_unwise(name: str, chosen: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Rule: a broker elsewhere means that replicas may be meant, and SQLite cannot serve them."""
    url, broker = str(chosen.get(name, "")), str(chosen.get("AMQP_URI", ""))
    if url.startswith("sqlite") and broker and not all(is_loopback(node.host) for node in read_uris(broker)):
        yield name, "SQLite serves one process on one machine; replicas of a service need PostgreSQL"


def parse_database_url(raw: Any) -> str:
    """A URL that this project has a driver for. Raises ValueError with a sentence."""
    try:
        url = make_url(str(raw))
    except ArgumentError:
        raise ValueError(
            "is no database URL; it should read like sqlite:///path or postgresql://user:password@host/name"
        ) from None
    if url.drivername not in _DRIVERS:
        # psycopg 3 and others wait without letting the process's other work go on.
        raise ValueError(f"the driver {url.drivername!r} is not supported: use sqlite or postgresql+psycopg2")
    if not url.database or url.database == ":memory:":
        raise ValueError("names no database: a file for SQLite, a database's name for PostgreSQL")
    if (mode := url.query.get("sslmode")) is not None and mode not in SSL_MODES:
        raise ValueError(f"has the unknown sslmode {str(mode)!r}: known are {', '.join(SSL_MODES)}")
    return str(raw)


def parse_amqp_uri(raw: Any) -> str:
    """A broker's URI, or those of its nodes. Raises ValueError with a sentence."""
    read_uris(str(raw))
    return str(raw)


def parse_jump(raw: Any) -> Jump:
    """Read `[user@]host[:port]`. Raises ValueError with a sentence."""
    found = _HOST.fullmatch(str(raw).strip())
    if found is None or not 0 < int(found["port"] or 22) < 65536:
        raise ValueError(f"{str(raw)!r} is not [user@]host[:port]")
    return Jump(found["user"] or "root", found["host"].strip("[]"), int(found["port"] or 22))


def parse_address(raw: Any) -> str:
    """`host:port`; no host means every interface. Raises ValueError with a sentence."""
    _, _, port = str(raw).rpartition(":")
    if ":" not in str(raw) or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{raw!r} is not host:port")
    return str(raw)


def one_of(*values: str, upper: bool = False) -> Callable[[Any], str]:
    """A parser for a closed set."""

    def parse(raw: Any) -> str:
        text = str(raw).upper() if upper else str(raw)
        if text not in values:
            raise ValueError(f"{str(raw)!r} is none of {', '.join(values)}")
        return text

    return parse


def whole(low: int, high: int) -> Callable[[Any], int]:
    """A parser for a whole number from `low` to `high`."""

    def parse(raw: Any) -> int:
        text = str(raw).strip()
        if not text.removeprefix("-").isdigit() or not low <= int(text) <= high:
            raise ValueError(f"{raw!r} is not a whole number from {low} to {high}")
        return int(text)

    return parse


def existing_file(raw: Any) -> str:
    """A file that can be read. Raises ValueError with a sentence."""
    path = Path(str(raw)).expanduser()
    try:
        path.open("rb").close()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    return str(path)


def is_loopback(host: str) -> bool:
    """Whether a host name means this machine only."""
    return host in LOOPBACK or host.startswith("127.")


def _warn_plain_broker(uri: str) -> str:
    open_to_all = [node for node in read_uris(uri) if not node.verified and not is_loopback(node.host)]
    if not open_to_all:
        return ""
    if all(node.tls for node in open_to_all):
        return "whoever stands between can pass for the broker: verify_none checks nothing"
    return "the broker's password and every message travel in clear: use amqps://"


def _warn_plain_database(url: str) -> str:
    parsed = make_url(url)
    mode = parsed.query.get("sslmode", "")
    if not parsed.host or parsed.host.startswith("/") or is_loopback(parsed.host) or mode == "verify-full":
        return ""
    if mode in ("require", "verify-ca"):
        return "whoever stands between can pass for the database: sslmode=verify-full checks its name as well"
    return "the database may be spoken to in clear: add ?sslmode=verify-full&sslrootcert=/path/to/ca.pem"


def _warn_debug(level: str) -> str:
    return "the log grows fast" if level == "DEBUG" else ""
