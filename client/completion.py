"""What the shell offers when Tab is pressed. Whatever goes wrong, it offers nothing and says nothing."""

from __future__ import annotations

from client.http import Api, ApiError
from shared.errors import DtroveError

LIMIT = 100
PATIENCE_SECONDS = 2.0


def clusters(incomplete: str) -> list[str]:
    """Names of clusters."""
    return _offered("/v1/clusters", "clusters", "name", incomplete, limit=LIMIT)


def instances(incomplete: str) -> list[str]:
    """Names of instances."""
    try:
        found = _api().get("/v1/clusters", limit=LIMIT)["clusters"]
    except (ApiError, DtroveError):
        return []
    names = [one["name"] for cluster in found for one in cluster["instances"]]
    return [name for name in names if name.startswith(incomplete)]


def operations(incomplete: str) -> list[str]:
    """Ids of the latest operations, and names of clusters."""
    return _offered("/v1/operations", "operations", "id", incomplete, limit=LIMIT) + clusters(incomplete)


def backups(incomplete: str) -> list[str]:
    """Ids of the latest backups."""
    return _offered("/v1/backups", "backups", "id", incomplete, limit=LIMIT)


def backups_or_clusters(incomplete: str) -> list[str]:
    """The same, and names of clusters."""
    return backups(incomplete) + clusters(incomplete)


def exports(incomplete: str) -> list[str]:
    """Ids of the latest exports."""
    return _offered("/v1/exports", "exports", "id", incomplete, limit=LIMIT)


def imports(incomplete: str) -> list[str]:
    """Ids of the latest imports."""
    return _offered("/v1/imports", "imports", "id", incomplete, limit=LIMIT)


def exports_or_clusters(incomplete: str) -> list[str]:
    """The same, and names of clusters."""
    return exports(incomplete) + clusters(incomplete)


def flavors(incomplete: str) -> list[str]:
    """Names of flavors."""
    return _offered("/v1/flavors", "flavors", "name", incomplete)


def _offered(path: str, noun: str, field: str, incomplete: str, **params: int) -> list[str]:
    try:
        found = _api().get(path, **params)[noun]
    except (ApiError, DtroveError):
        return []
    return [str(one[field]) for one in found if str(one[field]).startswith(incomplete)]


def _api() -> Api:
    return Api(tries=1, answer_seconds=PATIENCE_SECONDS)
