"""What must hold when a run has come to rest; each breach is a sentence that begins with the invariant's number."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select

from services.api.store import tables as api
from services.datastore_agentless.store import backups
from services.datastore_agentless.store import tables as databases
from services.provisioner.store import tables as provisioner
from tests.simulation.keeping import misplaced
from tests.simulation.storage import rows
from tests.simulation.story import ENDED, Story
from tests.simulation.world import World

# Asked after every run: they are put together once.
_OPERATIONS, _CLUSTERS = select(api.operations), select(api.clusters)
_o = api.operations
_EXCLUSIVE = select(_o).where(_o.c.exclusive.is_(True)).order_by(_o.c.cluster_id, _o.c.created_at)
_KEYS, _INSTANCES = select(databases.keys.c.cluster_id), select(provisioner.instances)
_BACKUPS = select(databases.backups)
OPEN_TASKS = "select id from tasks where status = 'open'"
WAITING = "select id from outbox where due_at is not null"


def breaches(world: World, story: Story) -> list[str]:
    """Everything that does not hold."""
    found = [f"a thread ended with {type(error).__name__}: {error} ({where})" for where, error in world.hub.errors]
    if story.hopeless:
        found.append(story.hopeless)
    elif not story.ended:
        found.append("I1: the run came to no end")
    found += story.failures
    found += world.fleet.breaches
    found += world.fleet.roles.breaches
    found += world.claims.breaches
    for check in (_operations, _alone, _orphans, _kept, _leftovers):
        found += check(world, story)
    return found


def _operations(world: World, story: Story) -> Iterator[str]:
    """I1, and that no operation fails for what passes by itself."""
    by_id = {wish.operation_id: wish for wish in story.wishes}
    for row in rows(world.database("api"), _OPERATIONS):
        wish = by_id.get(row.id)
        if row.status not in ENDED:
            yield f"I1: {row.kind} {row.id} is {row.status} at rest"
        elif wish is not None and row.status not in wish.allowed and not world.weather.final_faults:
            yield f"{row.kind} {row.id} has {row.status}, though nothing final had struck: {row.problem}"


def _alone(world: World, story: Story) -> Iterator[str]:
    """I2."""
    before = None
    for row in rows(world.database("api"), _EXCLUSIVE):
        same = before is not None and before.cluster_id == row.cluster_id
        if same and (before.finished_at is None or before.finished_at > row.created_at):
            yield f"I2: {before.kind} and {row.kind} ran on cluster {row.cluster_id} at the same time"
        before = row


def _orphans(world: World, story: Story) -> Iterator[str]:
    """I6: all clusters were deleted, so nothing is left anywhere."""
    for thing in [*world.provider.cloud.servers(), *world.provider.cloud.volumes()]:
        yield f"I6: the cloud still has {thing.id} of instance {thing.instance_id}"
    for place in world.provider.cloud.addresses():
        yield f"I6: the cloud still has the address {place.id} of cluster {place.cluster_id}"
    for row in rows(world.database("databases-1"), _KEYS):
        yield f"I6: the key of cluster {row.cluster_id} is left"
    for row in rows(world.database("provisioner-1"), _INSTANCES):
        if row.status != "deleted" or row.host_key_private.reveal():
            yield f"I6: instance {row.id} is {row.status} at rest"
    for row in rows(world.database("api"), _CLUSTERS):
        if row.deleted_at is None:
            yield f"cluster {row.id} is {row.status} at rest"


def _kept(world: World, story: Story) -> Iterator[str]:
    """What a store has outlives its cluster, and is what the catalogue says."""
    yield from misplaced(world.store, [backups.read(row) for row in rows(world.database("databases-1"), _BACKUPS)])


def _leftovers(world: World, story: Story) -> Iterator[str]:
    """Nothing waits any more: no task, no message."""
    for slot in ("api", "provisioner-1", "databases-1", "scheduler"):
        database = world.database(slot)
        for (task_id,) in database.file.ask(OPEN_TASKS):
            yield f"I1: task {task_id} is open at rest"
        waiting = database.file.ask(WAITING)
        if waiting:
            yield f"{len(waiting)} messages wait in the outbox of {database.service}"
    if world.broker.open:
        yield f"{world.broker.open} messages are with the broker at rest"
    for binding, _, reason in world.broker.parked:
        yield f"a message of {binding.queue} was parked: {reason}"
