"""Which address of this machine is free."""

from __future__ import annotations

import socket

TLS = "https://"


def is_free(address: str) -> bool:
    """Whether nobody listens at `host:port`."""
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError:
            return False
    return True


def any_free() -> str:
    """A `host:port` on loopback where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def url_of(written: str) -> str:
    """The URL of what `dtrove up` wrote down: `host:port`, behind `https://` where the API speaks TLS."""
    address = written.strip()
    scheme, tls = ("https://", True) if address.startswith(TLS) else ("http://", False)
    host, _, port = (address.removeprefix(TLS) if tls else address).rpartition(":")
    return f"{scheme}{'127.0.0.1' if host in ('', '0.0.0.0', '*') else host}:{port}"  # noqa: S104
