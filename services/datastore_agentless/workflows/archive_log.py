"""Turns the pieces of a log that wait on a cluster's nodes into runs in a store: one turn after the other, for as long as it lives.

Not an operation: nobody has asked for a turn, and nobody waits for it. What it comes to is held in the cluster's archive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from services.datastore_agentless.backup_stores import transfer
from services.datastore_agentless.datastores.base.archiving import SPOOLED, Archiving, Spool, runs
from services.datastore_agentless.datastores.base.chains import SETTLED, Chain
from services.datastore_agentless.domain.archive import Archive, LogRun, bases, mended
from services.datastore_agentless.domain.backup import Backup
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.instance import GOING, Instance, Status
from services.datastore_agentless.store import archives, backups, catalogue, clusters
from services.datastore_agentless.workflows.keeping import Keeping
from services.datastore_agentless.workflows.log_chains import of_cluster, told, wants_base
from services.datastore_agentless.workflows.log_runs import Check, LogRuns, Turn, moment, subject
from shared.contracts.archives import ArchiveBroken, ArchiveSeen, LogChain
from shared.db import Tx
from shared.errors import Cancelled, DtroveError, Failure, StaleEpoch

CLOCKS_APART = timedelta(hours=1)
# DTrove asks for a full backup by itself no more often than that.
RENEWED_AT_MOST = timedelta(hours=1)
# Beside the time from one look to the next, twice.
STALE_AFTER = timedelta(minutes=5)
# So many pieces go in one run, and so many runs that nothing is built upon any more go in one turn.
RUN_PIECES, DROPPED_AT_ONCE = SPOOLED // 2, 20


@dataclass(frozen=True)
class ArchiveLog:
    """One turn on one cluster, for whoever has the lease of its archive."""

    keeping: Keeping
    # Has a full backup of a cluster made, like those that there are.
    renew: Callable[[Tx, Sequence[Backup]], None]
    # A log that is kept no further than so long ago is stale.
    stale_after: timedelta = STALE_AFTER

    def turn(self, archive: Archive, check: Check) -> int | None:
        """Bring what waits into the store; returns how many pieces that were, None once nothing is kept any more.

        Raises StaleEpoch where somebody else has it by now, and what `check` raises.
        """
        with self.keeping.hosts.database.read() as connection:
            cluster = clusters.find_cluster(connection, archive.cluster_id)
            nodes = clusters.instances(connection, archive.cluster_id)
            known = backups.of_cluster(connection, archive.cluster_id)
        based_on = bases(known, archive.history)
        before = _told(archive)
        ready = [node for node in nodes if node.status == Status.READY]
        if cluster is None or cluster.status != ClusterStatus.ACTIVE:
            ready = []
        troubles = list[str]()
        self._drop_useless(archive, known, troubles)
        if not based_on:
            if any(bases(known, one) for one in {backup.history for backup in known}):
                return self._wait_for_base(archive, known, serves=bool(ready))
            return None if self._end(archive, nodes, ready, check, troubles) else 0
        if mended(archive, based_on):
            archive.broken_at = None
        brought = 0
        for node in ready:
            with _noting(troubles, node.name):
                brought += self._of_node(Turn(archive, node, based_on[-1], check), troubles)
        archive.trouble = "; ".join(troubles)
        with self.keeping.hosts.database.write() as tx:
            known = backups.of_cluster(tx.connection, archive.cluster_id)
            self._conclude(tx, archive, bases(known, archive.history) or based_on, serves=bool(ready))
            if brought or _told(archive) != before:
                tx.emit(ArchiveSeen(**_told(archive), chains=self._chained(tx.connection, known)))
            if archive.broken_at not in (None, before["broken_at"]):
                tx.emit(
                    ArchiveBroken(cluster_id=archive.cluster_id, project_id=archive.project_id, until=archive.until)
                )
        return brought

    def _wait_for_base(self, archive: Archive, known: Sequence[Backup], *, serves: bool) -> int:
        """Data that took the place of others have no full backup yet: one is asked for, like those of the others, and no log kept before."""
        with self.keeping.hosts.database.write() as tx:
            if serves and self._may_renew(archive):
                archive.renewed_at = self._now()
                former = sorted((one for one in known if bases([one], one.history)), key=lambda one: one.created_at)
                self.renew(tx, former)
                tx.emit(ArchiveSeen(**_told(archive), chains=self._chained(tx.connection, known)))
            archives.save(tx, archive)
        return 0

    def _conclude(self, tx: Tx, archive: Archive, based_on: Sequence[Backup], *, serves: bool) -> None:
        """Store what a turn has come to: whether a hole was filled, whether the log is stale, and whether a full backup is needed."""
        found = self._chains(tx.connection, based_on[-1])
        wants = wants_base(found, based_on)
        if archive.broken_at is not None and _fill(tx, archive, found) and not wants:
            archive.broken_at = None
        late = archive.until is not None and self._now() - archive.until > self.stale_after
        archive.stale = serves and (late or archive.broken_at is not None)
        # While a node does not answer, what is missing may be on it.
        if serves and wants and not archive.trouble and self._may_renew(archive):
            archive.renewed_at = self._now()
            self.renew(tx, based_on)
        archives.save(tx, archive)

    def _chains(self, connection: Connection, backup: Backup) -> list[Chain]:
        """Those of the data that a backup is of."""
        entry = catalogue.find(connection, "", backup.datastore["manager"], backup.datastore["version"])
        replaying = None if entry is None else self.keeping.hosts.manager_for(entry).replaying
        return [] if replaying is None else of_cluster(connection, replaying, backup.cluster_id, backup.history)

    def _chained(self, connection: Connection, known: Sequence[Backup]) -> tuple[LogChain, ...]:
        """From which backups a log goes on, also of data that gave way to others."""
        found = list[LogChain]()
        for history in sorted({one.history for one in known}):
            if based_on := bases(known, history):
                found += told(self._chains(connection, based_on[-1]), based_on)
        return tuple(sorted(found, key=lambda one: one.until))

    def _may_renew(self, archive: Archive) -> bool:
        return archive.renewed_at is None or self._now() - archive.renewed_at > RENEWED_AT_MOST

    def _of_node(self, turn: Turn, troubles: list[str]) -> int:
        """Bring what waits on one node; returns how many pieces. `until` moves on where that is the node which writes, and nothing is left to be brought."""
        archiving, archive, node = self._archiving(turn.node), turn.archive, turn.node
        spool = self._look(turn, archiving)
        if archive.begun.get(node.id) != node.server or not spool.runs:
            self._begin(turn, archiving)
            spool = self._look(turn, archiving)
        if not spool.runs:
            troubles.append(f"{node.name} keeps its log from its next start on: restart the cluster")
        if spool.failing:
            troubles.append(f"{node.name} could not put {spool.failing} where it is fetched from; its own log says why")
        if spool.lost:
            archive.broken_at = self._now()
            self._save(archive)
            self._sending.run(turn, archiving.let_go(node, spool.lost))
            troubles.append(f"{node.name} has given up {len(spool.lost)} pieces of its log: its disk is nearly full")
        self._bring(turn, archiving, spool)
        self._vouch(archive, spool)
        return len(spool.pieces)

    def _begin(self, turn: Turn, archiving: Archiving) -> None:
        node, manager = turn.node, archiving.manager
        self._sending.run(turn, manager.install_packages(node, transfer.PACKAGES))
        self._sending.run(turn, manager.install_packages(node, archiving.packages))
        self._sending.run(turn, archiving.begin(node))
        turn.archive.begun = {**turn.archive.begun, node.id: node.server}
        self._save(turn.archive)

    def _bring(self, turn: Turn, archiving: Archiving, spool: Spool) -> None:
        """Run after run, oldest line first; the node lets go of each once it is noted, and of what was noted before.

        Of a line that has just begun the newest piece is always brought: it says that the line goes on from the one before.
        """
        of = (turn.archive.cluster_id, turn.archive.history)
        with self.keeping.hosts.database.read() as connection:
            newest = archives.newest(connection, *of)
            safe = {one.name for one in spool.pieces
                    if archives.has(connection, *of, turn.node.id, one.line, one.number)}  # fmt: skip
        if newest is not None:
            safe |= {one.name for one in spool.pieces[:-1] if one.line != newest.line and archiving.has(newest, one)}
        if safe:
            self._sending.run(turn, archiving.let_go(turn.node, sorted(safe)))
        told = set[str]()
        for run in runs((one for one in spool.pieces if one.name not in safe), RUN_PIECES):
            beside = [name for line, name in spool.beside if line == run[0].line and name not in told]
            names = [*beside, *(one.name for one in run)]
            noted = self._sending.send(turn, archiving, run, names)
            told.update(beside)
            gone = [*beside, *(one.name for one in run if one.number <= noted.last)]
            self._sending.run(turn, archiving.let_go(turn.node, gone))

    def _vouch(self, archive: Archive, spool: Spool) -> None:
        """Move `until` on by what a look at the node that writes has found, once all of that is safe.

        Of a line of which nothing is safe yet, nobody knows whether it goes on without a hole.
        """
        with self.keeping.hosts.database.read() as connection:
            newest = archives.newest(connection, archive.cluster_id, archive.history)
        if archive.broken_at is not None or not spool.line or (newest is not None and newest.line != spool.line):
            return
        known = [one for one in (archive.until, newest.at - SETTLED if newest else None) if one is not None]
        if spool.covers is not None:
            # A host in memory has no clock of its own.
            known.append(moment(spool.covers + (0.0 if spool.at else self._now().timestamp())))
        archive.until = max(known, default=None)

    def _drop_useless(self, archive: Archive, known: Sequence[Backup], troubles: list[str]) -> None:
        """Runs that end before the oldest backup of their data was begun: nobody builds upon them. A node's clock may be off."""
        useless = list[LogRun]()
        with self.keeping.hosts.database.read() as connection:
            for history in archives.histories(connection, archive.cluster_id):
                based_on = bases(known, history)
                oldest = based_on[0].created_at - CLOCKS_APART if based_on else None
                useless += archives.older(connection, archive.cluster_id, history, oldest, DROPPED_AT_ONCE)
        for run in useless:
            with _noting(troubles, run.store):
                self.keeping.stores.get(run.store).remove(run.key)
                with self.keeping.hosts.database.write() as tx:
                    archives.save(tx, archive)
                    archives.drop(tx, run.key)

    def _end(
        self, archive: Archive, nodes: Sequence[Instance], ready: Sequence[Instance], check: Check, troubles: list[str]
    ) -> bool:
        """Without a backup a log is of no use: have nodes keep none, each as soon as it can be told. Whether nothing is left."""
        for node in ready:
            if archive.begun.get(node.id) == node.server:
                with _noting(troubles, node.name):
                    script = self._archiving(node).end(node)
                    self.keeping.hosts.work(node, script, subject(archive), archive.epoch, check)
                    archive.begun = {key: value for key, value in archive.begun.items() if key != node.id}
        archive.until, archive.broken_at, archive.trouble, archive.stale = None, None, "; ".join(troubles), False
        with self.keeping.hosts.database.write() as tx:
            keeps = any(archive.begun.get(node.id) == node.server for node in nodes if node.status not in GOING)
            left = keeps or bool(troubles) or bool(archives.histories(tx.connection, archive.cluster_id))
            if left:
                archives.save(tx, archive)
            else:
                archives.forget(tx, archive)
                tx.emit(ArchiveSeen(**_told(archive), ended=True))
        return not left

    @property
    def _sending(self) -> LogRuns:
        return LogRuns(self.keeping)

    def _archiving(self, node: Instance) -> Archiving:
        manager = self.keeping.hosts.manager(node)
        if manager.archiving is None:
            raise Failure(f"the log of {manager.datastore.name} is not kept")
        return manager.archiving

    def _look(self, turn: Turn, archiving: Archiving) -> Spool:
        spool: Spool = self._sending.run(turn, archiving.look(turn.node))
        return spool

    def _save(self, archive: Archive) -> None:
        with self.keeping.hosts.database.write() as tx:
            archives.save(tx, archive)

    def _now(self) -> datetime:
        return self.keeping.hosts.database.clock.now()


@contextmanager
def _noting(troubles: list[str], where: str) -> Iterator[None]:
    """Within this block, what is known to go wrong becomes a trouble: others are not kept waiting for it."""
    try:
        yield
    except (Cancelled, StaleEpoch):
        raise
    except DtroveError as error:
        troubles.append(error.message if where in error.message else f"{where}: {error.message}")


def _fill(tx: Tx, archive: Archive, found: Sequence[Chain]) -> bool:
    """Whether runs that did not join when they came do by now, as where a former primary has come back with what was missing."""
    filled = [
        run for run in archives.unjoined(tx.connection, archive.cluster_id, archive.history)
        for number, one in enumerate(found[0].stretches if found else ())
        if (one.instance_id, one.line) == (run.instance_id, run.line) and one.first <= run.first <= one.last
        and (number or run.first > one.first)
    ]  # fmt: skip
    for run in filled:
        archives.join(tx, run.key)
    return bool(filled)


def _told(archive: Archive) -> dict[str, Any]:
    """What others hear of it."""
    return {"cluster_id": archive.cluster_id, "project_id": archive.project_id, "until": archive.until,
            "broken_at": archive.broken_at, "trouble": archive.trouble, "stale": archive.stale}  # fmt: skip
