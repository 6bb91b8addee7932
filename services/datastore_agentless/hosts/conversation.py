"""One command's talk over its channel: standard input, output and errors flow at the same time.

Each has a thread of its own (a green one where eventlet has patched): a command that prints more than the window holds
before it has read its input would stop for ever, were they taken one after the other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from shared.clock import Clock

CHUNK = 65_536
OUTPUT_KEPT = 16 * 1024 * 1024
LISTEN_SECONDS = 1.0
# sshd tells a command's end as soon as it has ended; what it had written may come after that, from a busy host much later.
SILENT_SECONDS = 2.0
SIGNALLED = 137


class Channel(Protocol):
    """What is needed of paramiko's channel."""

    status_event: threading.Event

    def settimeout(self, timeout: float | None) -> None: ...
    def send(self, s: bytes) -> int: ...
    def shutdown_write(self) -> None: ...
    def recv(self, nbytes: int) -> bytes: ...
    def recv_ready(self) -> bool: ...
    def recv_stderr(self, nbytes: int) -> bytes: ...
    def recv_exit_status(self) -> int: ...


@dataclass(frozen=True)
class Output:
    """What a command wrote, as bytes, and its exit code (137 where a signal ended it)."""

    code: int
    stdout: bytes
    stderr: bytes


@dataclass
class _Heard:
    """Collects a stream, at most 16 MB of it: what goes beyond is read and dropped, so that the command can end."""

    pieces: list[bytes]
    size: int = 0

    def take(self, piece: bytes) -> None:
        """Keep a piece, as far as there is room."""
        room = OUTPUT_KEPT - self.size
        if room > 0:
            self.pieces.append(piece[:room])
            self.size += len(self.pieces[-1])

    def __bytes__(self) -> bytes:
        return b"".join(self.pieces)


def converse(channel: Channel, stdin: bytes, deadline: float, clock: Clock, lost: Callable[[], bool]) -> Output:
    """Feed the command, hear it out, return its end.

    Raises TimeoutError past `deadline` (monotonic), EOFError when `lost()` says that the connection broke.
    """
    out, err = _Heard([]), _Heard([])
    channel.settimeout(LISTEN_SECONDS)
    ended = threading.Event()
    threads = [threading.Thread(target=_feed, args=(channel, stdin, ended), daemon=True)] if stdin else []
    threads.append(threading.Thread(target=_hear_errors, args=(channel, err, ended), daemon=True))
    for thread in threads:
        thread.start()
    if not stdin:
        channel.shutdown_write()
    try:
        _hear(channel, out, deadline, clock)
        if not channel.status_event.wait(max(0.05, deadline - clock.monotonic())):
            raise TimeoutError
        threads[-1].join(LISTEN_SECONDS)
    finally:
        ended.set()
    code = channel.recv_exit_status()
    if code < 0 and lost():
        raise EOFError("the connection broke before the command ended")
    if code < 0:
        return Output(SIGNALLED, bytes(out), bytes(err) + b"\nended by a signal\n")
    return Output(code, bytes(out), bytes(err))


def _hear(channel: Channel, out: _Heard, deadline: float, clock: Clock) -> None:
    """Read until the stream ends, or the command has and what it left in the background stays silent."""
    silent = 0.0
    while True:
        if clock.monotonic() > deadline:
            raise TimeoutError
        try:
            piece = channel.recv(CHUNK)
        except TimeoutError:
            # On a busy machine it says so with a piece in hand that has come at the last moment, and the end with it.
            if not channel.status_event.is_set() or channel.recv_ready():
                continue
            silent += LISTEN_SECONDS
            if silent >= SILENT_SECONDS:
                return
            continue
        if not piece:
            return
        out.take(piece)
        silent = 0.0


def _hear_errors(channel: Channel, err: _Heard, ended: threading.Event) -> None:
    while not ended.is_set():
        try:
            piece = channel.recv_stderr(CHUNK)
        except TimeoutError:
            continue
        except (OSError, EOFError):
            return
        if not piece:
            return
        err.take(piece)


def _feed(channel: Channel, stdin: bytes, ended: threading.Event) -> None:
    """Send everything; a command may end without having read it all."""
    # Not `sendall`: paramiko's spins for ever once the channel is closed.
    rest = memoryview(stdin)
    while rest and not ended.is_set():
        try:
            sent = channel.send(bytes(rest[:CHUNK]))
        except TimeoutError:
            continue
        except (OSError, EOFError):
            return
        if sent == 0:
            return
        rest = rest[sent:]
    try:
        channel.shutdown_write()
    except (OSError, EOFError):
        return
