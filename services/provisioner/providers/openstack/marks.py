"""By what DTrove knows its own things again in a cloud that others use as well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from services.provisioner.domain.instance import Instance
from services.provisioner.providers.base import Found

INSTANCE, CLUSTER, INSTALLATION = "dtrove-instance", "dtrove-cluster", "dtrove-installation"
EPOCH = "dtrove-epoch"


def name_of(thing_id: str) -> str:
    """The name of what belongs to one instance, or to one cluster."""
    return f"dtrove-{thing_id}"


def marks(instance: Instance, installation: str) -> dict[str, str]:
    """The metadata of a server or a volume."""
    return {INSTANCE: instance.id, CLUSTER: instance.cluster_id, INSTALLATION: installation}


def tags(marked: Mapping[str, str]) -> list[str]:
    """The same as tags, by which Nova can filter."""
    return [f"{key}={value}" for key, value in marked.items()]


def belonging_to(cluster_id: str) -> str:
    """The description of a port: Neutron filters by it, and it is there from the port's first moment."""
    return f"DTrove cluster {cluster_id}"


def mark(thing: Any, key: str) -> str:
    """What a server or a volume is marked with; empty for nothing."""
    return str((thing.metadata or {}).get(key, ""))


def eldest(things: Iterable[Any]) -> Any | None:
    """The one that was made first; ids decide where clocks do not, so that all who look take the same one."""
    return min(things, key=lambda one: (str(one.created_at or ""), str(one.id)), default=None)


def as_found(kind: str, thing: Any) -> Found:
    """A server or a volume as the port's callers see it."""
    return Found(kind, str(thing.id), mark(thing, INSTANCE), mark(thing, CLUSTER))
