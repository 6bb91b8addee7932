"""An HTTP proxy before one service of a cloud, which stumbles as told: refuses, is silent, or does it and answers nothing."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

PASSED_ON = ("content-type", "x-openstack-request-id", "openstack-api-version", "x-openstack-nova-api-version", "location",
             "vary", "retry-after")  # fmt: skip
# No client of these tests is so patient.
SILENCE_SECONDS = 60.0


@dataclass
class Stumble:
    """What happens to the next `times` requests that match.

    `fault` is a status to answer with and not pass on, or `late`: passed on and done, and never answered.
    """

    method: str
    path: str
    fault: str
    times: int = 1
    retry_after: str = ""
    struck: int = field(default=0)


class Stumbling:
    """Listens on loopback before `upstream` (a URL without its path)."""

    def __init__(self, upstream: str) -> None:
        self.stumbles: list[Stumble] = []
        self.seen: list[tuple[str, str, float]] = []
        self.away_until = 0.0
        self._upstream, self._lock = upstream.rstrip("/"), threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True, name="stumbling").start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def order(self, method: str, path: str, fault: str, times: int = 1, retry_after: str = "") -> Stumble:
        """Order a fault; it tells how often it has struck."""
        made = Stumble(method, path, fault, times, retry_after)
        self.stumbles.append(made)
        return made

    def go_away(self, seconds: float) -> None:
        """Answer nobody for a while, as a service that restarts: connections are closed unanswered."""
        self.away_until = time.monotonic() + seconds

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()

    def fate(self, method: str, path: str) -> Stumble | None:
        """What becomes of a request."""
        with self._lock:
            self.seen.append((method, path, time.monotonic()))
            for one in self.stumbles:
                if one.struck < one.times and one.method == method and re.search(one.path, path):
                    one.struck += 1
                    return one
        return None

    def pass_on(self, method: str, path: str, headers: dict[str, str], body: bytes) -> requests.Response:
        """What the service behind answers."""
        kept = {
            name: value
            for name, value in headers.items()
            if name.lower() not in ("host", "content-length", "connection")
        }
        return requests.request(
            method, self._upstream + path, headers=kept, data=body, timeout=120, allow_redirects=False
        )

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                return

            def serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if time.monotonic() < proxy.away_until:
                    self.close_connection = True
                    return
                stumble = proxy.fate(self.command, self.path)
                if stumble is not None and stumble.fault != "late":
                    headers = {"Retry-After": stumble.retry_after} if stumble.retry_after else {}
                    words = b'{"stumbled": {"message": "the cloud stumbles"}}'
                    self.answer(int(stumble.fault), {"Content-Type": "application/json", **headers}, words)
                    return
                there = proxy.pass_on(self.command, self.path, dict(self.headers), body)
                if stumble is not None:
                    self.say_nothing()
                    return
                kept = {name: value for name, value in there.headers.items() if name.lower() in PASSED_ON}
                self.answer(there.status_code, kept, there.content)

            def say_nothing(self) -> None:
                """Until the client hangs up."""
                self.close_connection = True
                self.connection.settimeout(SILENCE_SECONDS)
                with contextlib.suppress(OSError):
                    self.rfile.read(1)

            def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            # http.server finds them by these names.
            do_GET = do_POST = do_DELETE = do_PUT = do_HEAD = do_PATCH = serve  # noqa: N815

        return Handler
