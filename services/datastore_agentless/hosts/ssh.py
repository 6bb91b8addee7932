"""SSH by paramiko, and the only place that knows paramiko: warm connections, pinned host keys, bounded everything."""

from __future__ import annotations

import io
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import paramiko

from services.datastore_agentless.hosts.base import CommandFailed, HostKeyChanged, HostUnreachable, Target, tail
from shared.clock import Clock, SystemClock

CHUNK = 65_536


@dataclass(frozen=True)
class PoolSettings:
    """Bounds of the pool; times in seconds. sshd allows ten sessions per connection, so eight leave room."""

    connect_timeout: float = 8.0
    keepalive: int = 15
    channels: int = 8
    idle_ttl: float = 60.0
    new_per_second: float = 50.0
    breaker_failures: int = 3
    breaker_first: float = 0.5
    breaker_cap: float = 15.0


@dataclass(frozen=True)
class Output:
    """What a command wrote, as bytes, and its exit code."""

    code: int
    stdout: bytes
    stderr: bytes


@dataclass
class _Connection:
    transport: paramiko.Transport
    channels: threading.Semaphore
    used_at: float
    in_use: int = 0


@dataclass
class _Breaker:
    failures: int = 0
    closed_until: float = 0.0


@dataclass
class SshPool:
    """One connection per host, shared by all who work on it; a dead host is given up quickly and tried again later."""

    settings: PoolSettings = field(default_factory=PoolSettings)
    clock: Clock = field(default_factory=SystemClock)
    _connections: dict[tuple[str, int, str, str], _Connection] = field(default_factory=dict)
    _breakers: dict[tuple[str, int], _Breaker] = field(default_factory=dict)
    _locks: dict[tuple[str, int], threading.Lock] = field(default_factory=dict)
    _next_start: float = 0.0

    def run(
        self,
        target: Target,
        line: str,
        stdin: bytes = b"",
        timeout: float = 30.0,
        on_output: Callable[[bytes], None] | None = None,
    ) -> Output:
        """Run one command line and wait for its end.

        Raises HostUnreachable when the line drops (nothing is known of the command then), HostKeyChanged, and
        CommandFailed with code 124 when `timeout` seconds pass.
        """
        with self._channel(target) as channel:
            try:
                channel.settimeout(timeout)
                channel.exec_command(line)
                return _converse(channel, stdin, self.clock.monotonic() + timeout, self.clock, on_output)
            except TimeoutError as error:
                raise CommandFailed(
                    f"a command on {target.name} did not end within {timeout:.0f} s", code=124, command=line
                ) from error
            except (paramiko.SSHException, EOFError, OSError) as error:
                self.drop(target)
                raise HostUnreachable(f"the connection to {target.name} ({target.addr}) was lost: {error}") from error

    def drop(self, target: Target) -> None:
        """Close the connection to a host; the next command opens a new one."""
        connection = self._connections.pop(_key(target), None)
        if connection is not None:
            connection.transport.close()

    def close_idle(self) -> None:
        """Close connections that nobody used for `idle_ttl` seconds."""
        limit = self.clock.monotonic() - self.settings.idle_ttl
        for key, connection in list(self._connections.items()):
            if connection.in_use == 0 and connection.used_at < limit:
                self._connections.pop(key, None)
                connection.transport.close()

    def close(self) -> None:
        """Close every connection."""
        for key in list(self._connections):
            self._connections.pop(key).transport.close()

    @contextmanager
    def _channel(self, target: Target) -> Iterator[paramiko.Channel]:
        connection = self._connection(target)
        connection.channels.acquire()
        connection.in_use += 1
        channel = None
        try:
            try:
                channel = connection.transport.open_session(timeout=self.settings.connect_timeout)
            except (paramiko.SSHException, EOFError, OSError) as error:
                self.drop(target)
                raise HostUnreachable(f"{target.name} ({target.addr}) opens no session: {error}") from error
            yield channel
        finally:
            connection.in_use -= 1
            connection.used_at = self.clock.monotonic()
            connection.channels.release()
            if channel is not None:
                channel.close()

    def _connection(self, target: Target) -> _Connection:
        host = (target.addr, target.port)
        with self._locks.setdefault(host, threading.Lock()):
            known = self._connections.get(_key(target))
            if known is not None and known.transport.is_active():
                return known
            self._guard(target)
            try:
                transport = self._connect(target)
            except HostUnreachable:
                self._count_failure(host)
                raise
            self._breakers.pop(host, None)
            fresh = _Connection(transport, threading.Semaphore(self.settings.channels), self.clock.monotonic())
            self._connections[_key(target)] = fresh
            self.close_idle()
            return fresh

    def _guard(self, target: Target) -> None:
        """Refuse at once while the host's breaker is open; spread new connections over time."""
        breaker = self._breakers.get((target.addr, target.port))
        now = self.clock.monotonic()
        if breaker and breaker.failures >= self.settings.breaker_failures and now < breaker.closed_until:
            raise HostUnreachable(
                f"{target.name} ({target.addr}) did not answer {breaker.failures} times; trying later"
            )
        start = max(now, self._next_start)
        self._next_start = start + 1 / self.settings.new_per_second
        if start > now:
            self.clock.sleep(start - now)

    def _count_failure(self, host: tuple[str, int]) -> None:
        breaker = self._breakers.setdefault(host, _Breaker())
        breaker.failures += 1
        pause = min(self.settings.breaker_cap, self.settings.breaker_first * 2.0 ** min(breaker.failures, 10))
        jitter = random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
        breaker.closed_until = self.clock.monotonic() + pause * jitter

    def _connect(self, target: Target) -> paramiko.Transport:
        transport = None
        try:
            transport = paramiko.Transport(self._socket(target))
            transport.banner_timeout = transport.auth_timeout = self.settings.connect_timeout
            # Only ed25519 keys are pinned; offering others would let a host choose one that nobody knows.
            transport.get_security_options().key_types = ("ssh-ed25519",)
            transport.start_client(timeout=self.settings.connect_timeout)
            _check_identity(transport, target)
            transport.auth_publickey(target.user, _private_key(target))
            transport.set_keepalive(self.settings.keepalive)
            return transport
        except paramiko.AuthenticationException as error:
            _close(transport)
            raise HostUnreachable(
                f"{target.name} ({target.addr}) refuses the cluster's key for {target.user}"
            ) from error
        except HostKeyChanged:
            _close(transport)
            raise
        except (paramiko.SSHException, EOFError, OSError) as error:
            _close(transport)
            reason = str(error) or type(error).__name__
            raise HostUnreachable(f"{target.name} ({target.addr}:{target.port}) does not answer: {reason}") from error

    def _socket(self, target: Target) -> socket.socket | paramiko.Channel:
        if target.jump is not None:
            hop = self._connection(target.jump).transport
            return hop.open_channel("direct-tcpip", (target.addr, target.port), ("127.0.0.1", 0),
                                    timeout=self.settings.connect_timeout)  # fmt: skip
        connected = socket.create_connection((target.addr, target.port), timeout=self.settings.connect_timeout)
        # Without this each small packet waits for the other side's delayed acknowledgement, 40 ms.
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected


