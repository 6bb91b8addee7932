"""Plans: the exact commands and files of an operation, before any of them runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.datastores.base.topology import SYNC
from services.datastore_agentless.domain.account import opened
from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.instance import GOING, Instance, Status
from services.datastore_agentless.domain.roll import Action, Roll
from services.datastore_agentless.hosts.base import Script
from services.datastore_agentless.hosts.plan import Planned, plan
from shared.contracts.accounts import AccountChange
from shared.contracts.accounts import Action as AccountAction
from shared.contracts.base import load
from shared.errors import Failure
from shared.secrets import Secret

Work = list[tuple[Instance, Script]]
# Stands for a cluster's own address, which is not given yet. Source: RFC 5737.
PLANNED_ADDR = "192.0.2.254"


def plan_create(
    manager: BaseManager,
    names: list[str],
    ram_mb: int,
    vcpus: int,
    volume_gb: int,
    mode: str = "",
    parameters: dict[str, str] | None = None,
    *,
    addressed: bool = False,
) -> dict[str, Any]:
    """What making a cluster would do on each of its hosts; the shape is api.md's plan. The first is the primary.

    `addressed`: it gets an address of its own.
    """
    nodes = [
        _planned(manager, number, name, ram_mb, vcpus, volume_gb, parameters) for number, name in enumerate(names, 1)
    ]
    for node in nodes if addressed else ():
        node.cluster_addr = PLANNED_ADDR
    steps = {node.id: plan(manager.prepare(node), node.secrets) for node in nodes}
    primary, *replicas = nodes
    for node, more in _together(manager, primary, replicas, replicas, mode):
        steps[node.id] += more
    moves = [f"an address of the cluster's own, given by the provider: to {primary.name}"] if addressed else []
    return shown_plan(nodes, steps) | {"moves": moves}


def plan_nodes(
    manager: BaseManager, cluster: Cluster, there: Sequence[Instance], names: list[str], mode: str
) -> dict[str, Any]:
    """What adding replicas of these names to a cluster would do, on their hosts and on the primary."""
    alive = [node for node in there if node.status not in GOING]
    primary = next(node for node in alive if cluster.leads(node.id))
    coming = [
        _planned(manager, number, name, cluster.ram_mb, cluster.vcpus, cluster.volume_gb, cluster.parameters)
        for number, name in enumerate(names, 1)
    ]
    steps = {primary.id: [], **{node.id: plan(manager.prepare(node), node.secrets) for node in coming}}
    replicas = [node for node in alive if node is not primary]
    for node, more in _together(manager, primary, coming, [*replicas, *coming], mode):
        steps[node.id] += more
    return shown_plan([primary, *coming], steps)


def plan_takeover(
    manager: BaseManager, cluster: Cluster, there: Sequence[Instance], wanted_id: str, *, fenced: bool
) -> dict[str, Any]:
    """What a switchover would do on each node, or with `fenced` a failover, which the former primary takes no part in.

    Raises Failure where there is nobody to take over. Whoever has received most is found out only then: it is shown with the
    first by name where nobody is named.
    """
    nodes = [node for node in there if node.status == Status.READY]
    former = next(node for node in there if cluster.leads(node.id))
    replicas = [node for node in nodes if node is not former]
    chosen = next((node for node in replicas if wanted_id in ("", node.id)), None)
    if chosen is None:
        raise Failure(f"cluster {cluster.name} has no replica that could take over", what_to_do="add a node first")
    others = [node for node in replicas if node is not chosen]
    steps = planned_work(handing_over(manager, cluster, former, chosen, others, fenced=fenced))
    shown = shown_plan([node for node in (former, chosen, *others) if node.id in steps], steps)
    shown["moves"] = moved(cluster, former, chosen)
    if fenced:
        shown["restarts"] = [
            f"server {former.name}: switched off before {chosen.name} takes writes, then on again as a replica"
        ]
        shown["lost"] = (
            [f"what {former.name} has acknowledged and no replica has received"] if cluster.mode != SYNC else []
        )
    return shown


def plan_roll(
    manager: BaseManager, cluster: Cluster, there: Sequence[Instance], action: str, only_id: str
) -> dict[str, Any]:
    """What starting, stopping or restarting a cluster would do on each node, or on the one that is named, in the order in which
    they come.

    Raises Failure where there is no such node. Who takes over is found out only then: it is shown with the first by name.
    """
    roll = Roll(
        operation_id="planned", cluster_id=cluster.id, wanted=Action(action), action=Action(action), only_id=only_id
    )
    nodes, work, moves = list[Instance](), Work(), list[str]()
    while (node := roll.following(cluster, there)) is not None:
        hands_over = roll.action == Action.RESTART and cluster.leads(node.id) and nodes
        if hands_over and not only_id:
            work += handing_over(manager, cluster, node, nodes[0], nodes[1:], fenced=False)
            moves += moved(cluster, node, nodes[0])
        work += [(node, script) for script in _of_node(manager, roll.action, alone=len(there) == 1)]
        nodes.append(node)
        roll.done_ids.append(node.id)
    if not nodes:
        raise Failure(f"cluster {cluster.name} has no such node that serves", what_to_do="wait until it does")
    shown = shown_plan(nodes, planned_work(work)) | {"moves": moves}
    if roll.action == Action.RESTART:
        shown["restarts"] = [f"{manager.name} on {node.name}" for node in nodes]
    return shown


def _of_node(manager: BaseManager, action: Action, *, alone: bool) -> list[Script]:
    """What is done on one node."""
    if action == Action.STOP:
        return [manager.at_boot(starts=False), manager.stop()]
    if action == Action.START:
        return [manager.start(), *([manager.at_boot(starts=True)] if alone else [])]
    return [manager.stop(), manager.start()]


def handing_over(
    manager: BaseManager, cluster: Cluster, former: Instance, chosen: Instance, others: list[Instance], *, fenced: bool
) -> Work:
    """The scripts of a takeover, in order. Raises Failure where the datastore has no replicas."""
    topology = manager.topology
    if topology is None:
        raise Failure(f"cluster {cluster.name} has no replica that could take over", what_to_do="add a node first")
    followers = others if fenced else [former, *others]
    return [
        *([] if fenced else [(former, topology.freeze(former))]),
        (chosen, topology.promote(chosen)),
        *((chosen, topology.admit(chosen, node)) for node in followers),
        *(
            (node, topology.demote(node, chosen) if node is former else topology.follow(node, chosen))
            for node in followers
        ),
        (chosen, topology.protect(chosen, followers, cluster.mode)),
    ]


def moved(cluster: Cluster, former: Instance, chosen: Instance) -> list[str]:
    """What leads elsewhere once another node is the primary: the cluster's own address, where it has one."""
    return [f"address {cluster.addr}: from {former.name} to {chosen.name}"] if cluster.addr else []


