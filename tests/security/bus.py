"""The bus as an outsider with a login sees it: what lies in it, and what he may put there."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from kombu import Connection, Exchange


def address(home: Path) -> str:
    """Where the RabbitMQ of the installation in `home` answers, with its password."""
    words = shlex.split((home / "run" / "environment").read_text())
    return next(word.partition("=")[2] for word in words if word.startswith("AMQP_URI="))


def publish(uri: str, exchange: str, key: str, body: dict[str, Any] | bytes, **properties: Any) -> None:
    """Send one message, confirmed."""
    with Connection(uri, connect_timeout=10, transport_options={"confirm_publish": True}) as connection:
        to = Exchange(exchange, type="topic", durable=True)
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = {"content_type": "application/json", "content_encoding": "utf-8", **properties}
        connection.Producer().publish(raw, exchange=to, routing_key=key, declare=[to], **kind)


class Ear:
    """Hears everything that goes through the given exchanges, from its making on, as a spy with the bus's login would."""

    def __init__(self, uri: str, exchanges: tuple[str, ...]) -> None:
        self._connection = Connection(uri, connect_timeout=10)
        self._channel = self._connection.channel()
        self._queue = self._channel.queue_declare(queue="", exclusive=True, auto_delete=False).queue
        for name in exchanges:
            kind = "topic" if name else "direct"
            self._channel.exchange_declare(name, kind, durable=True, auto_delete=False)
            self._channel.queue_bind(self._queue, name, routing_key="#")

    def heard(self) -> list[bytes]:
        """The messages so far, each with its headers; they are taken out."""
        found = []
        while (message := self._channel.basic_get(self._queue, no_ack=True)) is not None:
            body = message.body if isinstance(message.body, bytes) else str(message.body).encode()
            found.append(repr((message.delivery_info, message.headers, message.properties)).encode() + body)
        return found

    def close(self) -> None:
        """Hang up."""
        self._connection.close()
