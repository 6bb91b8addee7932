"""SSH by paramiko, and the only place that knows paramiko: warm connections, pinned host keys, bounded everything."""

from __future__ import annotations

import io
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import paramiko
from paramiko.common import MSG_CHANNEL_DATA

from services.datastore_agentless.hosts.base import CommandFailed, HostKeyChanged, HostUnreachable, Target
from services.datastore_agentless.hosts.conversation import Output, converse
from services.datastore_agentless.hosts.limits import Breaker, Host, Pace
from shared.clock import Clock, SystemClock

log = logging.getLogger(__name__)
__all__ = ["Output", "PoolSettings", "SshPool"]

_LOOK_INTO_IT = "find out whether the server was replaced or somebody stands in between; then delete or rebuild it"


@dataclass(frozen=True)
class PoolSettings:
    """Bounds of the pool; times in seconds. sshd allows ten sessions per connection, so eight leave room.

    An idle connection costs its share of a core (paramiko polls), a new one 5 ms: hence a short `idle_ttl`. `silence` is
    how long the kernel waits for a peer to acknowledge what was sent.
    """

    connect_timeout: float = 8.0
    keepalive: int = 15
    silence: float = 30.0
    channels: int = 8
    idle_ttl: float = 20.0
    watch_seconds: float = 1.0
    new_per_second: float = 50.0
    breaker_failures: int = 3
    breaker_first: float = 0.5
    breaker_cap: float = 15.0


@dataclass
class _Connection:
    """A live connection; `hop` is the one that it runs through. `in_use` counts commands and connections on top."""

    transport: paramiko.Transport
    channels: threading.Semaphore
    used_at: float
    hop: _Connection | None = None
    in_use: int = 0
    commands: dict[int, tuple[float, paramiko.Channel]] = field(default_factory=dict)


class _Session:
    """A channel whose words leave before its end does.

    paramiko puts a message together under the channel's lock and sends it afterwards, so that the CLOSE of its own thread
    overtakes the data or the EOF of ours (its issue 1115). sshd answers that by ending the connection, and with it the
    commands of all who share it. Here the lock is held until the message is on its way. Should the keys of the connection
    be changed at that very moment, it is given up after paramiko's timeout.
    """

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self.status_event: threading.Event = channel.status_event
        self.settimeout, self.recv, self.recv_stderr = channel.settimeout, channel.recv, channel.recv_stderr
        self.recv_exit_status = channel.recv_exit_status

    def send(self, s: bytes) -> int:
        with self._channel.lock:
            size = int(self._channel._wait_for_send_window(len(s)))
            if size:
                # Source: RFC 4254, section 5.2.
                message = paramiko.Message()
                message.add_byte(bytes([MSG_CHANNEL_DATA]))
                message.add_int(self._channel.remote_chanid)
                message.add_string(s[:size])
                self._channel.transport._send_user_message(message)
            return size

    def shutdown_write(self) -> None:
        with self._channel.lock:
            message = self._channel._send_eof()
            if message is not None:
                self._channel.transport._send_user_message(message)