def planned_work(work: Work) -> dict[str, list[Planned]]:
    """What each node would be told, by its id."""
    steps: dict[str, list[Planned]] = {node.id: [] for node, _ in work}
    for node, script in work:
        steps[node.id] += plan(script, node.secrets)
    return steps


def plan_accounts(
    manager: BaseManager, cluster: Cluster, there: Sequence[Instance], changes: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """What changing databases and users would do on the primary and on those that follow it, and what is lost by that.

    Raises Failure where nobody keeps them.
    """
    keeper = manager.accounts
    nodes = [node for node in there if node.status == Status.READY]
    primary = next((node for node in nodes if cluster.leads(node.id)), None)
    if keeper is None or primary is None:
        raise Failure(f"the accounts of cluster {cluster.name} cannot be changed", what_to_do="wait until it is active")
    wanted = [opened(load(AccountChange, one), Secret("planned-verifier")) for one in changes]
    steps = {primary.id: [step for one in wanted for step in plan(keeper.change(primary, one), primary.secrets)]}
    for node in nodes:
        if node is not primary:
            steps[node.id] = plan(keeper.tell(node, wanted, Secret("")), node.secrets)
    shown = shown_plan([primary, *(node for node in nodes if steps[node.id] and node is not primary)], steps)
    lost = {
        AccountAction.DELETE_DATABASE: "database {0.database}, with all its data",
        AccountAction.DELETE_USER: "user {0.user}, with its sessions",
        AccountAction.DISABLE_ROOT: "the superuser's login, with its sessions",
    }
    return shown | {"lost": [lost[one.action].format(one) for one in wanted if one.action in lost]}


def _planned(manager: BaseManager, number: int, name: str, ram_mb: int, vcpus: int, volume_gb: int,
             parameters: dict[str, str] | None = None) -> Instance:  # fmt: skip
    return Instance(
        id=f"planned-{number}", cluster_id="planned", name=name, addr=f"192.0.2.{number}", user="root", ram_mb=ram_mb,
        vcpus=vcpus, volume_gb=volume_gb, data_dir="/var/lib/dtrove-data" if volume_gb else "",
        admin_user=manager.admin_user, admin_password=Secret("planned-password"),
        replication_password=Secret("planned-replication"), parameters=parameters or {},
    )  # fmt: skip


def _together(
    manager: BaseManager, primary: Instance, coming: list[Instance], replicas: list[Instance], mode: str
) -> Iterator[tuple[Instance, list[Planned]]]:
    """What makes replicas of those that are coming; `replicas` are all that there are then.

    Which of those that are there sends the data is found out only then: it is shown with the first by name.
    """
    if manager.topology is None or not coming:
        return
    source = next((one for one in replicas if one not in coming), primary)
    for replica in coming:
        yield primary, plan(manager.topology.admit(primary, replica), primary.secrets)
        yield replica, plan(manager.topology.join(replica, primary, source), replica.secrets)
    yield primary, plan(manager.topology.protect(primary, replicas, mode), primary.secrets)


def shown_plan(nodes: list[Instance], steps: dict[str, list[Planned]]) -> dict[str, Any]:
    """A plan in the shape of api.md: of each node its commands and files; nothing restarts or moves, and nothing is lost."""
    hosts = [{"host": node.name, "commands": [_command(one) for one in steps[node.id]], "files": _files(steps[node.id])}
             for node in nodes]  # fmt: skip
    return {"hosts": hosts, "restarts": [], "moves": [], "lost": []}


def _command(step: Planned) -> dict[str, str]:
    return {"title": step.title, "command": step.command}


def _files(steps: list[Planned]) -> list[dict[str, str]]:
    return [{"path": one.path, "diff": "".join(f"+{line}\n" for line in one.content.splitlines())}
            for one in steps if one.path]  # fmt: skip
