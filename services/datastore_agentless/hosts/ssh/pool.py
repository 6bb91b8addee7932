"""Connections that are kept warm and shared: one to a host, for all who work on it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import paramiko

from services.datastore_agentless.hosts.base import CommandFailed, HostUnreachable, Target
from services.datastore_agentless.hosts.conversation import Output, converse
from services.datastore_agentless.hosts.limits import Breaker, Host, Pace
from services.datastore_agentless.hosts.ssh.connection import Connection, connect
from services.datastore_agentless.hosts.ssh.session import Session, is_refused, open_session
from services.datastore_agentless.hosts.ssh.settings import PoolSettings
from services.datastore_agentless.hosts.ssh.watch import Watch
from shared.clock import Clock, SystemClock

# Address, port, user and pinned keys: who is reached as another, or known by another key, is reached anew.
_Key = tuple[str, int, str, str]


class SshPool:
    """One connection per host, shared by all who work on it; a dead host is given up quickly and tried again later."""

    def __init__(self, settings: PoolSettings | None = None, clock: Clock | None = None) -> None:
        self.settings = chosen = settings or PoolSettings()
        self.clock = clock or SystemClock()
        self._breaker = Breaker(self.clock, chosen.breaker_failures, chosen.breaker_first, chosen.breaker_cap)
        self._pace = Pace(self.clock, chosen.new_per_second)
        self._connections: dict[_Key, Connection] = {}
        self._locks: dict[Host, threading.Lock] = {}
        self._watch = Watch(self._open_ones, self.close_idle, chosen.watch_seconds, self.clock)
        # What it would log leaves as HostUnreachable, with the same words and without a traceback.
        logging.getLogger("paramiko").setLevel(logging.CRITICAL)

    def run(self, target: Target, line: str, stdin: bytes = b"", timeout: float = 30.0) -> Output:
        """Run one command line and wait for its end.

        Raises HostUnreachable when the line drops (nothing is known of the command then), HostKeyChanged, and
        CommandFailed with code 124 when `timeout` seconds pass.
        """
        with self._channel(target) as (connection, channel):
            deadline = self.clock.monotonic() + timeout
            connection.commands[id(channel)] = (deadline, channel)
            try:
                channel.exec_command(line)
                return converse(Session(channel), stdin, deadline, self.clock, connection.is_lost)
            except TimeoutError as error:
                raise CommandFailed(
                    f"a command on {target.name} did not end within {timeout:.0f} s", code=124, command=line
                ) from error
            except (paramiko.SSHException, EOFError, OSError) as error:
                self._retire(target, connection)
                words = str(error) or "it was closed"
                raise HostUnreachable(f"the connection to {target.name} ({target.addr}) was lost: {words}") from error
            finally:
                connection.commands.pop(id(channel), None)

    def drop(self, target: Target) -> None:
        """Close the connection to a host; the next command opens a new one."""
        connection = self._connections.get(_key(target))
        if connection is not None:
            self._retire(target, connection)

    def connected(self) -> int:
        """How many connections are open."""
        return sum(one.transport.is_active() for one in self._open_ones())

    def close_idle(self) -> None:
        """Close connections that nobody used for `idle_ttl` seconds, and those that broke."""
        limit = self.clock.monotonic() - self.settings.idle_ttl
        for key, connection in list(self._connections.items()):
            idle = connection.in_use == 0 and connection.used_at < limit
            if idle or not connection.transport.is_active():
                self._close(key, connection)

    def close(self) -> None:
        """Close every connection."""
        for key, connection in list(self._connections.items()):
            self._close(key, connection)

    def _open_ones(self) -> list[Connection]:
        return list(self._connections.values())

    @contextmanager
    def _channel(self, target: Target) -> Iterator[tuple[Connection, paramiko.Channel]]:
        connection, fresh = self._connection(target)
        try:
            channel = self._open(target, connection)
        except HostUnreachable:
            if fresh:
                raise
            # It was found dead before anything was sent over it: a new one may work.
            connection, _ = self._connection(target)
            channel = self._open(target, connection)
        try:
            yield connection, channel
        finally:
            channel.close()
            self._leave(connection)

    def _open(self, target: Target, connection: Connection) -> paramiko.Channel:
        connection.in_use += 1
        connection.channels.acquire()
        try:
            return open_session(connection.transport, self.settings.connect_timeout, self.clock)
        except (paramiko.SSHException, EOFError, OSError) as error:
            self._leave(connection)
            # Who refuses one session more goes on with those that it has: nobody's command is to end for that.
            if not is_refused(error):
                self._retire(target, connection)
            raise HostUnreachable(f"{target.name} ({target.addr}) opens no session: {error}") from error

    def _leave(self, connection: Connection) -> None:
        connection.in_use -= 1
        connection.used_at = self.clock.monotonic()
        connection.channels.release()

    def _connection(self, target: Target) -> tuple[Connection, bool]:
        """The host's connection, and whether it was made just now."""
        host = (target.addr, target.port)
        with self._locks.setdefault(host, threading.Lock()):
            known = self._connections.get(_key(target))
            if known is not None and known.transport.is_active():
                known.used_at = self.clock.monotonic()
                return known, False
            if known is not None:
                self._close(_key(target), known)
            self._breaker.guard(host, target.name)
            self._pace.wait()
            began = self.clock.monotonic()
            try:
                fresh = self._connect(target)
            except HostUnreachable as error:
                self._breaker.failed(host, error.message, self.clock.monotonic() - began)
                raise
            self._breaker.succeeded(host)
            self._connections[_key(target)] = fresh
            self._watch.begin()
            return fresh, True

    def _connect(self, target: Target) -> Connection:
        hop = self._hop(target)
        try:
            transport = connect(target, hop, self.settings)
        except BaseException:
            self._release(hop)
            raise
        return Connection(transport, threading.Semaphore(self.settings.channels), self.clock.monotonic(), hop)

    def _hop(self, target: Target) -> Connection | None:
        if target.jump is None:
            return None
        hop, _ = self._connection(target.jump)
        hop.in_use += 1
        return hop

    def _retire(self, target: Target, connection: Connection) -> None:
        """Close a connection that failed, unless another has taken its place already."""
        if self._connections.get(_key(target)) is connection:
            self._close(_key(target), connection)
        else:
            connection.transport.close()

    def _close(self, key: _Key, connection: Connection) -> None:
        if self._connections.pop(key, None) is connection:
            self._release(connection.hop)
        connection.transport.close()

    def _release(self, hop: Connection | None) -> None:
        if hop is not None:
            hop.in_use -= 1
            hop.used_at = self.clock.monotonic()


def _key(target: Target) -> _Key:
    return target.addr, target.port, target.user, target.known_host
