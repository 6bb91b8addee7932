"""What is held of a node's health from one look to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.datastore_agentless.domain.health import Fact, Judgement, Verdict, rank

# How long a node that has got worse is looked at more often than usual.
DOUBT_SECONDS = 60.0
UNREACHED = (Verdict.SSH_DOWN_DB_UP, Verdict.NET_SPLIT, Verdict.HOST_DOWN)


@dataclass(frozen=True)
class Record:
    """What is held of a node. `suspicion` is a worse verdict that was seen once. `told_at`: when it was announced last.

    `numbers` are the engine's at the last look; they are announced, and not stored.
    """

    instance_id: str
    cluster_id: str
    verdict: str
    message: str
    since: datetime
    seen_at: datetime
    evidence: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Fact] = field(default_factory=dict)
    suspicion: str = ""
    told_at: datetime | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong, and nothing is suspected."""
        return self.verdict == Verdict.OK and not self.suspicion


def after(known: Record | None, seen: Judgement, instance_id: str, cluster_id: str, now: datetime) -> Record:
    """What is held of a node once it was looked at.

    A change for the worse counts only when it was seen twice: until then what was held stays, growing old.
    """
    if known is not None and rank(seen.verdict) > rank(known.verdict) and not known.suspicion:
        return replace(known, suspicion=str(seen.verdict))
    same = known is not None and known.verdict == seen.verdict
    return Record(
        instance_id=instance_id, cluster_id=cluster_id, verdict=str(seen.verdict), message=seen.message,
        since=known.since if known is not None and same else now, seen_at=now, evidence=seen.evidence, facts=seen.facts,
        told_at=known.told_at if known is not None else None, numbers=seen.numbers,
    )  # fmt: skip


def in_doubt(record: Record, now: datetime) -> bool:
    """Whether a node wants looking at more often: something is suspected, or has been wrong for no more than a minute."""
    fresh = (now - record.since).total_seconds() < DOUBT_SECONDS
    return bool(record.suspicion) or (record.verdict != Verdict.OK and fresh)


def is_slow(record: Record) -> bool:
    """Whether a look at it may take long: nobody comes in, or has just failed to."""
    return record.verdict in UNREACHED or record.suspicion in UNREACHED
