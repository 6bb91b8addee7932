"""Which address of this machine is free."""

from __future__ import annotations

import random
import socket
from itertools import islice
from pathlib import Path

TLS = "https://"
USUAL_FIRST_OUTGOING = 32_768


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
    return f"127.0.0.1:{free_ports(1)[0]}"


def free_ports(count: int) -> list[int]:
    """Ports of loopback where nobody listens, and which the system gives to no outgoing connection.

    A server that was away for a moment has to find its port free again. Were it one of the others, any connection from
    this machine could have taken it meanwhile; a client that asks for it in vain can even be given it, and meet itself.
    """
    end = first_outgoing()
    numbers = range(max(end - 10_000, 1024), end)
    free = (port for port in random.sample(numbers, len(numbers)) if is_free(f"127.0.0.1:{port}"))
    return list(islice(free, count))


def first_outgoing() -> int:
    """Where the ports of outgoing connections begin; Linux says it, others begin no lower."""
    # Source: ip(7), ip_local_port_range. A machine that gives out nearly all of them is asked for the usual ones.
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        return USUAL_FIRST_OUTGOING
    return first if first > 2048 else USUAL_FIRST_OUTGOING


def url_of(written: str) -> str:
    """The URL of what `dtrove up` wrote down: `host:port`, behind `https://` where the API speaks TLS."""
    address = written.strip()
    scheme, tls = ("https://", True) if address.startswith(TLS) else ("http://", False)
    host, _, port = (address.removeprefix(TLS) if tls else address).rpartition(":")
    return f"{scheme}{'127.0.0.1' if host in ('', '0.0.0.0', '*') else host}:{port}"  # noqa: S104
