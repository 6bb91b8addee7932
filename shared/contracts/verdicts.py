"""What can be the matter with a node, from well to worst."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Verdict(StrEnum):
    """How a node is; what is not OK names the cause. Each is worse than those before it."""

    OK = "OK"
    LAGGING = "LAGGING"
    SSH_DOWN_DB_UP = "SSH_DOWN_DB_UP"
    REPLICATION_BROKEN = "REPLICATION_BROKEN"
    DISK_FULL = "DISK_FULL"
    DB_DOWN = "DB_DOWN"
    NET_SPLIT = "NET_SPLIT"
    HOST_DOWN = "HOST_DOWN"
    IDENTITY_MISMATCH = "IDENTITY_MISMATCH"


_RANKS = {str(verdict): rank for rank, verdict in enumerate(Verdict)}


def rank(verdict: str) -> int:
    """How bad it is, 0 for OK; a verdict of a later release is worse than all that are known."""
    return _RANKS.get(verdict, len(_RANKS))


def worst(verdicts: Iterable[str]) -> str:
    """The worst of them; OK for none."""
    return max(verdicts, key=rank, default=str(Verdict.OK))
