"""Whether a database greets on its port, seen from here: its own protocol's first words, and no login."""

from __future__ import annotations

import socket

ANSWERS = ""


def greets(host: str, port: int, hello: bytes | None, seconds: float) -> str:
    """ANSWERS where it does, else why not.

    `hello` is what a client says first, empty where the server does; None: that somebody listens is enough.
    """
    try:
        with socket.create_connection((host, port), timeout=seconds) as line:
            if hello is None:
                return ANSWERS
            line.settimeout(seconds)
            if hello:
                line.sendall(hello)
            return ANSWERS if line.recv(1) else "the line was closed without a word"
    except TimeoutError:
        return f"nothing was heard within {seconds:g} s"
    except OSError as error:
        return error.strerror or str(error)
