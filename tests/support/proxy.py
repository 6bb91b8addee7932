"""A TCP proxy, on loopback as a rule, between DTrove and what it speaks to: it passes, cuts, stalls, throttles, refuses.

The faults are those of toxiproxy (reset_peer, timeout, bandwidth, down). That is a server of its own, driven over HTTP; here
a test orders them by a call, at a byte that it chooses, and a subclass may judge each piece by what stands in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

T = TypeVar("T")
CHUNK = 32_768
PATIENCE_SECONDS = 10.0
# A close with this on sends a reset in place of a good-bye. Source: socket(7), SO_LINGER.
AT_ONCE = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class Pair:
    """One client's connection and ours to the server behind; `memory` is for whoever judges its pieces."""

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    memory: set[str] = field(default_factory=set)
    # Nothing passes any more, and neither side is told.
    silent: bool = False

    def break_off(self, *, reset: bool) -> None:
        """End both connections at once, with a reset or with a good-bye."""
        for one in (self.near, self.far):
            sock = one.get_extra_info("socket")
            if reset and sock is not None and sock.fileno() >= 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            one.transport.abort()


class Proxy:
    """Forwards to `host`:`port` from the port that it listens at, at the address `at`. Bytes are counted over all connections."""

    def __init__(self, port: int, host: str = "127.0.0.1", *, at: str = "127.0.0.1") -> None:
        self._to, self._at = (host, port), at
        self.port = 0
        self.accepted = self.sent = self.received = self.cuts = 0
        self._pairs: set[Pair] = set()
        self._cut_after: int | None = None
        self._reset = False
        self._silent_after: int | None = None
        self._rate: float | None = None
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="proxy")
        self._thread.start()
        self._flowing = asyncio.Event()
        self._call(self._listen())
        self.resume()

    # What a test orders

    def cut(self, *, reset: bool = False) -> None:
        """Break every connection."""
        self._call(self._cut(reset))

    def cut_after(self, size: int, *, reset: bool = False) -> None:
        """Break every connection once `size` more bytes have come back from the server."""
        self._reset, self._cut_after = reset, size

    def silence(self) -> None:
        """Take connections and pass nothing on, from now on: a black hole."""
        self._call(self._flow(on=False))

    def silence_after(self, size: int) -> None:
        """Become one once `size` more bytes have gone to the server."""
        self._silent_after = size

    @property
    def silent(self) -> bool:
        """Whether it passes nothing on."""
        return not self._flowing.is_set()

    def resume(self) -> None:
        """Pass on again, what was held back first."""
        self._call(self._flow(on=True))

    def throttle(self, bytes_per_second: float | None) -> None:
        """Pass on no faster than this, each way; None: as fast as it comes."""
        self._rate = bytes_per_second

    def refuse(self) -> None:
        """Take no new connections and break those that are open: the server is down."""
        self._call(self._stop_listening())
        self.cut(reset=True)

    def accept(self) -> None:
        """Take connections again, at the same port."""
        self._call(self._listen())

    def close(self) -> None:
        """End it."""
        self.refuse()
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_SECONDS)
        self._loop.close()

    def passes(self, pair: Pair, data: bytes, *, back: bool) -> bool:
        """Whether a piece is passed on; where not, its connection is reset in its place. For subclasses."""
        return True

    # How it is done

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, self._at, self.port, backlog=512)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _end(self) -> None:
        serving = asyncio.all_tasks() - {asyncio.current_task()}
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        # Transports say their good-byes in the next turns of the loop.
        await asyncio.sleep(0.01)

    async def _flow(self, *, on: bool) -> None:
        if on:
            self._flowing.set()
        else:
            self._flowing.clear()

    async def _cut(self, reset: bool) -> None:
        self.cuts += 1
        for pair in list(self._pairs):
            pair.break_off(reset=reset)
        self._pairs.clear()

    async def _serve(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            await self._flowing.wait()
            with contextlib.suppress(OSError):
                behind, far = await asyncio.open_connection(*self._to)
                await self._connect(Pair(near, far), reader, behind)
        except asyncio.CancelledError:
            # The proxy ends.
            return
        finally:
            near.transport.abort()

    async def _connect(self, pair: Pair, reader: asyncio.StreamReader, behind: asyncio.StreamReader) -> None:
        self._pairs.add(pair)
        try:
            for one in (pair.near, pair.far):
                one.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            to, back = self._pump(reader, pair.far, pair, back=False), self._pump(behind, pair.near, pair, back=True)
            await asyncio.gather(to, back)
        finally:
            self._pairs.discard(pair)
            pair.far.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, to: asyncio.StreamWriter, pair: Pair, *, back: bool) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while data := await reader.read(CHUNK if self._rate is None else max(1, int(self._rate / 10))):
                await self._flowing.wait()
                if not self.passes(pair, data, back=back):
                    self.cuts += 1
                    pair.break_off(reset=True)
                    return
                if pair.silent:
                    continue
                await self._pass_on(data, to, back=back)
        # The other side is told as well, once it has all that came before.
        with contextlib.suppress(OSError):
            to.close()

    async def _pass_on(self, data: bytes, to: asyncio.StreamWriter, *, back: bool) -> None:
        if back and self._cut_after is not None:
            data = data[: self._cut_after]
            self._cut_after -= len(data)
        # Counted first: whoever reads it may ask for the count at once.
        if back:
            self.received += len(data)
        else:
            self.sent += len(data)
        to.write(data)
        await to.drain()
        if self._rate is not None:
            await asyncio.sleep(len(data) / self._rate)
        if back:
            if self._cut_after is not None and self._cut_after <= 0:
                self._cut_after = None
                await self._cut(self._reset)
            return
        if self._silent_after is not None:
            self._silent_after -= len(data)
            if self._silent_after <= 0:
                self._silent_after = None
                self._flowing.clear()


