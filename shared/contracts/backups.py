"""What datastore_agentless announces of backups, and how a backup is described wherever it is spoken of."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.contracts.base import Event, event
from shared.contracts.values import Problem

FULL, INCREMENTAL = "full", "incremental"


@dataclass(frozen=True, kw_only=True)
class DatabaseTally:
    """What was counted of one database: tables, their rows, and of how many of them there is a checksum. Of Redis rows are keys."""

    name: str
    tables: int = 0
    rows: int = 0
    sums: int = 0


@dataclass(frozen=True, kw_only=True)
class TallyFacts:
    """What was counted beside a backup, and is held against its data when they are restored for a proof.

    `changed` tables were written to meanwhile, and `left` were too large or too many: of these nothing is kept. `why` says why nothing
    was counted at all. `databases` are the first hundred.
    """

    databases: tuple[DatabaseTally, ...] = ()
    tables: int = 0
    rows: int = 0
    sums: int = 0
    changed: int = 0
    left: int = 0
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class BackupFacts:
    """What is known of a backup that is whole. Times are RFC 3339 in UTC; empty and 0: not known, as of one that a manager of
    somebody's own has made by its own `backup`.

    `begun_at` and `ended_at` are the engine's: what was acknowledged before the first is in it, nothing from after the second is.
    `tally` is null where nobody counts.
    """

    engine: str = ""
    begun_at: str = ""
    ended_at: str = ""
    position: str = ""
    size_bytes: int = 0
    stored_bytes: int = 0
    parts: int = 0
    tally: TallyFacts | None = None


@dataclass(frozen=True, kw_only=True)
class ProofCheck:
    """What a user wants to have asked of restored data: a statement of its engine's, and what it must answer; null: anything
    but an error. `database` is where it is asked; empty: where the engine's own client begins.
    """

    name: str
    sql: str
    database: str = ""
    expect: str | None = None


@dataclass(frozen=True, kw_only=True)
class ProofWish:
    """A cluster is wanted for nothing but to prove a backup: it serves nobody, and ends with the proof.

    `cluster_id` is whose backup it is.
    """

    cluster_id: str
    checks: tuple[ProofCheck, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """What became of one check of restored data: what was found, and, where it did not pass, why."""

    name: str
    passed: bool
    found: str = ""
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What was seen of a backup's data on the server that they were restored to.

    `seconds` is from the wish to an engine that answers with them, `rpo_seconds` how old the newest of them were at that moment.
    `counts` has numbers of databases, tables, rows or keys, as the engine has such.
    """

    engine: str
    seconds: float
    rpo_seconds: float
    counts: dict[str, int] = field(default_factory=dict)
    checks: tuple[CheckResult, ...] = ()


@event("backup.started", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class BackupStarted(Event):
    """A backup is being made on a node. `base_id` is the one that it builds upon, where it is incremental.

    `kind` is what it is, which is not always what was asked for: then `message` says why.
    """

    backup_id: str
    cluster_id: str
    project_id: str
    operation_id: str
    instance_id: str
    kind: str
    store: str
    base_id: str = ""
    schedule_id: str = ""
    message: str = ""


@event("backup.completed", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class BackupCompleted(Event):
    """A backup is whole: every byte of it is where it is kept."""

    backup_id: str
    cluster_id: str
    operation_id: str
    instance_id: str
    project_id: str = ""
    kind: str = FULL
    store: str = ""
    base_id: str = ""
    schedule_id: str = ""
    facts: BackupFacts = BackupFacts()
    message: str = ""


@event("backup.failed", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class BackupFailed(Event):
    """A backup could not be made; what there was of it is gone, or goes.

    With `damaged` it was whole, and its store was found not to have it as it was, or one that it builds upon: what is left of it
    stays there, and `operation_id` is of what has found that. Should it be fetched whole after all, `backup.completed` is said again.
    """

    backup_id: str
    cluster_id: str
    operation_id: str
    problem: Problem
    cancelled: bool = False
    damaged: bool = False


@event("backup.deleted", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class BackupDeleted(Event):
    """Nothing is kept of a backup any more."""

    backup_id: str
    cluster_id: str
    operation_id: str


@event("backup.delete_failed", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class BackupDeleteFailed(Event):
    """A backup could not be removed from where it is kept; it is no longer offered for a restore, unless it is `kept`."""

    backup_id: str
    cluster_id: str
    operation_id: str
    problem: Problem
    kept: bool = False


@event("backup.verified", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class BackupVerified(Event):
    """A backup was restored, and its data have passed every check."""

    backup_id: str
    cluster_id: str
    proof_id: str
    operation_id: str
    proof: Proof


@event("backup.verification_failed", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class BackupVerificationFailed(Event):
    """A backup could not be restored, or its data have not passed every check; `proof` is null where it did not come so far."""

    backup_id: str
    cluster_id: str
    proof_id: str
    operation_id: str
    problem: Problem
    proof: Proof | None = None
