"""Chains of backups: a full one, then what has changed since, each of them built upon the one before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.datastore_agentless.domain.backup import Backup, State, follows_well
from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.instance import Instance, Status
from services.datastore_agentless.domain.record import Record
from shared.errors import Failure

# So many backups a chain has at most: each is fetched and worked in by a restore, and a damage in one costs all that follow.
LONGEST = 30
_WORDS = {
    State.MAKING: "is still being made", State.FAILED: "could not be made",
    State.DELETING: "is being deleted", State.DELETED: "is deleted",
}  # fmt: skip


@dataclass(frozen=True)
class Footing:
    """What an incremental backup builds upon, and the node whose data still are those that it was taken of; or why there is nothing."""

    base: Backup | None = None
    node: Instance | None = None
    why: str = ""


@dataclass(frozen=True)
class Scene:
    """A cluster at the moment `now`: its nodes, and the last words of their health, by node."""

    cluster: Cluster
    nodes: Sequence[Instance]
    health: Mapping[str, Record]
    now: datetime


def chain_of(backup: Backup, known: Iterable[Backup]) -> list[Backup]:
    """A backup and all that it builds upon, the full one first. Raises Failure that says which of them is missing."""
    by_id = {one.id: one for one in known}
    chain = [backup]
    while base_id := chain[-1].base_id:
        base = by_id.get(base_id)
        words = "is unknown" if base is None else _WORDS.get(base.state, "")
        if base is None or words or base in chain:
            raise Failure(f"backup {chain[-1].id} builds upon backup {base_id}, which {words or 'builds upon it'}",
                          what_to_do="name a backup whose chain is whole, as a full one always is")  # fmt: skip
        if base.store != backup.store:
            raise Failure(f"backup {chain[-1].id} lies in {backup.store}, and backup {base_id}, upon which it builds, in {base.store}",
                          what_to_do="name a full backup")  # fmt: skip
        chain.append(base)
    return chain[::-1]


def upon(backup: Backup, known: Sequence[Backup]) -> list[Backup]:
    """All that builds upon a backup, directly or not."""
    there = [one for one in known if one.base_id == backup.id]
    return [*there, *(above for one in there for above in upon(one, known))]


def footing(backup: Backup, known: Sequence[Backup], scene: Scene) -> Footing:
    """The newest backup that this one can build upon, in the same store, as far as that can be said without asking a node."""
    whys: list[str] = []
    for base in sorted(
        _candidates(backup, known), key=lambda one: (one.ended_at or one.created_at, one.id), reverse=True
    ):
        try:
            chain = chain_of(base, known)
        except Failure as error:
            whys.append(error.message)
            continue
        if damaged := next((one for one in chain if one.state == State.DAMAGED), None):
            whys.append(f"backup {damaged.id} is damaged")
            continue
        if len(chain) >= LONGEST:
            # What lies before the end of a chain is no better a place to begin than the end.
            whys.append(f"the last chain has {len(chain)} backups, and none may have more than {LONGEST}")
            break
        node, why = _taken_from(base, scene)
        if node is not None:
            return Footing(base, node)
        whys.append(why)
    return Footing(why=whys[0] if whys else f"there is no backup in {backup.store} that it could build upon")


def _candidates(backup: Backup, known: Iterable[Backup]) -> list[Backup]:
    return [one for one in known if one.id != backup.id and one.state == State.COMPLETED and one.taken is not None
            and one.store == backup.store and one.datastore == backup.datastore]  # fmt: skip


def _taken_from(base: Backup, scene: Scene) -> tuple[Instance | None, str]:
    """The node that a backup was taken of, if it is that still and would be good for another one; else why not."""
    then = base.manifest["taken_from"]
    node = next((one for one in scene.nodes if one.id == base.instance_id), None)
    if node is None or node.status != Status.READY or node.server != then["server"]:
        return None, f"{then['name']}, of which the last one was taken, is not there any more"
    if scene.cluster.leads(node.id) or follows_well(scene.health.get(node.id), scene.now):
        return node, ""
    return None, f"{node.name}, of which the last one was taken, is not known to follow well"
