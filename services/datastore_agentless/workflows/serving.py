"""One node at a time: its engine is restarted, and it is proven that the node serves, and follows its primary.

These are steps of workflows (workflows.roll), and for others to build theirs of.
"""

from __future__ import annotations

from collections.abc import Callable

from services.datastore_agentless.datastores.base import living
from services.datastore_agentless.datastores.base.topology import STREAMS
from services.datastore_agentless.domain.cluster import GOING, Cluster
from services.datastore_agentless.domain.instance import Instance, Status
from services.datastore_agentless.hosts.base import CommandFailed, HostKeyChanged, HostUnreachable, Script
from services.datastore_agentless.store import clusters
from services.datastore_agentless.workflows.nodes_asked import age, standing, topology_of
from services.datastore_agentless.workflows.on_host import Hosts
from shared.errors import Cancelled, Failure
from shared.workflow import Next, Save, StepContext, Wait

# What `lacks` returns of a node that serves; anything else says why it does not.
SERVES = ""
FIRST_LOOK_SECONDS, LOOK_SECONDS = 0.25, 5.0
# How long an engine may take from its start until it serves: it may have much to read first.
SERVE_SECONDS = 300.0


def lives_since(hosts: Hosts, context: StepContext, node: Instance) -> str:
    """Since when its engine lives: see datastores.base.living."""
    return str(hosts.run(context, node, living.since(hosts.manager(node))))


def restart(hosts: Hosts, context: StepContext, node: Instance, before: str) -> None:
    """Restart its engine, unless another one than that of `before` (lives_since) runs already.

    Raises CommandFailed with the engine's last words.
    """
    now = lives_since(hosts, context, node)
    if not (before and now) or now == before:
        command(hosts, context, node, hosts.manager(node).restart())


def command(hosts: Hosts, context: StepContext, node: Instance, script: Script) -> None:
    """Run a script that starts or stops the engine. Raises CommandFailed with the engine's last words."""
    try:
        hosts.run(context, node, script)
    except CommandFailed as error:
        words = "\n".join(one for one in (error.stderr, _last_words(hosts, context, node)) if one)
        raise CommandFailed(error.message, code=error.code, command=error.command, stderr=words,
                            what_to_do=error.what_to_do) from error  # fmt: skip


def serves(
    hosts: Hosts, context: StepContext, node: Instance, save: Callable[[str], Save], *, thaws: bool = False
) -> Next | Wait:
    """The outcome of a step that waits until a node serves; `save` is given since when its engine lives.

    With `thaws` a primary that was left frozen takes writes again. Raises Failure with the engine's last words once it has
    taken too long: the step's own deadline has to be longer than SERVE_SECONDS.
    """
    lack = lacks(hosts, context, node, thaws=thaws)
    if lack == SERVES:
        return Next(save=save(lives_since(hosts, context, node)), message=f"{node.name} serves")
    if (waited := age(hosts, context)) < SERVE_SECONDS:
        pause = min(FIRST_LOOK_SECONDS + waited / 10, LOOK_SECONDS)
        return Wait(pause, f"{node.name} does not serve yet: {lack}")
    raise Failure(f"{node.name} does not serve after {SERVE_SECONDS:.0f} s: {lack}",
                  stderr=_last_words(hosts, context, node), what_to_do="mend what its log says, then retry the operation")  # fmt: skip


def lacks(hosts: Hosts, context: StepContext, node: Instance, *, thaws: bool = False) -> str:
    """SERVES, or what a node lacks: it has to answer, and then to take writes, or to follow the one that does."""
    cluster, primary, several = _place(hosts, node)
    try:
        hosts.run(context, node, hosts.manager(node).verify(node))
        if not several:
            return SERVES
        if not cluster.leads(node.id):
            lack = str(hosts.run(context, node, topology_of(hosts, node).following(node, primary)))
            return SERVES if lack == STREAMS else f"it does not follow {primary.name}: {lack}"
        if thaws and not standing(hosts, context, node, node).writable:
            hosts.run(context, node, topology_of(hosts, node).thaw(node))
        return SERVES if standing(hosts, context, node, node).writable else "it takes no writes"
    except (HostUnreachable, HostKeyChanged):
        raise
    except Failure as error:
        return error.message


def _place(hosts: Hosts, node: Instance) -> tuple[Cluster, Instance, bool]:
    """Its cluster, the primary of it, and whether there are several nodes. Raises Cancelled once it is to go."""
    with hosts.database.read() as connection:
        cluster = clusters.cluster(connection, node.cluster_id)
        nodes = [one for one in clusters.instances(connection, cluster.id) if one.status == Status.READY]
    if cluster.status in GOING:
        raise Cancelled(f"cluster {cluster.id} is {cluster.status}")
    primary = next((one for one in nodes if cluster.leads(one.id)), node)
    return cluster, primary, len(nodes) > 1


def _last_words(hosts: Hosts, context: StepContext, node: Instance) -> str:
    try:
        return str(hosts.run(context, node, living.last_words(hosts.manager(node), node)))
    except (HostUnreachable, CommandFailed):
        return ""
