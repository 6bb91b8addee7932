"""What several pages look at: clusters, each with how it is."""

from __future__ import annotations

from typing import Any

from services.api.web.asking import Asking

WELL = "OK"
_UNSEEN = ("requested", "building", "deleting")


def with_health(asking: Asking, clusters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Clusters of a list, those that can have any with their health: the list itself has none."""
    return [one | {"health": None} if one["status"] in _UNSEEN else alone(asking, one) for one in clusters]


def alone(asking: Asking, cluster: dict[str, Any]) -> dict[str, Any]:
    """A cluster of a list with its health, null where nothing was seen."""
    seen = asking.get(f"/v1/clusters/{cluster['id']}/health")
    return cluster | {"health": seen["health"]}


def trouble(cluster: dict[str, Any]) -> str:
    """What is the matter with a cluster, in a sentence; empty where nothing is."""
    health = cluster["health"]
    if health and health["verdict"] != WELL:
        return str(health["message"] or health["verdict"])
    return str(cluster["message"] or cluster["status"]) if cluster["status"] in ("failed", "degraded") else ""
