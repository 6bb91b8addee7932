"""Clusters of three nodes, against the same nodes prepared by scripts and joined over the ssh binary; and changes of nothing."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from bench import script
from bench.figures import Line, Outcome, Target, at_most, median, ratio_at_most
from bench.hosts import Hosts
from bench.installation import Broken, Installation, Say, installation, operation_of
from bench.over_ssh import Node
from services.datastore_agentless.datastores.base import BaseManager, Topology
from services.datastore_agentless.datastores.base.topology import STREAMS
from services.datastore_agentless.domain.instance import Instance
from services.provisioner.domain.instance import Instance as Server
from shared.contracts.values import Flavor
from shared.secrets import Secret, generate_password

NODES, ROUNDS, APPLIES = 3, 2, 5
FLAVOR = "small"
FOLLOW_SECONDS, LOOK_SECONDS = 120.0, 0.05
MORE_SECONDS, APPLY_SECONDS = 5, 1.0
# For each, its mode, and a parameter that it takes while it runs.
DATASTORES: dict[str, tuple[str, dict[str, str]]] = {
    "pgsql": ("sync", {"work_mem": "8MB"}),
    "redis": ("async", {"timeout": "77"}),
    "mysql": ("sync", {"max_connections": "171"}),
}


@dataclass(frozen=True)
class Prepared(Node):
    """A host of the baseline, as its provider knows it."""

    server: Server


def measure(say: Say) -> Outcome:
    """Two rounds for each datastore, in turn; before them a cluster of one node, so that packages are at hand for both."""
    lines: list[Line] = []
    facts = {}
    with installation(say, "local") as dtrove, tempfile.TemporaryDirectory(prefix="dtrove-bench-keys-") as keys:
        flavor = next(one for one in dtrove.get("/v1/flavors")["flavors"] if one["name"] == FLAVOR)
        hosts = Hosts(dtrove, Flavor(**flavor), Path(keys))
        for name in DATASTORES:
            ours, plain, applies, restarts = _rounds(say, dtrove, hosts, name)
            lines += _lines(name, ours, plain, applies, restarts)
            facts[name] = {"dtrove": ours, "script": plain, "applies": applies}
    note = (
        f"three: clusters of {NODES} nodes on warm images; the baseline prepares {NODES} hosts of the same provider at once, each by "
        "one script, then joins its replicas at once over the ssh binary (a ControlMaster), until each follows; a change that "
        "changes nothing is asked of the cluster that DTrove has made"
    )
    return Outcome(tuple(lines), notes=(note,), facts=facts)


def _rounds(
    say: Say, dtrove: Installation, hosts: Hosts, name: str
) -> tuple[list[float], list[float], list[float], int]:
    shown = next(one for one in dtrove.get("/v1/datastores")["datastores"] if one["manager"] == name)
    say(f"{shown['name']}: one node, which does not count")
    dtrove.delete(dtrove.cluster(f"{name}-one", shown["id"])["id"])
    ours, plain, applies, restarts = list[float](), list[float](), list[float](), 0
    for number in range(1, ROUNDS + 1):
        say(f"{shown['name']}: {NODES} nodes, round {number} of {ROUNDS}")
        if number % 2:
            plain.append(_by_scripts(hosts, script.manager_of(shown), DATASTORES[name][0]))
        cluster, seconds = _with_dtrove(dtrove, shown["id"], f"{name}-{number}", DATASTORES[name][0])
        ours.append(seconds)
        found = _apply(dtrove, cluster, DATASTORES[name][1])
        applies += [one for one, _ in found]
        restarts += sum(each for _, each in found)
        dtrove.delete(cluster)
        if not number % 2:
            plain.append(_by_scripts(hosts, script.manager_of(shown), DATASTORES[name][0]))
    return ours, plain, applies, restarts


def _with_dtrove(dtrove: Installation, datastore: str, name: str, mode: str) -> tuple[str, float]:
    began = time.monotonic()
    cluster, operation = dtrove.create(name, datastore, size=NODES, topology={"mode": mode})
    dtrove.end_of(operation)
    return cluster, time.monotonic() - began


def _apply(dtrove: Installation, cluster: str, values: dict[str, str]) -> list[tuple[float, int]]:
    """Set a parameter, then set it again and again: seconds of each, and how often an engine was stopped or started for it."""
    found = []
    for _ in range(APPLIES + 1):
        began = time.monotonic()
        answer = dtrove.ask("PATCH", f"/v1/clusters/{cluster}/parameters", {"parameters": values})
        operation = operation_of(answer)
        dtrove.end_of(operation)
        seconds = time.monotonic() - began
        entries = dtrove.get(f"/v1/operations/{operation}/transcript")["transcript"]
        found.append((seconds, sum(entry["title"].startswith(("start ", "stop ")) for entry in entries)))
    return found[1:]


def _by_scripts(hosts: Hosts, manager: BaseManager, mode: str) -> float:
    """Make the same cluster without DTrove; seconds."""
    began = time.monotonic()
    passwords = generate_password(), generate_password()
    with ThreadPoolExecutor(NODES) as pool:
        nodes = list(pool.map(lambda number: _prepared(hosts, manager, number, *passwords), range(NODES)))
        primary, *replicas = nodes
        topology = manager.topology
        if topology is None:
            raise Broken(f"{manager.name} has no replicas")
        list(pool.map(lambda replica: _joined(topology, primary, replica), replicas))
    primary.run(topology.protect(primary.instance, [one.instance for one in replicas], mode))
    seconds = time.monotonic() - began
    for node in nodes:
        node.way.close_master()
        hosts.remove(node.server)
    return seconds


def _prepared(hosts: Hosts, manager: BaseManager, number: int, admin: Secret, replication: Secret) -> Prepared:
    server, line = hosts.make(f"script-{number}")
    node = Instance(
        id=server.id, cluster_id="benchmark", name=server.name, addr=server.addr, user=server.user,
        ram_mb=server.flavor.ram_mb, vcpus=server.flavor.vcpus, admin_user=manager.admin_user, admin_password=admin,
        replication_password=replication,
    )  # fmt: skip
    # One connection for all: the script gives the host another key, which a new connection would not know.
    way = replace(line, control=hosts.keys / f"{server.id[:8]}.sock")
    way.open_master()
    text = script.text(script.write(manager, node))
    way.run("cat > /run/dtrove-bench.sh && sh /run/dtrove-bench.sh", stdin=text)
    return Prepared(node, way, server)


def _joined(topology: Topology, primary: Node, replica: Node) -> None:
    primary.run(topology.admit(primary.instance, replica.instance))
    replica.run(topology.join(replica.instance, primary.instance, primary.instance))
    until = time.monotonic() + FOLLOW_SECONDS
    while replica.run(topology.following(replica.instance, primary.instance)) != STREAMS:
        if time.monotonic() > until:
            raise Broken(f"{replica.instance.name} does not follow after {FOLLOW_SECONDS:.0f} s")
        time.sleep(LOOK_SECONDS)


def _lines(
    name: str, ours: Sequence[float], plain: Sequence[float], applies: Sequence[float], restarts: int
) -> list[Line]:
    none = Target("none", lambda figure, _: figure == 0)
    return [
        Line(f"{name}: create → active, {NODES} nodes", median(ours), "s", median(plain), "hosts and plain scripts",
             ratio_at_most(1.0, MORE_SECONDS, "s")),
        Line(f"{name}: a change that changes nothing, {NODES} nodes", median(applies), "s",
             target=at_most(APPLY_SECONDS, "s")),
        Line(f"{name}: engines that it started or stopped", restarts, "", target=none),
    ]  # fmt: skip