class UploadProxy(Proxy):
    """Stands before a server that is sent much: the next `times` connections over which `after` bytes have gone are reset, or, with
    `mute`, fall silent.
    """

    after, times, struck, mute = 0, 0, 0, False

    def passes(self, pair: Pair, data: bytes, *, back: bool) -> bool:
        if back or self.struck >= self.times:
            return True
        self._gone[pair] = self._gone.get(pair, 0) + len(data)
        if pair.silent or self._gone[pair] < self.after:
            return True
        self.struck += 1
        pair.silent = self.mute
        return self.mute

    @cached_property
    def _gone(self) -> dict[Pair, int]:
        return {}


# Source: PostgreSQL's frontend protocol, a simple query: Q, its length, the text, a zero byte.
COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"


class CommitProxy(Proxy):
    """Stands before PostgreSQL. Each COMMIT uses up one of `armed`: it goes through, and its answer never comes back."""

    armed = 0
    lost = 0

    def passes(self, pair: Pair, data: bytes, *, back: bool) -> bool:
        if not back and self.armed > 0 and COMMIT in data:
            self.armed -= 1
            pair.memory.add("committing")
        if back and "committing" in pair.memory:
            self.lost += 1
            return False
        return True


# Source: AMQP 0-9-1, class 60 (basic), method 20 asks for a consumer, 21 says that there is one.
CONSUME, CONSUME_OK = b"\x00\x3c\x00\x14", b"\x00\x3c\x00\x15"


class ConsumeProxy(Proxy):
    """Stands before RabbitMQ. A line that asks for a second consumer uses up one of `armed`: it is silent from there on."""

    armed = 0
    silenced = 0

    def passes(self, pair: Pair, data: bytes, *, back: bool) -> bool:
        if back and CONSUME_OK in data:
            pair.memory.add("consuming")
        if not back and self.armed > 0 and CONSUME in data and "consuming" in pair.memory:
            self.armed -= 1
            self.silenced += 1
            pair.silent = True
        return True
