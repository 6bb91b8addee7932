"""What a backup builds upon: held while it is made, and asked for once more on the node before a byte is sent."""

from __future__ import annotations

from services.datastore_agentless.datastores.base.dumping import Mark
from services.datastore_agentless.datastores.base.increments import Increments
from services.datastore_agentless.domain.backup import Backup, State, Taken
from services.datastore_agentless.domain.chain import Footing
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.store import backups
from services.datastore_agentless.workflows.keeping import Keeping
from shared.contracts.backups import FULL, INCREMENTAL
from shared.db import Tx
from shared.errors import Failure
from shared.workflow import StepContext

# In a manifest: why it is a full one where an incremental one was asked for.
INSTEAD = "instead"


def build(tx: Tx, backup: Backup, found: Footing) -> None:
    """Have a backup build upon what was found, or be a full one and say why. From here on nobody deletes its base."""
    base = backups.lock(tx, found.base.id) if found.base else None
    if base is not None and base.state == State.COMPLETED:
        backup.kind, backup.base_id = INCREMENTAL, base.id
        return
    be_full(backup, found.why if found.base is None else "the one that it was to build upon is being deleted")


def be_full(backup: Backup, why: str) -> None:
    """It is a full one. `why` is empty where nobody has asked for another."""
    backup.kind, backup.base_id = FULL, ""
    backup.manifest = {
        **backup.manifest,
        **({INSTEAD: f"a full one in place of an incremental one: {why}"} if why else {}),
    }


def doubt(keeping: Keeping, context: StepContext, backup: Backup, node: Instance, now: Mark) -> str:
    """Why nothing can build upon the base on this node; empty where it can, and for a full backup."""
    if not backup.base_id:
        return ""
    base = keeping.backup(backup.base_id)
    was = base.manifest["engine"]
    if was != now.engine:
        return f"the last one is of {was}, and {node.name} runs {now.engine} by now"
    if not keeping.hosts.run(context, node, increments(keeping, node).remembers(node, _taken(base))):
        return f"the data of {node.name} are others by now than those that the last one was taken of"
    return ""


def dump(keeping: Keeping, backup: Backup, node: Instance) -> str:
    """The bash that prints a backup's stream: all data, or what has changed since its base. What is counted is counted beside it."""
    tallying = keeping.hosts.manager(node).tallying
    sends = _sends(keeping, backup, node)
    # In a shell of its own the engine's lines keep their traps and names to themselves.
    return sends if tallying is None else f"{tallying.begins(node)}(\n{sends}\n)\n{tallying.ends(node)}"


def _sends(keeping: Keeping, backup: Backup, node: Instance) -> str:
    if not backup.base_id:
        return keeping.dumping(node).sends(node)
    return increments(keeping, node).sends(node, _taken(keeping.backup(backup.base_id)))


def increments(keeping: Keeping, node: Instance) -> Increments:
    """How changes of a node's data are kept. Raises Failure where nobody knows, as once its manager was exchanged."""
    found = keeping.dumping(node).increments
    if found is None:
        raise Failure(
            f"{keeping.hosts.manager(node).datastore.name} has no incremental backups", what_to_do="ask for a full one"
        )
    return found


def _taken(base: Backup) -> Taken:
    """What the data remember of a backup that others build upon. Raises Failure where they cannot."""
    if base.taken is None:
        raise Failure(f"nothing can build upon backup {base.id}", what_to_do="ask for a full one")
    return base.taken
