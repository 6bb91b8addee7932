"""The archiver: takes archives that are due and has a turn made on each; replicas of the service share them by leases."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Collection
from datetime import timedelta

from services.datastore_agentless.datastores.base.archiving import SPOOLED
from services.datastore_agentless.domain.archive import Archive
from services.datastore_agentless.rounds import Rounds
from services.datastore_agentless.store import archives
from shared.db import Database, Tx
from shared.errors import Cancelled, DtroveError, StaleEpoch

ENROL_SECONDS, LEASE_SECONDS = 2.0, 30.0
# So many turns are made side by side.
ROOM = 48
JITTER = 0.1
# What has come in a turn, from so many pieces on, is no more than what comes meanwhile: the next one begins at once.
MANY = SPOOLED // 2
# Makes one turn, asking the second now and then whether it may go on; returns how many pieces it has brought, None once nothing is
# kept any more.
Turn = Callable[[Archive, Callable[[], None]], int | None]
log = logging.getLogger(__name__)


class Archiver(Rounds):
    """`turn` is ArchiveLog's; `archived` says which datastores' logs are kept; a cluster is due again after `seconds`."""

    name, rest = "the archiver", 0.5

    def __init__(
        self, database: Database, turn: Turn, archived: Callable[[], Collection[str]], seconds: float, worker: str = ""
    ) -> None:
        super().__init__(database, worker)
        self._turn, self._archived, self._seconds = turn, archived, seconds
        self._held: dict[str, Archive] = {}
        self._enrol_at = self._renew_at = 0.0

    def release(self, tx: Tx) -> None:
        archives.release(tx, self._worker)

    def tick(self) -> None:
        """Do what is to be done now; turns go on meanwhile."""
        now = self._database.clock.monotonic()
        if now >= self._enrol_at:
            self._enrol_at = now + ENROL_SECONDS
            self._enrol()
        if now >= self._renew_at:
            self._renew_at = now + LEASE_SECONDS / 3
            self._renew()
        if (room := ROOM - len(self._held)) > 0 and not self._stopping:
            self._take(room)

    @property
    def busy(self) -> int:
        """How many turns are under way."""
        return len(self._held)

    def _enrol(self) -> None:
        with self._database.read() as connection:
            new = archives.unarchived(connection, self._archived())
        for cluster_id, project_id in sorted(new):
            with self._database.write() as tx:
                archives.enrol(tx, cluster_id, project_id)

    def _renew(self) -> None:
        if held := list(self._held.values()):
            with self._database.write() as tx:
                archives.renew(tx, held, LEASE_SECONDS)

    def _take(self, room: int) -> None:
        with self._database.read() as connection:
            if not archives.is_due(connection, self._database.clock.now()):
                return
        with self._database.write() as tx:
            mine = archives.claim(tx, self._worker, LEASE_SECONDS, room)
        for archive in mine:
            self._held[archive.cluster_id] = archive
            threading.Thread(target=self._work, args=(archive,), daemon=True).start()

    def _work(self, archive: Archive) -> None:
        try:
            brought = self._turn(archive, self._check)
            if brought is not None:
                self._give_back(archive, 0.0 if brought >= MANY else self._seconds)
        except (Cancelled, StaleEpoch) as error:
            log.info("the log of cluster %s is left to others: %s", archive.cluster_id, error)
        except DtroveError as error:
            # Its lease is left to run out, so that a fault of this kind is met no more often than that.
            log.warning("the log of cluster %s waits: %s", archive.cluster_id, error)
        except Exception:
            log.exception("the log of cluster %s could not be brought to its store", archive.cluster_id)
        finally:
            # By now it may be here once more, under a newer lease.
            if self._held.get(archive.cluster_id) is archive:
                del self._held[archive.cluster_id]

    def _give_back(self, archive: Archive, seconds: float) -> None:
        pause = seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load
        with self._database.write() as tx:
            archives.give_back(tx, archive, tx.database.clock.now() + timedelta(seconds=pause))

    def _check(self) -> None:
        if self._stopping:
            raise Cancelled("this process ends")
