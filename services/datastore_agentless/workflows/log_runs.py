"""One run of a log on its way: sent from its node, whole in the store, noted, and joined to what comes before it or not."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.datastore_agentless.backup_stores import transfer
from services.datastore_agentless.backup_stores.base import BackupStore, Part, Sending
from services.datastore_agentless.datastores.base.archiving import Archiving, Piece
from services.datastore_agentless.domain.archive import Archive, LogRun
from services.datastore_agentless.domain.backup import Backup
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Run, Script
from services.datastore_agentless.hosts.jobs import JobFolder
from services.datastore_agentless.store import archives, backups
from services.datastore_agentless.workflows.keeping import Keeping
from services.datastore_agentless.workflows.send_backup import ADDED_BYTES, ADDED_SHARE
from shared.db import Tx
from shared.errors import Cancelled, DtroveError, Failure, NotFound, StaleEpoch

VERSION = 1
# A store that is away is tried again in the next turn: a turn that waits for it looks at no other node meanwhile.
MANNER = transfer.Manner(patience=300)
# What tar has of each file beside its bytes, and at its end.
_PER_FILE, _END = 1024, 10_240
Check = Callable[[], None]


@dataclass(frozen=True)
class Turn:
    """A turn's part on one node; `backup` is the one in whose store the log goes. `check` raises where it is to end."""

    archive: Archive
    node: Instance
    backup: Backup
    check: Check


@dataclass(frozen=True)
class LogRuns:
    """How a run gets from a node to the store, and into the archive."""

    keeping: Keeping

    def run(self, turn: Turn, script: Script, goes_well: Check | None = None) -> Any:
        """Run a script on the turn's node, under the epoch of the archive's lease."""

        def check() -> None:
            turn.check()
            if goes_well:
                goes_well()

        return self.keeping.hosts.work(turn.node, script, subject(turn.archive), turn.archive.epoch, check)

    def send(self, turn: Turn, archiving: Archiving, run: Sequence[Piece], names: Sequence[str]) -> LogRun:
        """Bring one run to the store, and note it; one that is there already, of a turn that was cut off, is noted as it is."""
        archive, first, store = turn.archive, run[0], self.keeping.store(turn.backup)
        of = f"{archive.history}/" if archive.history else ""
        key = f"{archive.project_id}/{archive.cluster_id}/log/{of}{first.line}/{turn.node.id}/{first.number:012d}"
        at_most = int((sum(one.size + _PER_FILE for one in run) + _END) * (1 + ADDED_SHARE)) + ADDED_BYTES
        try:
            way = store.begin(key, at_most)
        except Failure:
            if (told := _kept(store, key)) is None:
                raise
            return self._note(turn, archiving, first, key, told)
        with self.keeping.hosts.database.write() as tx:
            recipient = backups.age_key(tx, archive.project_id).public
        told = {
            "version": VERSION, "cluster": archive.cluster_id, "project": archive.project_id, "instance": turn.node.id,
            "recipient": recipient, "line": first.line, "first": first.number, "last": run[-1].number, "files": list(names),
            "bytes": sum(one.size for one in run),
            "at": max(one.at for one in run),
            **({"begins": first.begins, "ends": run[-1].ends} if run[-1].ends else {}),
        }  # fmt: skip
        job = f"send-log-{archive.epoch}-{first.line}-{first.number}"
        try:
            script = transfer.send(way, archiving.sends(turn.node, names), recipient, job, manner=MANNER)
            parts = self._carry(turn, store, key, way, script)
            self.run(turn, _forget(JobFolder(f"{subject(archive)}-{job}")))
            told["parts"] = [vars(part) for part in parts]
            store.finish(key, way.token, parts, json.dumps(told, indent=2, sort_keys=True).encode())
        except (Cancelled, StaleEpoch):
            raise
        except DtroveError:
            self._give_up(turn, store, key, way.token)
            raise
        return self._note(turn, archiving, first, key, told)

    def _carry(self, turn: Turn, store: BackupStore, key: str, way: Sending, script: Script) -> Sequence[Part]:
        with store.carried(self.keeping.hosts.target(turn.node), key, way) as goes_well:
            sent: transfer.Sent = self.run(turn, script, goes_well)
        return sent.parts

    def _give_up(self, turn: Turn, store: BackupStore, key: str, token: str) -> None:
        """Keep nothing of what was begun, unless somebody else has begun the same by now. Raises StaleEpoch then."""
        with self.keeping.hosts.database.write() as tx:
            archives.save(tx, turn.archive)
        with suppress(DtroveError):
            store.abandon(key, token)

    def _note(self, turn: Turn, archiving: Archiving, first: Piece, key: str, told: dict[str, Any]) -> LogRun:
        """From here on it is part of the archive."""
        archive = turn.archive
        with self.keeping.hosts.database.write() as tx:
            joined = _joins(tx, archiving, turn, first)
            stored = sum(Part(**one).size for one in told["parts"])
            noted = LogRun(key, archive.cluster_id, turn.node.id, first.line, first.number, told["last"], moment(told["at"]),
                           turn.backup.store, joined, stored, told, told.get("begins", ""), told.get("ends", ""), archive.history)  # fmt: skip
            if not joined:
                archive.broken_at = tx.database.clock.now()
            archives.save(tx, archive)
            archives.add(tx, noted)
        return noted


def subject(archive: Archive) -> str:
    """What only one may work on at a time, as nodes know it."""
    return f"archive:{archive.cluster_id}"


def moment(seconds: float) -> datetime:
    """A time of a host's clock."""
    return datetime.fromtimestamp(seconds, UTC)


def _joins(tx: Tx, archiving: Archiving, turn: Turn, first: Piece) -> bool:
    """Whether a piece comes right after what is safe. The first of all begins a chain."""
    of, node = (turn.archive.cluster_id, turn.archive.history), turn.node
    newest = archives.newest(tx.connection, *of)
    if newest is None or archives.has(tx.connection, *of, node.id, first.line, first.number - 1):
        return True
    if (newest.line, newest.instance_id) == (first.line, node.id):
        return False
    return archiving.joins(newest, first)


def _kept(store: BackupStore, key: str) -> dict[str, Any] | None:
    """What lies beside a run that is whole in the store, or None."""
    try:
        told: dict[str, Any] = json.loads(store.manifest(key))
    except NotFound:
        return None
    return told


def _forget(job: JobFolder) -> Script:
    yield Run(job.forget(), title="forget the job that has sent it")
