"""The proxy does to a connection what a test orders."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.installation import wait_for
from tests.support.proxy import Proxy


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(65_536):
            self.request.sendall(data)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy before a server that says everything again."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made = Proxy(server.server_address[1])
        yield made
        made.close()
        server.shutdown()


def call(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def read(line: socket.socket, size: int) -> bytes:
    heard = b""
    while len(heard) < size and (data := line.recv(size - len(heard))):
        heard += data
    return heard


def drain(line: socket.socket) -> None:
    while line.recv(1000):
        pass


def test_it_passes_on_every_byte(proxy: Proxy) -> None:
    sent = bytes(range(256)) * 4000
    with call(proxy) as line:
        threading.Thread(target=line.sendall, args=(sent,)).start()
        assert read(line, len(sent)) == sent
    assert proxy.sent == proxy.received == len(sent)


def test_it_cuts_at_the_byte_that_was_ordered(proxy: Proxy) -> None:
    proxy.cut_after(700)
    with call(proxy) as line:
        line.sendall(b"x" * 1000)
        assert read(line, 1000) == b"x" * 700


def test_it_resets_a_connection_where_that_was_ordered(proxy: Proxy) -> None:
    proxy.cut_after(700, reset=True)
    with call(proxy) as line:
        line.sendall(b"x" * 1000)
        with pytest.raises(ConnectionResetError):
            drain(line)
    assert proxy.cuts == 1


def test_a_black_hole_takes_connections_and_holds_back_what_comes_until_it_ends(proxy: Proxy) -> None:
    proxy.silence()
    with call(proxy) as line:
        line.sendall(b"hello")
        line.settimeout(0.3)
        with pytest.raises(TimeoutError):
            line.recv(5)
        proxy.resume()
        line.settimeout(10)
        assert read(line, 5) == b"hello"


def test_it_goes_silent_once_so_many_bytes_have_gone_by(proxy: Proxy) -> None:
    proxy.silence_after(3)
    with call(proxy) as line:
        line.sendall(b"hello")
        wait_for(lambda: proxy.silent, 5)


def test_it_passes_on_no_faster_than_was_ordered(proxy: Proxy) -> None:
    proxy.throttle(20_000)
    with call(proxy) as line:
        began = time.monotonic()
        line.sendall(b"x" * 10_000)
        assert len(read(line, 10_000)) == 10_000
        assert time.monotonic() - began >= 0.4


def test_it_is_down_and_up_again_at_the_same_port(proxy: Proxy) -> None:
    with call(proxy) as line:
        line.sendall(b"hello")
        assert read(line, 5) == b"hello"
        proxy.refuse()
        with pytest.raises(ConnectionResetError):
            line.recv(5)
    with pytest.raises(ConnectionRefusedError):
        call(proxy)
    proxy.accept()
    with call(proxy) as line:
        line.sendall(b"again")
        assert read(line, 5) == b"again"
