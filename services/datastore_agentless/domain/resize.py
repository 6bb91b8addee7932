"""A resize: the volume of each node of a cluster becomes larger, or its server one of another flavor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from services.datastore_agentless.domain.instance import Instance, Status
from shared.contracts.values import Flavor

# Nodes of a cluster that serves whose volumes are to be as large as all others', also of one that is on its way back.
LIVING = (Status.READY, Status.APART)


@dataclass
class Resize:
    """The last one of a cluster; its id is the operation's. `volume_gb` is 0 and `flavor` None where they stay as they are.

    `answers` has what the provider came to for the volume of each instance, by its id: a `message` where it is as large, or the
    `problem` as JSON. `servers` has the same for the server of each one that was asked for, and nothing while it is waited for.
    """

    operation_id: str
    cluster_id: str
    volume_gb: int = 0
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    flavor: Flavor | None = None
    servers: dict[str, dict[str, Any]] = field(default_factory=dict)

    def of(self, nodes: Sequence[Instance]) -> list[Instance]:
        """Those of a cluster's nodes whose volumes it is about."""
        return [node for node in nodes if node.status in LIVING]

    def unanswered(self, nodes: Sequence[Instance]) -> list[Instance]:
        """Those whose volumes are not known to be as large."""
        return [node for node in self.of(nodes) if "message" not in self.answers.get(node.id, {})]

    def spares(self, node: Instance) -> bool:
        """Whether a node's server is what it is to be, and nobody has asked for it under this operation."""
        return self.flavor is None or (node.flavor == self.flavor.id and node.id not in self.servers)


def smaller(node: Instance, flavor: Flavor) -> Instance:
    """A node as both servers could carry it, the present one and one of this flavor."""
    return replace(node, ram_mb=min(node.ram_mb, flavor.ram_mb), vcpus=min(node.vcpus, flavor.vcpus))


def become(node: Instance, flavor: Flavor) -> Instance:
    """A node once its server is one of this flavor."""
    return replace(node, flavor=flavor.id, ram_mb=flavor.ram_mb, vcpus=flavor.vcpus)
