"""One connection: how it is made, to whom, and what went wrong where it could not be made."""

from __future__ import annotations

import io
import socket
import threading
from dataclasses import dataclass, field

import paramiko

from services.datastore_agentless.hosts.base import HostKeyChanged, HostUnreachable, Target
from services.datastore_agentless.hosts.ssh.session import is_refused
from services.datastore_agentless.hosts.ssh.settings import PoolSettings

_LOOK_INTO_IT = "find out whether the server was replaced or somebody stands in between; then delete or rebuild it"


@dataclass
class Connection:
    """A live connection; `hop` is the one that it runs through. `in_use` counts commands and connections on top.

    `commands` holds a deadline (monotonic) and the channel of each that runs.
    """

    transport: paramiko.Transport
    channels: threading.Semaphore
    used_at: float
    hop: Connection | None = None
    in_use: int = 0
    commands: dict[int, tuple[float, paramiko.Channel]] = field(default_factory=dict)

    def is_lost(self) -> bool:
        """Whether it broke; a session that was refused to somebody else is remembered there as well."""
        broken = self.transport.saved_exception
        return not self.transport.is_active() or not (broken is None or is_refused(broken))


def connect(target: Target, hop: Connection | None, settings: PoolSettings) -> paramiko.Transport:
    """A transport to a host that has shown its pinned key and taken ours. Raises HostUnreachable, HostKeyChanged."""
    transport = None
    try:
        transport = paramiko.Transport(_socket(target, hop, settings))
        transport.banner_timeout = transport.auth_timeout = settings.connect_timeout
        # Only ed25519 keys are pinned; offering others would let a host choose one that nobody knows.
        transport.get_security_options().key_types = ("ssh-ed25519",)
        transport.start_client(timeout=settings.connect_timeout)
        _check_identity(transport, target)
        transport.auth_publickey(target.user, _private_key(target))
        transport.set_keepalive(settings.keepalive)
        transport.sock.settimeout(settings.poll)
    except (paramiko.SSHException, EOFError, OSError, HostKeyChanged) as error:
        if transport is not None:
            transport.close()
        raise _translated(error, target) from error
    return transport


def _socket(target: Target, hop: Connection | None, settings: PoolSettings) -> socket.socket | paramiko.Channel:
    if hop is not None:
        return hop.transport.open_channel(
            "direct-tcpip", (target.addr, target.port), ("127.0.0.1", 0), timeout=settings.connect_timeout
        )
    connected = socket.create_connection((target.addr, target.port), timeout=settings.connect_timeout)
    # Without this each small packet waits for the other side's delayed acknowledgement, 40 ms.
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(settings.silence * 1000))
    return connected


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
