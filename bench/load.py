"""One client: asks for the same page over and over on one connection; started by bench.parts.pages.

`python -m bench.load HOST PORT PATH SECONDS` reads the token from standard input's first line, says `ready`, waits for a
second line, and prints the milliseconds of each answer as JSON. It does as little as it can: it shares the machine.
"""

from __future__ import annotations

import json
import socket
import sys
import time

WARM_UP = 20


class Connection:
    """A kept-alive connection with one request to send."""

    def __init__(self, host: str, port: int, path: str, token: str) -> None:
        self._socket = socket.create_connection((host, port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n\r\n"
        self._request = head.encode()

    def ask(self) -> bytes:
        """Send the request; return the answer's body. Raises ValueError for any status but 200."""
        self._socket.sendall(self._request)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._more()
        head, _, body = received.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise ValueError(f"answered {head[:200]!r}")
        length = next(
            int(line.split(b":")[1]) for line in head.lower().splitlines() if line.startswith(b"content-length")
        )
        while len(body) < length:
            body += self._more()
        return body

    def _more(self) -> bytes:
        piece = self._socket.recv(65_536)
        if not piece:
            raise ValueError("the connection was closed")
        return piece


def main() -> None:
    """Ask for `SECONDS`."""
    host, port, path, seconds = sys.argv[1:]
    connection = Connection(host, int(port), path, sys.stdin.readline().strip())
    for _ in range(WARM_UP):
        connection.ask()
    print("ready", flush=True)
    sys.stdin.readline()
    taken = []
    now = time.perf_counter()
    until = now + float(seconds)
    while now < until:
        connection.ask()
        before, now = now, time.perf_counter()
        taken.append(round(1000 * (now - before), 3))
    json.dump(taken, sys.stdout)


if __name__ == "__main__":
    main()
