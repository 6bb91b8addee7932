"""Serves a WSGI application inside a nameko container."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from typing import Any

import eventlet
import eventlet.wsgi
from nameko import config
from nameko.extensions import DependencyProvider

from shared.bus.protocol import LONGEST_LINE, Door, Protocol

# A client that takes nothing of its answer, or sends nothing more, is given up after so long.
SILENCE_SECONDS = 120
WsgiApp = Callable[..., Any]


class Web(DependencyProvider):
    """Serves the application that `factory` makes at WEB_SERVER_ADDRESS, until the container stops.

    `door` says how it lets in.
    """

    def __init__(self, factory: Callable[[], WsgiApp], door: Callable[[], Door] = Door) -> None:
        self._factory = factory
        self._door = door

    def start(self) -> None:
        host, _, port = str(config["WEB_SERVER_ADDRESS"]).rpartition(":")
        application, door = self._factory(), self._door()
        if door.certificate is not None:
            # One that cannot be used is to be told now, not to the first client.
            door.certificate.context()
        self._socket = eventlet.listen((host or "0.0.0.0", int(port)), backlog=1024, reuse_port=False)  # noqa: S104
        # An answer that does not go out in one piece would wait 40 ms in its middle, for an acknowledgement that clients delay.
        # Accepted connections inherit it.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server = self.container.spawn_managed_thread(lambda: self._serve(application, door), identifier="web")

    def stop(self) -> None:
        self._socket.close()
        self._server.kill()

    def get_dependency(self, worker_ctx: Any) -> None:
        return None

    def _serve(self, application: WsgiApp, door: Door) -> None:
        scheme = "https" if door.certificate else "http"

        def streaming(environ: dict[str, Any], start_response: Any) -> Any:
            # Server-sent events are worth sending one by one.
            environ["eventlet.minimum_write_chunk_size"] = 1
            return application(environ, start_response)

        pool = eventlet.GreenPool(door.connections)
        eventlet.wsgi.server(
            self._socket, streaming, custom_pool=pool, log_output=False, debug=False, socket_timeout=SILENCE_SECONDS,
            url_length_limit=LONGEST_LINE, protocol=partial(Protocol, door), environ={"wsgi.url_scheme": scheme},
        )  # fmt: skip
