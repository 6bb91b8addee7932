"""A cluster started, stopped, restarted; with another primary, more nodes, fewer, or larger ones."""

from __future__ import annotations

from collections.abc import Callable

from services.api.web.asking import Asking
from services.api.web.changes.base import Call, Cluster, Field, Given, Kind, cluster_name, node_name, number, segment

ON, PRIMARY = "on", "primary"


def _nodes(_asking: Asking, cluster: Cluster) -> list[tuple[str, str]]:
    return [(one["id"], f"{one['name']}, {one['role'] or 'node'}") for one in cluster["instances"]]


def _all_or_one(asking: Asking, cluster: Cluster) -> list[tuple[str, str]]:
    return [("", "all, one after the other"), *_nodes(asking, cluster)]


def _replicas(_asking: Asking, cluster: Cluster) -> list[tuple[str, str]]:
    return [(one["id"], one["name"]) for one in cluster["instances"] if one["role"] != PRIMARY]


def _successors(asking: Asking, cluster: Cluster) -> list[tuple[str, str]]:
    return [("", "the one that has received most"), *_replicas(asking, cluster)]


def _flavors(asking: Asking, cluster: Cluster) -> list[tuple[str, str]]:
    known = asking.get("/v1/flavors", datastore=cluster["datastore"]["id"])["flavors"]
    sizes = [(one["id"], f"{one['name']}: {one['vcpus']} CPU, {one['ram_mb']} MB") for one in known]
    return [("", f"as it is, {cluster['flavor']['name']}"), *sizes]


def _simply(action: str) -> Callable[[Given], Call]:
    return lambda _given: Call("POST", action, {})


def _restart(given: Given) -> Call:
    return Call("POST", "restart", {"instance": given["instance"] or None})


def _switchover(given: Given) -> Call:
    return Call("POST", "switchover", {"instance": given["instance"] or None})


def _failover(given: Given) -> Call:
    wish = {"instance": given["instance"] or None, "accept_loss": given["accept_loss"] == ON}
    return Call("POST", "failover", wish)


def _add(given: Given) -> Call:
    return Call("POST", "nodes", {"count": number(given["count"])})


def _remove(given: Given) -> Call:
    return Call("DELETE", f"nodes/{segment(given['instance'])}")


def _resize(given: Given) -> Call:
    volume = given["volume_gb"].strip()
    return Call("POST", "resize", {"flavor": given["flavor"] or None, "volume_gb": number(volume) if volume else None})


KINDS = {
    "start": Kind(
        "Start {cluster}", "Start {cluster}", "Its primary first, then those that follow it.", _simply("start"),
    ),
    "stop": Kind(
        "Stop {cluster}", "Stop {cluster}",
        "All its databases stop, the primary last, and nobody is served. Its servers run on. Nothing starts it again but a start.",
        _simply("stop"), named=cluster_name,
    ),
    "restart": Kind(
        "Restart {cluster}", "Restart it",
        "Replicas first, each proved before the next one’s turn, with one switchover before the primary’s. What waits for a restart is "
        "taken in.",
        _restart,
        (Field("instance", "Which databases", "One by itself is restarted where it is; the primary’s clients wait meanwhile.", _all_or_one),),
    ),
    "switchover": Kind(
        "Another primary for {cluster}", "Switch over",
        "A replica takes over from a primary that is well. No write is lost; for a few seconds none is taken.", _switchover,
        (Field("instance", "Who takes over", "It has to follow the primary closely.", _successors),),
    ),
    "failover": Kind(
        "Replace a dead primary of {cluster}", "Fail over",
        "The primary is proved dead and its server switched off before another node is promoted. Of a primary that is well this is refused.",
        _failover,
        (
            Field("instance", "Who takes over", "Whoever has received most loses least.", _successors),
            Field("accept_loss", "Go on also where writes may be lost",
                  "Writes that no node which answers has are gone for good then. Without this it stops there, and says so.", is_box=True),
        ),
        named=cluster_name,
    ),
    "add-nodes": Kind(
        "Add nodes to {cluster}", "Add them",
        "Each fetches a copy of the data and follows the primary, which serves all the while. They count for the project’s quotas at once.",
        _add, (Field("count", "How many", "Each is a server of the cluster’s flavor, with a volume of its own where the others have one.", default="1"),),
    ),
    "remove-node": Kind(
        "Remove a node of {cluster}", "Remove it", "The others serve all the while. Its server goes, with its copy of the data.", _remove,
        (Field("instance", "Which one", "The primary cannot go: switch over first.", _replicas),), named=node_name,
    ),
    "resize": Kind(
        "Resize {cluster}", "Resize it",
        "Volumes grow while it serves. Another flavor comes node after node, with one switchover.", _resize,
        (
            Field("flavor", "Flavor of each node", "Memory settings that belong to it come along. Not every provider can change it.", _flavors),
            Field("volume_gb", "Volume of each node, in GB", "Empty: as it is. It cannot shrink, also not later."),
        ),
    ),
}  # fmt: skip
