"""Brings the log of after a backup to the node that restores it, so that the data can take it up to a moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, cast

from services.datastore_agentless.backup_stores import transfer
from services.datastore_agentless.backup_stores.base import BackupStore, Damaged, Part
from services.datastore_agentless.datastores.base.replaying import Replay, Replaying
from services.datastore_agentless.domain.archive import LogRun
from services.datastore_agentless.domain.backup import Backup
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.store import archives, backups
from services.datastore_agentless.workflows.keeping import Keeping
from services.datastore_agentless.workflows.log_chains import runs_to
from shared.contracts.archives import ArchiveBroken
from shared.errors import Failure
from shared.workflow import StepContext

# So many runs are fetched by one job: one for each would be a day's 1440.
AT_ONCE = 200
# Nobody knows how much of the pieces was written before they were compressed: hardly more than so many times what is stored.
SPREAD = 8
# What is left free beside the data and the log: what the engine needs to begin.
SPARE = 256 * 1024**2
GB = 1024**3


@dataclass(frozen=True)
class LogReplays:
    """The part of a restore that goes past what the backup has."""

    keeping: Keeping

    def bring(
        self, context: StepContext, node: Instance, chain: Sequence[Backup], moment: datetime, job: str = "receive"
    ) -> str:
        """Have the log beside the data to come; returns bash that makes data of the backups' streams, and has them take it.

        `job` is what the names begin with of those that fetch it. Empty where no log is needed. Raises Failure where there
        is no way to the moment, or no room for it on the node.
        """
        replaying, hosts, backup = self._replaying(node), self.keeping.hosts, chain[-1]
        with hosts.database.read() as connection:
            runs = runs_to(connection, replaying, backup, moment)
            key = backups.identity(connection, backup.project_id)
        if not runs:
            return ""
        free = cast("int | None", hosts.run(context, node, replaying.free(node)))
        if free is not None:
            _see_room(node, chain, runs, free)
        for bundle in _bundles(runs):
            context.report(f"fetching the log up to {bundle[-1].at:%Y-%m-%d %H:%M:%S} UTC")
            self._fetch(context, node, replaying, bundle, key.private, job)
        last = runs[-1]
        replay = Replay(moment, last.line, last.manifest["files"][-1], tuple(runs))
        return replaying.receives(node, replay, len(chain))

    def room(self, node: Instance, chain: Sequence[Backup], moment: datetime) -> int:
        """How many bytes the log takes beside the data, about. Raises Failure where there is no way to the moment."""
        with self.keeping.hosts.database.read() as connection:
            return _size(runs_to(connection, self._replaying(node), chain[-1], moment)) + SPARE

    def jobs(self, node: Instance, chain: Sequence[Backup], moment: datetime, job: str) -> list[str]:
        """The names of what fetches it. Raises Failure where there is no way to the moment any more."""
        with self.keeping.hosts.database.read() as connection:
            runs = runs_to(connection, self._replaying(node), chain[-1], moment)
        return [_named(bundle, job) for bundle in _bundles(runs)]

    def forget(self, context: StepContext, node: Instance) -> None:
        """Keep none of it on the node."""
        self.keeping.hosts.run(context, node, self._replaying(node).forget(node))

    def _fetch(
        self,
        context: StepContext,
        node: Instance,
        replaying: Replaying,
        bundle: Sequence[LogRun],
        identity: Any,
        job: str,
    ) -> None:
        first = bundle[0]
        store = self.keeping.stores.get(first.store)
        with self._losing(store, bundle):
            way = store.fetching_all([(run.key, _parts(run)) for run in bundle])
            with store.carried(self.keeping.hosts.target(node), first.key, way) as goes_well:
                watchful = self.keeping.watchful(context, goes_well)
                script = transfer.receive(
                    way, replaying.takes_in(node), identity, _named(bundle, job), title="fetch the log"
                )
                self.keeping.hosts.run(watchful, node, script)

    @contextmanager
    def _losing(self, store: BackupStore, bundle: Sequence[LogRun]) -> Iterator[None]:
        """Within this block runs are fetched: one that is damaged is part of no chain any more, and its place is free for another one.

        It goes from the store first: what lies there under its key is believed by whoever brings the log.
        """
        try:
            yield
        except Damaged as error:
            lost = next((run for run in bundle if run.key == error.key), bundle[0])
            store.remove(lost.key)
            with self.keeping.hosts.database.write() as tx:
                archive = archives.lose(tx, lost, tx.database.clock.now())
                if archive is not None:
                    tx.emit(
                        ArchiveBroken(cluster_id=archive.cluster_id, project_id=archive.project_id, until=archive.until)
                    )
            raise

    def _replaying(self, node: Instance) -> Replaying:
        manager = self.keeping.hosts.manager(node)
        if manager.replaying is None:
            raise Failure(f"{manager.datastore.name} keeps no log that restored data could take",
                          what_to_do="restore a backup as it is, without a time")  # fmt: skip
        return manager.replaying


def _bundles(runs: Sequence[LogRun]) -> Iterator[list[LogRun]]:
    """In order, each of one store, and none too large."""
    for _, there in groupby(runs, key=lambda run: run.store):
        of_store = list(there)
        for begin in range(0, len(of_store), AT_ONCE):
            yield of_store[begin : begin + AT_ONCE]


def _named(bundle: Sequence[LogRun], job: str) -> str:
    first, last = bundle[0], bundle[-1]
    return f"{job}-log-{first.line}-{first.first}-{last.line}-{last.last}"


def _size(runs: Sequence[LogRun]) -> int:
    return sum(min(run.manifest["bytes"], SPREAD * run.stored_bytes) for run in runs)


def _parts(run: LogRun) -> list[Part]:
    return [Part(**one) for one in run.manifest["parts"]]


def _see_room(node: Instance, chain: Sequence[Backup], runs: Sequence[LogRun], free: int) -> None:
    """Raises Failure where the data and the log would fill the volume."""
    log = _size(runs)
    data = sum(one.size_bytes for one in chain)
    need = data + log + SPARE
    if free < need:
        raise Failure(
            f"{node.name} has {free / GB:.1f} GB left, and needs {need / GB:.1f}: {data / GB:.1f} for the data "
            f"and {log / GB:.1f} for the log up to that moment",
            what_to_do=f"delete this cluster, and restore with a volume larger by {(need - free) / GB + 1:.0f} GB or more",
        )
