"""Parameters as the JSON that users are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Row

from services.api.domain.parameter_sets import ParameterSet, TakenGroup, taken
from services.api.domain.parameters import differences
from services.api.store.views import stamp
from shared.contracts.parameters import LIVE, RESTART, ParameterDefinition

UNKNOWN = "unknown"


def definition(one: ParameterDefinition) -> dict[str, Any]:
    """One parameter of a datastore."""
    return {
        "name": one.name, "type": one.kind, "unit": one.unit or None, "minimum": one.minimum or None,
        "maximum": one.maximum or None, "values": list(one.values), "default": one.default,
        "applies": "restart" if one.restart else "live", "description": one.description, "refused": one.refused or None,
    }  # fmt: skip


def group(row: Row[Any]) -> dict[str, Any]:
    """A group, without the clusters that have it."""
    return {
        "id": row.id, "name": row.name, "description": row.description, "datastore": row.datastore, "version": row.version,
        "parameters": row.parameters, "author": row.author, "created_at": stamp(row.created_at),
        "changed_at": stamp(row.changed_at),
    }  # fmt: skip


def of_group(found: TakenGroup | None, newest: int | None = None) -> dict[str, Any] | None:
    """The group that a cluster has, as it has taken it; with the group's newest version, where that is asked for."""
    if found is None:
        return None
    more = {} if newest is None else {"newest": newest, "out_of_date": found.version != newest}
    return {"id": found.id, "name": found.name, "version": found.version, **more}


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[dict[str, Any]]:
    """What changes between two sets."""
    return [{"name": name, "before": old, "after": new} for name, old, new in differences(before, after)]


def move(cluster: Any, before: ParameterSet, after: ParameterSet, waits: str) -> dict[str, Any]:
    """What a change of its group means for a cluster."""
    return {
        "id": cluster.id,
        "name": cluster.name,
        "changes": changes(before.wanted, after.wanted),
        "waits": waits or None,
    }


def cluster(
    wanted: ParameterSet,
    known: Mapping[str, ParameterDefinition],
    instances: Iterable[Any],
    seen: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """All that is set, and all that waits for a restart because it was set before; of each what every node runs with."""
    there = [(one, seen[one.id]) for one in instances if one.id in seen]
    waiting = {name for _, row in there for name, state in row.states.items() if state != LIVE}
    values = wanted.wanted
    return [
        _shown(name, values.get(name), known.get(name), there) | {"source": wanted.source(name)}
        for name in sorted({*values, *waiting})
    ]


def _shown(
    name: str, value: str | None, known: ParameterDefinition | None, there: Sequence[tuple[Any, Any]]
) -> dict[str, Any]:
    nodes = [{"instance": one.id, "name": one.name, "live": row.live[name], "state": row.states[name]}
             for one, row in there if name in row.states]  # fmt: skip
    states = {node["state"] for node in nodes}
    state = next((one for one in (RESTART, *sorted(states - {LIVE}), LIVE) if one in states), UNKNOWN)
    lives = {node["live"] for node in nodes}
    return {
        "name": name, "value": value, "default": known.default if known else None, "state": state,
        "live": lives.pop() if len(lives) == 1 else None, "pending_restart": RESTART in states, "nodes": nodes,
    }  # fmt: skip


def versions(rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    """Versions, the latest first, each with what it changed of what was wanted before it."""
    shown, before = list[dict[str, Any]](), dict[str, str]()
    for row in reversed(rows):
        shown.append({
            "version": row.version, "state": row.state, "parameters": row.wanted,
            "changes": changes(before, row.wanted), "group": of_group(taken(row)), "author": row.author, "operation": row.operation_id, "at": stamp(row.at),
        })  # fmt: skip
        if row.state != "failed":
            before = dict(row.wanted)
    return shown[::-1]
