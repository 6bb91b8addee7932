"""Who closes connections that are idle, and ends what hangs where no timeout of the library reaches."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import paramiko

from services.datastore_agentless.hosts.ssh.connection import Connection
from shared.clock import Clock

log = logging.getLogger(__name__)


class Watch:
    """A thread that looks every `seconds` at the connections there are, for as long as there are any."""

    def __init__(
        self, connections: Callable[[], list[Connection]], close_idle: Callable[[], None], seconds: float, clock: Clock
    ) -> None:
        self._connections, self._close_idle = connections, close_idle
        self._seconds, self._clock = seconds, clock
        self._runs = False

    def begin(self) -> None:
        """Watch from now on; harmless where that is done already."""
        if not self._runs:
            self._runs = True
            threading.Thread(target=self._keep, daemon=True, name="ssh-watch").start()

    def _keep(self) -> None:
        pause = threading.Event()
        while self._connections():
            pause.wait(self._seconds)
            try:
                self._end_overdue()
                self._close_idle()
            except (paramiko.SSHException, EOFError, OSError) as error:
                # A connection may break under the good-bye itself; the others are still to be watched.
                log.debug("a connection broke while it was closed: %s", error)
        self._runs = False
        # Whoever connected between the last look and this line found a watch that was about to end.
        if self._connections():
            self.begin()

    def _end_overdue(self) -> None:
        """Close channels past their deadline, and the whole connection where even that does not get through."""
        limit = self._clock.monotonic() - 2 * self._seconds
        for connection in self._connections():
            for deadline, channel in list(connection.commands.values()):
                if deadline < limit:
                    try:
                        channel.close()
                    except (paramiko.SSHException, EOFError, OSError):
                        connection.transport.close()
