"""What a cluster is to run with, by where it comes from: a group that several share, and over it what is the cluster's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

OWN, GROUP = "cluster", "group"


@dataclass(frozen=True)
class TakenGroup:
    """A group as a cluster has taken it: its number, and what it had then."""

    id: str
    name: str
    version: int
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class ParameterSet:
    """A cluster's own parameters, and the group under them; None for none."""

    own: Mapping[str, str] = field(default_factory=dict)
    group: TakenGroup | None = None

    @property
    def wanted(self) -> dict[str, str]:
        """What its engines are to run with: the cluster's own goes before the group's."""
        both = {**(self.group.parameters if self.group else {}), **self.own}
        return dict(sorted(both.items()))

    def source(self, name: str) -> str | None:
        """Where the value of a parameter comes from; None where it is not set."""
        if name in self.own:
            return OWN
        return GROUP if self.group is not None and name in self.group.parameters else None

    def columns(self) -> dict[str, Any]:
        """How a version of a cluster's parameters stores it; see `stored`."""
        taken = self.group or TakenGroup("", "", 0, {})
        return {
            "wanted": self.wanted, "own": dict(self.own), "shared": dict(taken.parameters), "group_id": taken.id,
            "group_name": taken.name, "group_version": taken.version,
        }  # fmt: skip


def stored(row: Any) -> ParameterSet:
    """The set of a version's row; what older releases have written is all the cluster's own."""
    if row.own is None:
        return ParameterSet(row.wanted)
    return ParameterSet(row.own, taken(row))


def taken(row: Any) -> TakenGroup | None:
    """The group that a version's row has come from; None for none."""
    return TakenGroup(row.group_id, row.group_name, row.group_version, row.shared or {}) if row.group_id else None
