"""What the server refuses before the application sees it is refused in the same shape, and ends the connection."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from email import message_from_bytes
from typing import Any

import pytest

from tests.support.installation import wait_for
from tests.support.served import MEMBER, Served

AUTH = f"Authorization: Bearer {MEMBER}\r\n"
POST = f"POST /v1/clusters HTTP/1.1\r\nHost: x\r\n{AUTH}Content-Type: application/json\r\n"
# Behind each of these stands a second request, which a lax reader would take for one.
SECOND = f"GET /v1/clusters HTTP/1.1\r\nHost: x\r\n{AUTH}\r\n"
BROKEN = {
    "a length below zero": (POST + "Content-Length: -1\r\n\r\n{}", 400),
    "a length that is no number": (POST + "Content-Length: ten\r\n\r\n{}", 400),
    "a length that Python alone reads": (POST + "Content-Length: 1_0\r\n\r\n{}", 400),
    "a length with a sign": (POST + "Content-Length: +2\r\n\r\n{}", 400),
    "a length in other digits": (POST + "Content-Length: \u0662\r\n\r\n{}", 400),
    "an empty length": (POST + "Content-Length:\r\n\r\n{}", 400),
    "two lengths": (POST + "Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}", 400),
    "a length and chunks": (POST + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "an encoding that is unknown": (POST + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    "two encodings": (POST + "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "a path without end": (f"GET /v1/{'a' * 70_000} HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    "a header without end": (f"GET /v1/clusters HTTP/1.1\r\nHost: x\r\nX-Long: {'a' * 70_000}\r\n\r\n", 431),
    "headers without end": ("GET / HTTP/1.1\r\n" + f"X-Y: {'a' * 8_000}\r\n" * 12 + "\r\n", 431),
    "thousands of headers": ("GET / HTTP/1.1\r\n" + "X-Y: a\r\n" * 3_000 + "\r\n", 431),
    "no HTTP": ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "a version of its own": ("GET / HTTP/one\r\nHost: x\r\n\r\n", 400),
    "a future version": ("GET / HTTP/9.9\r\nHost: x\r\n\r\n", 505),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("served")) as made:
        yield made


def said(line: socket.socket) -> tuple[int, Any, bytes, bytes]:
    """Status, headers and body of the answer, and what came behind it until the line was closed."""
    received = b""
    while piece := line.recv(65_536):
        received += piece
    head, _, rest = received.partition(b"\r\n\r\n")
    status, _, fields = head.partition(b"\r\n")
    headers = message_from_bytes(fields)
    length = int(headers["Content-Length"])
    return int(status.split()[1]), headers, rest[:length], rest[length:]


def exchange(served: Served, request: bytes) -> tuple[int, Any, bytes, bytes]:
    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as line:
        line.sendall(request)
        return said(line)


@pytest.mark.parametrize("case", BROKEN)
def test_what_cannot_be_read_is_refused_with_problem_details_and_nothing_behind_it_is_obeyed(
    served: Served, case: str
) -> None:
    request, status = BROKEN[case]
    answered, headers, body, behind = exchange(served, (request + SECOND).encode())
    assert answered == status
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["Connection"] == "close"
    assert headers["X-Request-ID"]
    problem = json.loads(body)
    assert problem["status"] == status
    assert len(problem["detail"]) > 10
    assert behind == b""


def test_the_answer_to_a_refused_request_names_no_software(served: Served) -> None:
    for request in (BROKEN["no HTTP"][0], "GET /v1/nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"):
        _, headers, body, _ = exchange(served, request.encode())
        assert headers["Server"] is None
        assert b"ventlet" not in body
        assert b"ython" not in body


def test_a_request_that_trickles_is_given_up(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Served(tmp_path_factory.mktemp("slow"), seconds=1.0) as served:
        for begun, status in (("GET /v1/clusters HTTP/1.1\r\nHost: x\r\n", 408),
                              (POST + "Content-Length: 500\r\nConnection: close\r\n\r\n{", 408)):  # fmt: skip
            with socket.create_connection(("127.0.0.1", served.port), timeout=30) as line:
                line.sendall(begun.encode())
                answered, headers, _, _ = said(line)
                assert answered == status
                assert headers["Content-Type"] == "application/problem+json"


def test_one_address_cannot_take_all_connections(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Served(tmp_path_factory.mktemp("crowd"), per_address=8) as served, ExitStack() as crowd:
        for _ in range(8):
            line = crowd.enter_context(socket.create_connection(("127.0.0.1", served.port), timeout=30))
            line.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert line.recv(12) == b"HTTP/1.1 200"
        answered, headers, body, _ = exchange(served, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (answered, headers["Retry-After"]) == (429, "1")
        assert "too many connections" in json.loads(body)["detail"]
        crowd.close()
        wait_for(lambda: exchange(served, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")[0] == 200)


def test_more_connections_than_there_may_be_wait_for_their_turn(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Served(tmp_path_factory.mktemp("few"), connections=2) as served, ExitStack() as held:
        lines = [held.enter_context(socket.create_connection(("127.0.0.1", served.port), timeout=30)) for _ in range(3)]
        for line in lines:
            line.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert lines[0].recv(12) == lines[1].recv(12) == b"HTTP/1.1 200"
        lines[2].settimeout(0.5)
        with pytest.raises(TimeoutError):
            lines[2].recv(12)
        lines[0].close()
        lines[2].settimeout(30)
        began = time.monotonic()
        assert lines[2].recv(12) == b"HTTP/1.1 200"
        assert time.monotonic() - began < 30
