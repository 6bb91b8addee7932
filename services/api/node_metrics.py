"""What Prometheus is told of each node: its host, its engine, its place in the replication, as it was last seen.

Labels are of things that are there, so their number has a limit, and what is gone is gone from here as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from services.api.store import tables
from shared.contracts.numbers import NUMBERS

# Twice the longest pause between two looks that can be chosen: what is older says nothing of now.
STALE_SECONDS = 1_200.0
LABELS = ("project", "cluster", "instance", "engine", "role")
_MB = 1024 * 1024
# Disks by what their facts begin with.
_DISKS = {"disk": "data", "root": "root", "tmp": "tmp"}
# In what an engine counts how far a replica is behind; all others count bytes.
_IN_TRANSACTIONS = ("mysql",)
Value = float | None


@dataclass(frozen=True)
class Node:
    """A node as it was seen so many seconds ago; `labels` in the order of LABELS."""

    labels: tuple[str, ...]
    verdict: str
    age: float
    evidence: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)

    @property
    def engine(self) -> str:
        """The name of its datastore's manager."""
        return self.labels[LABELS.index("engine")]

    def fact(self, name: str, unit: int = 1) -> Value:
        """A fact that is a number, in its base unit."""
        found = self.facts.get(name)
        return float(found) * unit if isinstance(found, int | float) else None


# What a node has of a family: further labels as they are written, and the value.
Samples = Callable[[Node], list[tuple[str, float]]]


@dataclass(frozen=True)
class Family:
    """A metric: its name, what it says, and what a node has of it."""

    name: str
    words: str
    samples: Samples
    kind: str = "gauge"


def load(connection: Connection, now: datetime, project_id: str = "") -> list[Node]:
    """The nodes of a project, or for empty of all, that were seen not too long ago."""
    h, i, c, p = tables.health, tables.instances, tables.clusters, tables.projects
    columns = (h, i.c.name, c.c.name.label("cluster"), c.c.datastore, c.c.primary_id, p.c.name.label("project"))
    query = (
        select(*columns).join(i, i.c.id == h.c.instance_id).join(c, c.c.id == i.c.cluster_id)
        .join(p, p.c.id == c.c.project_id)
        .where(i.c.status != "deleted", c.c.deleted_at.is_(None), h.c.seen_at > now - timedelta(seconds=STALE_SECONDS))
        .order_by(p.c.name, c.c.name, i.c.name)
    )  # fmt: skip
    if project_id:
        query = query.where(c.c.project_id == project_id)
    return [_node(row, now) for row in connection.execute(query)]


def text(nodes: Sequence[Node]) -> Iterator[bytes]:
    """Every family in Prometheus' text format, one after the other; a node of which something is not known has no line there."""
    labels = [_labels(LABELS, one.labels) for one in nodes]
    for family in FAMILIES:
        lines = [f"# HELP {family.name} {family.words}\n# TYPE {family.name} {family.kind}\n"]
        for one, of_node in zip(nodes, labels, strict=True):
            lines += [f"{family.name}{{{of_node}{more}}} {value}\n" for more, value in family.samples(one)]
        yield "".join(lines).encode()


def _labels(names: Sequence[str], values: Sequence[str]) -> str:
    """Source: "Text-based format" of Prometheus' documentation. The client library does the same twelve times as slowly."""
    escaped = (one.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for one in values)
    return ",".join(f'{name}="{value}"' for name, value in zip(names, escaped, strict=True))


def _node(row: Any, now: datetime) -> Node:
    role = (row.facts or {}).get("role") or ("primary" if row.instance_id == row.primary_id else "replica")
    labels = (row.project, row.cluster, row.name, str(row.datastore.get("manager", "")), str(role))
    return Node(labels, row.verdict, max(0.0, (now - row.seen_at).total_seconds()), row.evidence or {}, row.facts or {},
                row.numbers or {})  # fmt: skip


def _is_up(node: Node) -> Value:
    """Nothing where the engine was not asked: nobody comes in over SSH."""
    said = node.evidence.get("database")
    return None if said is None else float(said == "answers")


def _behind(node: Node, *, transactions: bool) -> Value:
    return node.fact("behind") if (node.engine in _IN_TRANSACTIONS) == transactions else None


def _one(value: Callable[[Node], Value]) -> Samples:
    def samples(node: Node) -> list[tuple[str, float]]:
        known = value(node)
        return [] if known is None else [("", known)]

    return samples


def _fact(name: str, unit: int = 1) -> Samples:
    return _one(lambda node: node.fact(name, unit))


def _counted(name: str) -> Samples:
    return _one(lambda node: node.numbers.get(name))


def _disks(fact: str) -> Samples:
    def samples(node: Node) -> list[tuple[str, float]]:
        found = ((disk, node.fact(f"{beginning}_{fact}", _MB)) for beginning, disk in _DISKS.items())
        return [(f',disk="{disk}"', known) for disk, known in found if known is not None]

    return samples


FAMILIES = (
    Family("dtrove_node_verdict", "1 for the verdict of the node", lambda node: [(f',verdict="{node.verdict}"', 1.0)]),
    Family("dtrove_node_seen_seconds_ago", "how long ago all that follows was seen", _one(lambda node: node.age)),
    Family("dtrove_node_uptime_seconds", "how long the host has been running", _fact("uptime_seconds")),
    Family("dtrove_node_load1", "load of the host's last minute", _fact("load")),
    Family("dtrove_node_memory_bytes", "memory of the host", _fact("memory_mb", _MB)),
    Family("dtrove_node_memory_available_bytes", "how much of it programs may still take", _fact("memory_free_mb", _MB)),
    Family("dtrove_node_clock_ahead_seconds", "how far its clock is ahead of the controller's", _fact("clock_ahead_seconds")),
    Family("dtrove_node_disk_bytes", "size of a disk: of the data, the root file system, temporary files", _disks("mb")),
    Family("dtrove_node_disk_free_bytes", "how much of it is free", _disks("free_mb")),
    Family("dtrove_engine_up", "whether the engine answered on its host", _one(_is_up)),
    Family("dtrove_engine_replication_lag_seconds", "how old a replica's data are", _fact("lag_seconds")),
    Family("dtrove_engine_replication_behind_bytes", "what a replica has not received of the primary's log (pgsql, redis)",
           _one(lambda node: _behind(node, transactions=False))),
    Family("dtrove_engine_replication_behind_transactions", "how many transactions a replica has not received (mysql)",
           _one(lambda node: _behind(node, transactions=True))),
    *(Family(f"dtrove_engine_{one.name}", f"{one.words} ({one.engines})", _counted(one.name), "counter" if one.counts else "gauge")
      for one in NUMBERS),
)  # fmt: skip
