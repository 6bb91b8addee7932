"""Sessions: the channels that commands run in."""

from __future__ import annotations

import threading
from typing import Any

import paramiko
from paramiko.common import MSG_CHANNEL_DATA

from shared.clock import Clock

# Between two asks of a host that still counts sessions which have ended.
REFUSED_PAUSE = 0.02


class Session:
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
        self.recv_exit_status, self.recv_ready = channel.recv_exit_status, channel.recv_ready

    def send(self, s: bytes) -> int:
        """Send what the other side has room for; returns how many bytes that were."""
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
        """Say that nothing more is to come."""
        with self._channel.lock:
            message = self._channel._send_eof()
            if message is not None:
                self._channel.transport._send_user_message(message)


def open_session(transport: paramiko.Transport, seconds: float, clock: Clock) -> paramiko.Channel:
    """A session; sshd may still be busy closing earlier ones, which count against its MaxSessions, so ask for `seconds`.

    Raises paramiko.SSHException, EOFError or OSError.
    """
    until = clock.monotonic() + seconds
    while True:
        try:
            return transport.open_session(timeout=seconds)
        except paramiko.SSHException as error:
            if not is_refused(error) or clock.monotonic() > until:
                raise
            clock.sleep(REFUSED_PAUSE)


def is_refused(error: BaseException) -> bool:
    """Whether the host only refused a session. Of two refusals at the same moment paramiko keeps the words of one."""
    return isinstance(error, paramiko.ChannelException) or str(error) == "Unable to open channel."
