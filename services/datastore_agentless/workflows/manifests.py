"""What is told of a backup: its manifest, version 1, which is kept beside its parts and can be read without DTrove."""

from __future__ import annotations

from typing import Any

from services.datastore_agentless.backup_stores.base import Part
from services.datastore_agentless.backup_stores.transfer import Sent
from services.datastore_agentless.datastores.base.dumping import Mark
from services.datastore_agentless.domain import tally
from services.datastore_agentless.domain.backup import Backup
from services.datastore_agentless.hosts.base import Run, Script
from shared.contracts.backups import BackupFacts

VERSION = 1
_TOOLS = 'for t in zstd age bash; do echo "$t $($t --version 2>&1 | head -n 1)"; done'
_SAMPLE = "zstd *** Zstandard CLI (64-bit) v1.5.4 ***\nage 1.1.1\nbash GNU bash, version 5.2.15(1)-release\n"


def tools() -> Script:
    """On a node: what its tools say of their versions, by their names."""
    said = yield Run(_TOOLS, title="see the versions of the tools", changes=False, sample=_SAMPLE)
    lines = (line.partition(" ") for line in said.stdout.splitlines())
    return {name: words for name, _, words in lines}


def begun(backup: Backup, mark: Mark) -> dict[str, Any]:
    """What is known of a backup once it begins."""
    return {
        "version": VERSION, "backup": backup.id, "cluster": {"id": backup.cluster_id, "name": backup.cluster_name},
        "project": backup.project_id, "datastore": backup.datastore, "engine": mark.engine, "kind": backup.kind,
        "base": backup.base_id, "begun": _moment(mark),
    }  # fmt: skip


def ended(mark: Mark, sent: Sent) -> dict[str, Any]:
    """What is known once all of it was sent; `taken` is what others need to build upon it, null where nobody can."""
    return {
        "ended": _moment(mark), "size_bytes": sent.size_bytes, "stored_bytes": sum(part.size for part in sent.parts),
        "parts": [vars(part) for part in sent.parts], "taken": vars(sent.taken) if sent.taken else None,
    }  # fmt: skip


def parts_of(backup: Backup) -> list[Part]:
    """The parts that a manifest tells of."""
    return [Part(**one) for one in backup.manifest["parts"]]


def facts(backup: Backup) -> BackupFacts:
    """What others are told of a backup that is whole."""
    told = backup.manifest
    return BackupFacts(engine=told["engine"], begun_at=told["begun"]["at"], ended_at=told["ended"]["at"],
                       position=told["begun"]["position"], size_bytes=told["size_bytes"],
                       stored_bytes=told["stored_bytes"], parts=len(told["parts"]),
                       tally=tally.facts(counted(backup)))  # fmt: skip


def counted(backup: Backup) -> tally.Tally | None:
    """What was counted beside it; None: nobody did."""
    return tally.read(backup.manifest.get("tally"))


def _moment(mark: Mark) -> dict[str, str]:
    return {"at": mark.at, "position": mark.position}
