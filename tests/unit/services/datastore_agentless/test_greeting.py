"""Whether a database greets on its port, with real sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.datastore_agentless.hosts.greeting import ANSWERS, greets

Serve = Callable[[socket.socket], object]


@contextmanager
def server(serve: Serve) -> Iterator[int]:
    """One who takes a single connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def take() -> None:
        line, _ = listener.accept()
        with line:
            line.settimeout(5.0)
            serve(line)

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    thread.join(5.0)
    listener.close()


def test_a_server_that_speaks_first_greets() -> None:
    with server(lambda line: line.sendall(b"5.5.5-10.11")) as port:
        assert greets("127.0.0.1", port, b"", 2.0) == ANSWERS


def test_a_server_that_waits_for_the_client_is_spoken_to() -> None:
    with server(lambda line: line.sendall(b"+PONG" if line.recv(16) == b"PING\r\n" else b"")) as port:
        assert greets("127.0.0.1", port, b"PING\r\n", 2.0) == ANSWERS


def test_one_that_takes_the_connection_and_says_nothing_does_not_greet() -> None:
    with server(lambda line: line.recv(16) and line.recv(16)) as port:
        assert greets("127.0.0.1", port, b"hello", 0.3) == "nothing was heard within 0.3 s"


def test_one_that_hangs_up_does_not_greet() -> None:
    with server(lambda line: None) as port:
        assert "without a word" in greets("127.0.0.1", port, b"", 2.0)


def test_a_port_that_nobody_listens_on_is_said_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert greets("127.0.0.1", port, b"", 2.0) == "Connection refused"


def test_where_nobody_knows_the_protocol_a_listener_is_enough() -> None:
    with server(lambda line: line.recv(1)) as port:
        assert greets("127.0.0.1", port, None, 2.0) == ANSWERS
