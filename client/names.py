"""Finds things by name or id, so that every command takes either."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from client.exits import Exit
from client.http import Api, ApiError

Thing = dict[str, Any]


def cluster(api: Api, wanted: str) -> Thing:
    """A cluster. Raises ApiError (3) where there is none."""
    if found := _by_id(api, f"/v1/clusters/{wanted}", wanted):
        return found
    return _one(api.get("/v1/clusters", name=wanted)["clusters"], "cluster", wanted, "dtrove cluster list")


def instance(api: Api, wanted: str) -> Thing:
    """An instance. Raises ApiError (3) where there is none, or where several clusters have one of that name."""
    if found := _by_id(api, f"/v1/instances/{wanted}", wanted):
        return found
    # An instance bears its cluster's name and a number, unless the cluster was renamed later.
    likely = api.get("/v1/clusters", name=wanted.rpartition("-")[0] or wanted)["clusters"]
    named = _instances_named(likely, wanted)
    if not named:
        named = _instances_named(api.all("/v1/clusters", "clusters", limit=100), wanted)
    found = _one(named, "instance", wanted, "dtrove instance list")
    shown: Thing = api.get(f"/v1/instances/{found['id']}")
    return shown


def operation(api: Api, wanted: str) -> str:
    """An operation's id: from an id, or the one under way on a cluster, else its latest. Raises ApiError (3)."""
    if is_id(wanted):
        return wanted
    owner = cluster(api, wanted)
    if owner["operation"]:
        return str(owner["operation"])
    latest = api.get("/v1/operations", cluster=owner["id"], limit=1)["operations"]
    if not latest:
        raise ApiError(f"cluster {owner['name']} has had no operation", Exit.NOT_FOUND)
    return str(latest[0]["id"])


def backup(api: Api, wanted: str, *, by_cluster: bool = True) -> Thing:
    """A backup by its id; or by a cluster, whose newest good one it is. Raises ApiError (3)."""
    return _kept(api, "backup", wanted, by_cluster=by_cluster)


def export(api: Api, wanted: str, *, by_cluster: bool = True) -> Thing:
    """An export by its id; or by a cluster, whose newest good one it is. Raises ApiError (3)."""
    found = _kept(api, "export", wanted, by_cluster=by_cluster)
    # A list names no tables.
    return dict(api.get(f"/v1/exports/{found['id']}"))


def imported(api: Api, wanted: str) -> Thing:
    """An import by its id. Raises ApiError (3)."""
    found = _by_id(api, f"/v1/imports/{wanted}", wanted)
    if found is None:
        raise ApiError(f"there is no import {wanted!r}; `dtrove import list` shows what there is", Exit.NOT_FOUND)
    return found


def datastore(api: Api, wanted: str) -> Thing:
    """A datastore: by id, as `mysql 10.11` or `mysql - 10.11`, or by its manager where that has one version."""
    plain = wanted.replace(" - ", " ").strip()
    return _find(api.get("/v1/datastores")["datastores"], "datastore", wanted, "dtrove datastore list",
                 lambda one: plain in (f"{one['manager']} {one['version']}", one["manager"]))  # fmt: skip


def datastore_wish(api: Api, wanted: str) -> str:
    """What to ask the API for: a manager with one version means that one, everything else is left to the API."""
    if " " in wanted or is_id(wanted):
        return wanted
    versions = [one for one in api.get("/v1/datastores")["datastores"] if one["manager"] == wanted]
    return str(versions[0]["id"]) if len(versions) == 1 else wanted


def parameter_group(api: Api, wanted: str) -> Thing:
    """A parameter group, with the clusters that have it. Raises ApiError (3) where there is none."""
    if found := _by_id(api, f"/v1/parameter-groups/{wanted}", wanted):
        return found
    named = [one for one in api.all("/v1/parameter-groups", "parameter_groups", limit=100) if one["name"] == wanted]
    one = _one(named, "parameter group", wanted, "dtrove parameter-group list")
    shown: Thing = api.get(f"/v1/parameter-groups/{one['id']}")
    return shown


