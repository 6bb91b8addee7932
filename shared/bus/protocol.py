"""HTTP as it is spoken before any application is asked: whom the server lets in, how long it waits, what it cannot read.

eventlet's server refuses what it cannot read with a bare line, and lets pass what a proxy before it may read otherwise: two
lengths, an encoding that it does not know. Here whatever is refused gets problem details (RFC 9457), and its connection is
closed, so that nothing behind it is taken for a request (RFC 9112, section 11.2).
"""

from __future__ import annotations

import json
import logging
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import eventlet
from eventlet.wsgi import HeaderLineTooLong, HeadersTooLarge, HttpProtocol

from shared.bus.certificate import Certificate

# The application answers for paths up to this.
LONGEST_LINE = 65_536
# A connection that is kept may lie idle for so long.
IDLE_SECONDS = 120.0
# What a client still sends is read for so long, and so much of it, or the system would drop the refusal on its way to him.
LINGER_SECONDS, LINGER_BYTES = 1.0, 1_048_576
log = logging.getLogger(__name__)


@dataclass
class Door:
    """How the server lets in. `certificate`: who comes must speak TLS.

    `connections` at a time, `per_address` of them from one address unless it is among `proxies`; a request has `seconds` to
    arrive, headers and body each.
    """

    certificate: Certificate | None = None
    connections: int = 512
    per_address: int = 256
    seconds: float = 30.0
    proxies: tuple[str, ...] = ()
    _inside: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def entered(self, address: str) -> Iterator[bool]:
        """Count a connection while it lasts; gives whether its address may have it."""
        self._inside[address] += 1
        try:
            yield address in self.proxies or self._inside[address] <= self.per_address
        finally:
            self._inside[address] -= 1
            if not self._inside[address]:
                del self._inside[address]


class Protocol(HttpProtocol):
    """One connection. `Protocol(door, ...)` serves it from its first byte to its end."""

    request: Any

    def __init__(self, door: Door, conn_state: Any, server: Any) -> None:
        self._door = door
        with door.entered(str(conn_state[0][0])) as self._welcome:
            try:
                super().__init__(conn_state, server)
            except OSError as error:
                # Gone, silent, or no speaker of TLS: there is nobody to answer.
                log.debug("the connection of %s ended: %s", conn_state[0][0], error)
                conn_state[1].close()

    def setup(self) -> None:
        if self._door.certificate is not None:
            context = self._door.certificate.context()
            with eventlet.Timeout(self._door.seconds, TimeoutError("no handshake in time")):
                self.request = context.wrap_socket(self.request, server_side=True)
            self.request.settimeout(self.server.socket_timeout)
        super().setup()

    def handle(self) -> None:
        if self._welcome:
            super().handle()
        else:
            self._refuse(
                429, "too many connections come from this address; close some, and keep the others for many requests"
            )

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what the standard library finds wrong with a request."""
        self._refuse(code, message or explain or "the request cannot be read")

    def _read_request_line(self) -> bytes:
        line = b""
        with eventlet.Timeout(IDLE_SECONDS, False):
            line = super()._read_request_line() or b""
        if len(line) >= LONGEST_LINE:
            self._refuse(414, f"the request's first line may have {LONGEST_LINE} bytes")
            return b""
        return line

    def parse_request(self) -> bool:
        """Read the headers; whether the request can be handed on."""
        try:
            with eventlet.Timeout(self._door.seconds, TimeoutError()):
                good = bool(super().parse_request())
        except (HeaderLineTooLong, HeadersTooLarge):
            return self._refuse(431, "a line of the headers, or all of them together, are too long")
        except TimeoutError:
            return self._refuse(408, f"the headers did not arrive within {self._door.seconds:g} s")
        words = self._ambiguity() if good else ""
        return self._refuse(400, words) if words else good

    def get_environ(self) -> dict[str, Any]:
        """The request for the application; its body has to arrive in time, or reading it raises TimeoutError."""
        environ: dict[str, Any] = super().get_environ()
        body, until = environ["eventlet.input"], time.monotonic() + self._door.seconds
        read = body.read

        def in_time(length: int | None = None) -> bytes:
            with eventlet.Timeout(max(0.0, until - time.monotonic()), TimeoutError("the body did not arrive in time")):
                return bytes(read(length))

        body.read = in_time
        return environ

    def _ambiguity(self) -> str:
        """What makes it uncertain where the request ends; empty where it is certain."""
        lengths = self.headers.get_all("Content-Length", [])
        encodings = [one.strip().lower() for one in self.headers.get_all("Transfer-Encoding", [])]
        if len(lengths) > 1 or (lengths and encodings):
            return "the body's length is told twice; send one Content-Length, or Transfer-Encoding alone"
        if lengths and not (lengths[0].isascii() and lengths[0].isdigit() and len(lengths[0]) <= 18):
            return "Content-Length must be the body's number of bytes, in digits"
        if encodings and encodings != ["chunked"]:
            return "no Transfer-Encoding but `chunked` is understood here"
        return ""

    def _refuse(self, status: int, detail: str) -> bool:
        """Answer, and end the connection. Returns false: there is no request."""
        self.close_connection = True
        log.info("refused a request from %s with %s: %s", self.client_address[0], status, detail)
        with suppress(OSError):
            self.wfile.write(_refusal(status, detail))
            self.wfile.flush()
            self._linger()
        return False

    def _linger(self) -> None:
        """Hear out what is still on its way: closed with something unread, a connection loses its last words."""
        read = 0
        with eventlet.Timeout(LINGER_SECONDS, False):
            if self._door.certificate is None:
                self.connection.shutdown(socket.SHUT_WR)
            while read < LINGER_BYTES and (piece := self.connection.recv(65_536)):
                read += len(piece)


def _refusal(status: int, detail: str) -> bytes:
    title = HTTPStatus(status).phrase
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail, "errors": []}
    body = json.dumps(document).encode()
    lines = (
        f"HTTP/1.1 {status} {title}", "Content-Type: application/problem+json", f"Content-Length: {len(body)}",
        f"X-Request-ID: {uuid4()}", "X-Content-Type-Options: nosniff", "Cache-Control: no-store", "Connection: close",
        *(["Retry-After: 1"] if status == HTTPStatus.TOO_MANY_REQUESTS else []), "", "",
    )  # fmt: skip
    return "\r\n".join(lines).encode() + body
