"""How the HTTP edge treats a connection."""

from __future__ import annotations

import socket
from types import SimpleNamespace

from nameko import config

from shared.bus.web import Web


def test_no_piece_of_an_answer_waits_for_the_acknowledgement_of_the_one_before() -> None:
    web = Web(lambda: None)  # type: ignore[arg-type,return-value]
    web.container = SimpleNamespace(spawn_managed_thread=lambda *_, **__: SimpleNamespace(kill=lambda: None))
    with config.patch({"WEB_SERVER_ADDRESS": "127.0.0.1:0"}):
        web.start()
    try:
        with socket.create_connection(web._socket.getsockname(), timeout=5):
            accepted, _ = web._socket.fd.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    finally:
        web.stop()