def schedule(api: Api, owner: str, wanted: str) -> Thing:
    """A cluster's schedule, by its id or how that begins; without either the only one. Raises ApiError (3)."""
    whose = cluster(api, owner)
    found = api.get(f"/v1/clusters/{whose['id']}/schedules")["schedules"]
    fitting: list[Thing] = [one for one in found if one["id"].startswith(wanted.lower())]
    if not fitting:
        which = f"no schedule {wanted!r}" if wanted else "no schedules"
        raise ApiError(
            f"cluster {whose['name']} has {which}; `dtrove schedule list {whose['name']}` shows what there is",
            Exit.NOT_FOUND,
        )
    if len(fitting) > 1:
        listing = "\n".join(f"  {one['id']}  {one['cron']}" for one in fitting)
        raise ApiError(f"cluster {whose['name']} has {len(fitting)} such schedules; say which by its id:\n{listing}",
                       Exit.NOT_FOUND)  # fmt: skip
    return fitting[0]


def project(api: Api, wanted: str) -> Thing:
    """A project. Raises ApiError (3) where there is none."""
    found = [one for one in api.all("/v1/projects", "projects") if wanted in (one["id"], one["name"])]
    return _one(found, "project", wanted, "dtrove project list")


def token(api: Api, wanted: str) -> Thing:
    """A token that was not revoked."""
    alive = [one for one in api.all("/v1/tokens", "tokens") if not one["revoked_at"]]
    return _find(alive, "token", wanted, "dtrove token list", lambda one: bool(one["name"] == wanted))


def is_id(wanted: str) -> bool:
    """Whether a text is a UUID."""
    try:
        UUID(wanted)
    except ValueError:
        return False
    return True


def _by_id(api: Api, path: str, wanted: str) -> Thing | None:
    if not is_id(wanted):
        return None
    try:
        found: Thing = api.get(path)
    except ApiError as error:
        if error.exit_code == Exit.NOT_FOUND:
            return None
        raise
    return found


def _kept(api: Api, noun: str, wanted: str, *, by_cluster: bool) -> Thing:
    """A backup or an export, which a store keeps."""
    if found := _by_id(api, f"/v1/{noun}s/{wanted}", wanted):
        return found
    if not by_cluster:
        raise ApiError(f"there is no {noun} {wanted!r}; `dtrove {noun} list` shows what there is", Exit.NOT_FOUND)
    owner = cluster(api, wanted)
    newest = api.get(f"/v1/{noun}s", cluster=owner["id"], status="completed", limit=1)[f"{noun}s"]
    if not newest:
        raise ApiError(f"cluster {owner['name']} has no {noun} that is completed", Exit.NOT_FOUND)
    return dict(newest[0])


def _instances_named(clusters: Sequence[Thing], wanted: str) -> list[Thing]:
    return [one for cluster in clusters for one in cluster["instances"] if one["name"] == wanted]


def _find(things: Sequence[Thing], noun: str, wanted: str, where: str, fits: Callable[[Thing], bool]) -> Thing:
    exact = [one for one in things if one["id"] == wanted]
    return _one(exact or [one for one in things if fits(one)], noun, wanted, where)


def _one(found: Sequence[Thing], noun: str, wanted: str, where: str) -> Thing:
    if not found:
        raise ApiError(f"there is no {noun} {wanted!r}; `{where}` shows what there is", Exit.NOT_FOUND)
    if len(found) > 1:
        listing = "\n".join(f"  {one['id']}  {one.get('name', '')}" for one in found)
        raise ApiError(f"there are {len(found)} {noun}s called {wanted!r}; say which by its id:\n{listing}",
                       Exit.NOT_FOUND)  # fmt: skip
    return found[0]