class SshPool:
    """One connection per host, shared by all who work on it; a dead host is given up quickly and tried again later."""

    def __init__(self, settings: PoolSettings | None = None, clock: Clock | None = None) -> None:
        self.settings = settings or PoolSettings()
        self.clock = clock or SystemClock()
        chosen = self.settings
        self._breaker = Breaker(self.clock, chosen.breaker_failures, chosen.breaker_first, chosen.breaker_cap)
        self._pace = Pace(self.clock, chosen.new_per_second)
        self._connections: dict[tuple[str, int, str, str], _Connection] = {}
        self._locks: dict[Host, threading.Lock] = {}
        self._watched = False
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
                return converse(_Session(channel), stdin, deadline, self.clock, lambda: _is_lost(connection.transport))
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
        return sum(one.transport.is_active() for one in list(self._connections.values()))

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

    @contextmanager
    def _channel(self, target: Target) -> Iterator[tuple[_Connection, paramiko.Channel]]:
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

    def _open(self, target: Target, connection: _Connection) -> paramiko.Channel:
        connection.in_use += 1
        connection.channels.acquire()
        try:
            return self._session(connection.transport)
        except (paramiko.SSHException, EOFError, OSError) as error:
            self._leave(connection)
            # Who refuses one session more goes on with those that it has: nobody's command is to end for that.
            if not _is_refused_session(error):
                self._retire(target, connection)
            raise HostUnreachable(f"{target.name} ({target.addr}) opens no session: {error}") from error

    def _session(self, transport: paramiko.Transport) -> paramiko.Channel:
        """A session; sshd may still be busy closing earlier ones, which count against its MaxSessions, so ask again."""
        until = self.clock.monotonic() + self.settings.connect_timeout
        while True:
            try:
                return transport.open_session(timeout=self.settings.connect_timeout)
            except paramiko.SSHException as error:
                if not _is_refused_session(error) or self.clock.monotonic() > until:
                    raise
                self.clock.sleep(0.02)

    def _leave(self, connection: _Connection) -> None:
        connection.in_use -= 1
        connection.used_at = self.clock.monotonic()
        connection.channels.release()

    def _connection(self, target: Target) -> tuple[_Connection, bool]:
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
            self._watch()
            return fresh, True

    def _connect(self, target: Target) -> _Connection:
        transport = hop = None
        try:
            hop = self._hop(target)
            transport = paramiko.Transport(self._socket(target, hop))
            transport.banner_timeout = transport.auth_timeout = self.settings.connect_timeout
            # Only ed25519 keys are pinned; offering others would let a host choose one that nobody knows.
            transport.get_security_options().key_types = ("ssh-ed25519",)
            transport.start_client(timeout=self.settings.connect_timeout)
            _check_identity(transport, target)
            transport.auth_publickey(target.user, _private_key(target))
            transport.set_keepalive(self.settings.keepalive)
            return _Connection(transport, threading.Semaphore(self.settings.channels), self.clock.monotonic(), hop)
        except (paramiko.SSHException, EOFError, OSError, HostKeyChanged) as error:
            if transport is not None:
                transport.close()
            self._release(hop)
            raise _translated(error, target) from error

    def _hop(self, target: Target) -> _Connection | None:
        if target.jump is None:
            return None
        hop, _ = self._connection(target.jump)
        hop.in_use += 1
        return hop

    def _socket(self, target: Target, hop: _Connection | None) -> socket.socket | paramiko.Channel:
        if hop is not None:
            return hop.transport.open_channel(
                "direct-tcpip", (target.addr, target.port), ("127.0.0.1", 0), timeout=self.settings.connect_timeout
            )
        connected = socket.create_connection((target.addr, target.port), timeout=self.settings.connect_timeout)
        # Without this each small packet waits for the other side's delayed acknowledgement, 40 ms.
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self.settings.silence * 1000))
        return connected

    def _retire(self, target: Target, connection: _Connection) -> None:
        """Close a connection that failed, unless another has taken its place already."""
        if self._connections.get(_key(target)) is connection:
            self._close(_key(target), connection)
        else:
            connection.transport.close()

    def _close(self, key: tuple[str, int, str, str], connection: _Connection) -> None:
        if self._connections.pop(key, None) is connection:
            self._release(connection.hop)
        connection.transport.close()

    def _release(self, hop: _Connection | None) -> None:
        if hop is not None:
            hop.in_use -= 1
            hop.used_at = self.clock.monotonic()

    def _watch(self) -> None:
        if not self._watched:
            self._watched = True
            threading.Thread(target=self._keep_watch, daemon=True, name="ssh-watch").start()

    def _keep_watch(self) -> None:
        """Close what is idle, and what hangs past its deadline where no timeout of the library reaches."""
        pause = threading.Event()
        while self._connections:
            pause.wait(self.settings.watch_seconds)
            try:
                self._end_overdue()
                self.close_idle()
            except (paramiko.SSHException, EOFError, OSError) as error:
                # A connection may break under the good-bye itself; the others are still to be watched.
                log.debug("a connection broke while it was closed: %s", error)
        self._watched = False
        # Whoever connected between the last look and this line found a watch that was about to end.
        if self._connections:
            self._watch()

    def _end_overdue(self) -> None:
        """Close channels past their deadline, and the whole connection where even that does not get through."""
        limit = self.clock.monotonic() - 2 * self.settings.watch_seconds
        for connection in list(self._connections.values()):
            for deadline, channel in list(connection.commands.values()):
                if deadline < limit:
                    try:
                        channel.close()
                    except (paramiko.SSHException, EOFError, OSError):
                        connection.transport.close()


def _key(target: Target) -> tuple[str, int, str, str]:
    return target.addr, target.port, target.user, target.known_host


def _is_lost(transport: paramiko.Transport) -> bool:
    # A session that was refused to somebody else is remembered there as well.
    broken = transport.saved_exception
    return not transport.is_active() or not (broken is None or _is_refused_session(broken))


def _is_refused_session(error: BaseException) -> bool:
    """Whether the host only refused a session. Of two refusals at the same moment paramiko keeps the words of one."""
    return isinstance(error, paramiko.ChannelException) or str(error) == "Unable to open channel."


def _translated(error: Exception, target: Target) -> Exception:
    if isinstance(error, HostKeyChanged):
        return error
    where = f"{target.name} ({target.addr}:{target.port})"
    if isinstance(error, paramiko.ssh_exception.IncompatiblePeer) and "host key" in str(error):
        return HostKeyChanged(
            f"{where} does not have the pinned host key; nothing was sent to it", expected=target.known_host,
            seen="no ed25519 key", what_to_do=_LOOK_INTO_IT,
        )  # fmt: skip
    if isinstance(error, paramiko.AuthenticationException) and _is_refusal(error):
        return HostUnreachable(f"{where} refuses the cluster's key for {target.user}")
    return HostUnreachable(f"{where} does not answer: {str(error) or type(error).__name__}")


def _is_refusal(error: paramiko.AuthenticationException) -> bool:
    """Whether the host said no; paramiko has the same class for a line that breaks or falls silent meanwhile."""
    return isinstance(error, paramiko.BadAuthenticationType) or str(error) == "Authentication failed."


def _check_identity(transport: paramiko.Transport, target: Target) -> None:
    shown = transport.get_remote_server_key()
    seen = f"{shown.get_name()} {shown.get_base64()}"
    pinned = [" ".join(line.split()[:2]) for line in target.known_host.splitlines() if line.strip()]
    if seen not in pinned:
        raise HostKeyChanged(
            f"{target.name} ({target.addr}) shows another host key than the pinned one; nothing was sent to it",
            expected=target.known_host, seen=seen,
            what_to_do=_LOOK_INTO_IT,
        )  # fmt: skip


def _private_key(target: Target) -> paramiko.PKey:
    passphrase = target.passphrase.reveal() or None
    return paramiko.Ed25519Key.from_private_key(io.StringIO(target.private_key.reveal()), password=passphrase)
