"""Who may follow a primary, and by what proof: pure judgement over what the nodes say of themselves.

A failover is refused where the proof is missing: a replica that still receives from the primary testifies that it lives, and
in synchronous mode any replica that cannot be asked may hold the only copy of an acknowledged write. What a silent node may
say in a while is waited for (Retryable); what only a user can decide is a Failure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.datastore_agentless.datastores.base.topology import SYNC
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.domain.standing import Standing
from shared.errors import Failure, Retryable

# A switchover waits with frozen writes until the new primary has all: who is further behind is not even begun with.
MOST_LAG_SECONDS = 30.0


@dataclass(frozen=True)
class Testimony:
    """What one node says of itself; `trouble` where it could not be asked."""

    node: Instance
    standing: Standing | None = None
    trouble: str = ""

    def told(self) -> dict[str, Any]:
        """As it is kept with the operation and shown."""
        known = vars(self.standing) if self.standing else {"trouble": self.trouble}
        return {"name": self.node.name, **known}


def well(primary: Testimony) -> None:
    """Raise Retryable unless the primary can hand over."""
    if primary.standing is None:
        raise Retryable(f"{primary.node.name} cannot hand over: {primary.trouble}",
                        what_to_do="where it is dead, ask for a failover")  # fmt: skip
    if not primary.standing.writable:
        raise Retryable(f"{primary.node.name} takes no writes at the moment", what_to_do="retry the operation")


def successor(former: Instance, replicas: Sequence[Testimony], wanted_id: str) -> Testimony:
    """Of replicas that follow a well primary the one to hand over to. Raises Retryable where there is none."""
    fit = [one for one in replicas if not _unfit(former, one)]
    if wanted_id:
        fit = [one for one in fit if one.node.id == wanted_id]
    if fit:
        return _most(fit)
    reasons = [f"{one.node.name} {_unfit(former, one)}" for one in replicas if wanted_id in ("", one.node.id)]
    raise Retryable(f"nobody can take over from {former.name}: {'; '.join(reasons) or 'it has no replica'}",
                    what_to_do="wait until a replica follows, then retry")  # fmt: skip


def followers(primary: Instance, replicas: Sequence[Testimony]) -> list[Instance]:
    """The replicas that follow a primary closely, whoever has most first."""
    fit = [one for one in replicas if not _unfit(primary, one)]
    return [one.node for one in sorted(fit, key=_received, reverse=True)]


def _unfit(former: Instance, replica: Testimony) -> str:
    """Why it cannot be handed over to; empty where it can."""
    standing = replica.standing
    if standing is None:
        return f"does not answer: {replica.trouble}"
    if not standing.streams or standing.follows != former.addr:
        return f"does not receive from {former.name}"
    if standing.lag_seconds is not None and standing.lag_seconds > MOST_LAG_SECONDS:
        return f"is {standing.lag_seconds:.0f} s behind"
    return ""


def alive(former: Instance, replicas: Sequence[Testimony]) -> str:
    """Who testifies that the primary lives, in a sentence; empty where nobody does."""
    names = [one.node.name for one in replicas
             if one.standing and one.standing.streams and one.standing.follows == former.addr]  # fmt: skip
    return f"{' and '.join(names)} still receive{'s' * (len(names) == 1)} from {former.name}" if names else ""


def heir(replicas: Sequence[Testimony], mode: str, wanted_id: str, *, accept_loss: bool) -> Testimony:
    """Of the replicas of a primary that is gone the one that has most. Raises Retryable where the proof is missing, Failure for a
    node that was named and has less.
    """
    answered = [one for one in replicas if one.standing is not None]
    silent = [one for one in replicas if one.standing is None]
    if not answered:
        why = "; ".join(f"{one.node.name}: {one.trouble}" for one in silent) or "there is no replica"
        raise Retryable(f"nobody can take over: {why}", what_to_do="bring a replica back, then retry")
    if silent and mode == SYNC and not accept_loss:
        names = ", ".join(f"{one.node.name} ({one.trouble})" for one in silent)
        raise Retryable(f"an acknowledged write may be with {names} alone, which cannot be asked",
                        what_to_do="bring it back and retry, or ask for a failover that accepts the loss")  # fmt: skip
    most = _most(answered)
    if not wanted_id or most.node.id == wanted_id:
        return most
    named = next((one for one in answered if one.node.id == wanted_id), None)
    if named is None:
        raise Failure(
            "the node that was named cannot take over: it does not answer", what_to_do="name another, or none"
        )
    behind = _received(most) - _received(named)
    if behind > 0 and not accept_loss:
        raise Failure(f"{named.node.name} has received less than {most.node.name}",
                      what_to_do=f"name {most.node.name} or nobody, or accept the loss")  # fmt: skip
    return named


def _most(testimonies: Sequence[Testimony]) -> Testimony:
    """Who has received most; among equals the first by name, so that every worker chooses the same."""
    return max(sorted(testimonies, key=lambda one: one.node.name), key=_received)


def _received(one: Testimony) -> int:
    return one.standing.received if one.standing else -1
