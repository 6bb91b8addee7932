"""What goes its rounds in a thread of its own; replicas of the service share the work by leases."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod

from shared.contracts.base import new_id
from shared.db import Database, Tx
from shared.errors import DtroveError

ERROR_PAUSE = 1.0
log = logging.getLogger(__name__)


class Rounds(ABC):
    """`tick` does what is due by now; between two of them it rests, until somebody rings the bell at the latest after `rest` seconds."""

    # For whoever reads the log.
    name: str
    rest: float

    def __init__(self, database: Database, worker: str = "") -> None:
        self._database, self._worker = database, worker or new_id()
        self._bell, self._stopping = threading.Event(), False

    def run(self) -> None:
        """Go on until `stop` is called, whatever is in the way."""
        while not self._stopping:
            pause = self.rest
            try:
                self.tick()
            except DtroveError as error:
                log.warning("%s waits: %s", self.name, error)
                pause = ERROR_PAUSE
            except Exception:
                log.exception("%s stumbled", self.name)
                pause = ERROR_PAUSE
            self._bell.wait(pause)
            self._bell.clear()

    def stop(self) -> None:
        """End, and leave to others what is under way here: what runs on hosts is let go of, and begun anew by them."""
        self._stopping = True
        self._bell.set()
        try:
            with self._database.write() as tx:
                self.release(tx)
        except DtroveError as error:
            log.warning("%s leaves its leases to run out: %s", self.name, error)

    @abstractmethod
    def tick(self) -> None:
        """Do what is to be done now, and wait for nothing of it."""

    @abstractmethod
    def release(self, tx: Tx) -> None:
        """Give back every lease that is held."""
