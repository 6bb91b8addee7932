"""What a cluster is to prove that is made for nothing else: whose backup, by what, and since when that is wished for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from shared.contracts.backups import ProofCheck, ProofWish
from shared.contracts.base import dump, load

WISHED, ANSWERED = "wished_at", "answered_at"


def wanted(wish: ProofWish, at: datetime) -> dict[str, Any]:
    """A wish as it is kept with the cluster."""
    return {**dump(wish), WISHED: at.isoformat()}


def checks(kept: dict[str, Any]) -> tuple[ProofCheck, ...]:
    """What its user wants to have asked."""
    return load(ProofWish, kept).checks


def restored_in(kept: dict[str, Any]) -> float:
    """Seconds from the wish to an engine that answers."""
    return round((datetime.fromisoformat(kept[ANSWERED]) - datetime.fromisoformat(kept[WISHED])).total_seconds(), 3)


def age_then(kept: dict[str, Any], newest: str) -> float:
    """How many seconds old the newest data were at that moment; `newest` is RFC 3339."""
    seconds = (datetime.fromisoformat(kept[ANSWERED]) - datetime.fromisoformat(newest)).total_seconds()
    return round(max(seconds, 0.0), 3)