def _key(target: Target) -> tuple[str, int, str, str]:
    return target.addr, target.port, target.user, target.known_host


def _close(transport: paramiko.Transport | None) -> None:
    if transport is not None:
        transport.close()


def _check_identity(transport: paramiko.Transport, target: Target) -> None:
    shown = transport.get_remote_server_key()
    seen = f"{shown.get_name()} {shown.get_base64()}"
    pinned = [" ".join(line.split()[:2]) for line in target.known_host.splitlines() if line.strip()]
    if seen not in pinned:
        raise HostKeyChanged(
            f"{target.name} ({target.addr}) shows another host key than the pinned one; nothing was sent to it",
            expected=target.known_host, seen=seen,
            what_to_do="find out whether the server was replaced or somebody stands in between; then delete or rebuild it",
        )  # fmt: skip


def _private_key(target: Target) -> paramiko.PKey:
    passphrase = target.passphrase.reveal() or None
    return paramiko.Ed25519Key.from_private_key(io.StringIO(target.private_key.reveal()), password=passphrase)


def _converse(
    channel: paramiko.Channel,
    stdin: bytes,
    deadline: float,
    clock: Clock,
    on_output: Callable[[bytes], None] | None,
) -> Output:
    errors: list[bytes] = []
    listener = threading.Thread(target=_drain_stderr, args=(channel, errors), daemon=True)
    listener.start()
    if stdin:
        channel.sendall(stdin)
    channel.shutdown_write()
    pieces: list[bytes] = []
    while True:
        channel.settimeout(max(0.05, deadline - clock.monotonic()))
        piece = channel.recv(CHUNK)
        if not piece:
            break
        pieces.append(piece)
        if on_output:
            on_output(piece)
    if not channel.status_event.wait(max(0.05, deadline - clock.monotonic())):
        raise TimeoutError
    listener.join(1.0)
    code = channel.recv_exit_status()
    if code < 0:
        raise EOFError(f"the session ended without an exit status {tail(b''.join(errors).decode(errors='replace'), 3)}")
    return Output(code, b"".join(pieces), b"".join(errors))


def _drain_stderr(channel: paramiko.Channel, into: list[bytes]) -> None:
    try:
        while piece := channel.recv_stderr(CHUNK):
            into.append(piece)
    except (OSError, EOFError):
        return
