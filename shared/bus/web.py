"""Serves a WSGI application inside a nameko container."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import eventlet
import eventlet.wsgi
from nameko import config
from nameko.extensions import DependencyProvider

CONCURRENCY = 512
# The application answers for paths up to this; the server refuses longer ones by itself, without a body.
LONGEST_LINE = 65_536
log = logging.getLogger(__name__)
WsgiApp = Callable[..., Any]


class Web(DependencyProvider):
    """Serves the application that `factory` makes at WEB_SERVER_ADDRESS, until the container stops."""

    def __init__(self, factory: Callable[[], WsgiApp]) -> None:
        self._factory = factory

    def start(self) -> None:
        host, _, port = str(config["WEB_SERVER_ADDRESS"]).rpartition(":")
        application = self._factory()
        self._socket = eventlet.listen((host or "0.0.0.0", int(port)), backlog=1024, reuse_port=False)  # noqa: S104
        self._server = self.container.spawn_managed_thread(lambda: self._serve(application), identifier="web")

    def stop(self) -> None:
        self._socket.close()
        self._server.kill()

    def get_dependency(self, worker_ctx: Any) -> None:
        return None

    def _serve(self, application: WsgiApp) -> None:
        def streaming(environ: dict[str, Any], start_response: Any) -> Any:
            # Server-sent events are worth sending one by one.
            environ["eventlet.minimum_write_chunk_size"] = 1
            return application(environ, start_response)

        pool = eventlet.GreenPool(CONCURRENCY)
        eventlet.wsgi.server(
            self._socket, streaming, custom_pool=pool, log_output=False, debug=False, socket_timeout=120,
            url_length_limit=LONGEST_LINE,
        )  # fmt: skip
