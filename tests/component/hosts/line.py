"""A line to a host that a test can cut, or let go silent: a TCP proxy on loopback."""

from __future__ import annotations

import contextlib
import socket
import threading


class Line:
    """Forwards to 127.0.0.1:`port`. `cut_after(n)` breaks it once n more bytes have come back from the host."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._left: int | None = None
        self._silent_after: int | None = None
        self._flowing = threading.Event()
        self._flowing.set()
        self.accepted = 0
        self.sent = 0
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break every connection."""
        self.cuts += 1
        for one in list(self._open):
            self._open.discard(one)
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def cut_after(self, size: int) -> None:
        """Break every connection once `size` more bytes have come back."""
        self._left = size

    def silence(self) -> None:
        """Take in what comes, pass nothing on."""
        self._flowing.clear()

    def silence_after(self, size: int) -> None:
        """Go silent once `size` more bytes have gone to the host."""
        self._silent_after = size

    @property
    def silent(self) -> bool:
        """Whether it passes nothing on."""
        return not self._flowing.is_set()

    def resume(self) -> None:
        """Pass on again."""
        self._flowing.set()

    def close(self) -> None:
        """End it."""
        self._flowing.set()
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            try:
                far = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                near.close()
                continue
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open.add(one)
            threading.Thread(target=self._forward, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self._forward, args=(far, near, True), daemon=True).start()

    def _forward(self, source: socket.socket, to: socket.socket, back: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(32_768):
                self._flowing.wait()
                if back and self._left is not None:
                    data = data[: self._left]
                    self._left -= len(data)
                    to.sendall(data)
                    if self._left <= 0:
                        self._left = None
                        self.cut()
                        return
                    continue
                to.sendall(data)
                self.sent += 0 if back else len(data)
                if not back and self._silent_after is not None:
                    self._silent_after -= len(data)
                    if self._silent_after <= 0:
                        self._silent_after = None
                        self.silence()
        for one in (source, to):
            self._open.discard(one)
            one.close()
