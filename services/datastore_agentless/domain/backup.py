"""A backup in the catalogue, which outlives its cluster; and the node that a cluster's is best taken from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance, Status
from services.datastore_agentless.domain.record import Record
from shared.errors import Conflict, Failure
from shared.secrets import Secret

# Words of a node's health that are older than this say nothing of how it follows now.
FRESH_SECONDS = 1200.0
_ANOTHER = "list the backups, and name one that is completed"


@dataclass(frozen=True)
class Taken:
    """What an engine's data remember of a backup: a name that no other has, and where their log stood, in the engine's own words.

    Data that were put in the place of these, or set back to an earlier moment, do not know the name.
    """

    name: str
    position: str


class State(StrEnum):
    """Where a backup stands. One that is deleting is offered to nobody any more, though a store may still have it.

    One that is damaged was whole, and its store was found not to have it as it was. Whoever asks for it by name may try it: what
    comes back whole is not damaged.
    """

    MAKING = "making"
    COMPLETED = "completed"
    FAILED = "failed"
    DAMAGED = "damaged"
    DELETING = "deleting"
    DELETED = "deleted"


TRANSITIONS = {
    State.MAKING: {State.COMPLETED, State.FAILED},
    State.COMPLETED: {State.DAMAGED, State.DELETING},
    State.DAMAGED: {State.COMPLETED, State.DELETING},
    State.FAILED: {State.MAKING, State.DELETING},
    State.DELETING: {State.DELETED},
    State.DELETED: set(),
}


@dataclass
class Backup:
    """One backup. `store` and `key` say where it lies, both empty where a manager's own `backup` has made it.

    `token` is the store's word for a beginning that has not ended; `beginnings` counts them, so that what runs on a node for one
    is never taken for another's. `instance_id` is the node that it is taken from. `datastore` is `manager`, `version` and the
    `name` for people. `manifest` says what there is, as far as that is known: whole once the backup is.
    """

    id: str
    cluster_id: str
    project_id: str
    operation_id: str
    created_at: datetime
    cluster_name: str = ""
    schedule_id: str = ""
    kind: str = "full"
    base_id: str = ""
    store: str = ""
    key: str = ""
    token: Secret = field(default_factory=lambda: Secret(""))
    beginnings: int = 0
    instance_id: str = ""
    datastore: dict[str, str] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)
    size_bytes: int = 0
    stored_bytes: int = 0
    ended_at: datetime | None = None
    state: State = State.MAKING

    def become(self, state: State) -> None:
        """Move to `state`; repeating the current one is allowed. Raises Conflict on any other move."""
        if state != self.state and state not in TRANSITIONS[self.state]:
            raise Conflict(f"backup {self.id} is {self.state} and cannot become {state}")
        self.state = state

    @property
    def job(self) -> str:
        """The name of what sends it from its node, another one after each beginning."""
        return f"send-{self.beginnings}"

    @property
    def taken(self) -> Taken | None:
        """What others need to build upon it; None: nobody can."""
        told = self.manifest.get("taken")
        return Taken(**told) if told else None

    @property
    def history(self) -> str:
        """Which data of its cluster it has: see Cluster."""
        told: str = self.manifest.get("history", "")
        return told

    @property
    def manifest_bytes(self) -> bytes:
        """The manifest as it is kept beside the parts."""
        return json.dumps(self.manifest, indent=2, sort_keys=True).encode()


def source(cluster: Cluster, nodes: Iterable[Instance], health: Mapping[str, Record], now: datetime) -> Instance | None:
    """The node that a backup is best taken from: a replica that follows well, else the primary; None where neither serves."""
    ready = [node for node in nodes if node.status == Status.READY]
    following = (node for node in ready if not cluster.leads(node.id) and follows_well(health.get(node.id), now))
    return next(following, None) or next((node for node in ready if cluster.leads(node.id)), None)


def follows_well(seen: Record | None, now: datetime) -> bool:
    """Whether a replica's last word of health is good, and fresh enough to say something of now."""
    return seen is not None and seen.is_well and (now - seen.seen_at).total_seconds() < FRESH_SECONDS


def restorable(found: Backup | None, backup_id: str, project_id: str, datastore: Datastore) -> Backup:
    """A backup that a cluster of this datastore may begin with. Raises Failure with the reason why not."""
    if found is None or found.project_id != project_id or found.state in (State.DELETING, State.DELETED):
        raise Failure(f"there is no backup {backup_id} any more", what_to_do=_ANOTHER)
    if found.state not in (State.COMPLETED, State.DAMAGED):
        words = {State.MAKING: "is still being made", State.FAILED: "could not be made"}
        raise Failure(f"backup {backup_id} {words[found.state]}", what_to_do=_ANOTHER)
    if not found.key:
        raise Failure(f"backup {backup_id} was made by the own `backup` of its manager, which alone knows how to read it",
                      what_to_do="make the cluster without it, and bring the data back as that manager says")  # fmt: skip
    if (found.datastore["manager"], found.datastore["version"]) != (datastore.manager, datastore.version):
        raise Failure(f"backup {backup_id} is of {found.datastore['name']}: a cluster of {datastore.name} cannot begin with it",
                      what_to_do=f"make a cluster of {found.datastore['name']}")  # fmt: skip
    return found
