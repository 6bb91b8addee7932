"""The port of an engine's parameters: what there are, by its own catalogue; what a node runs with; and how that is changed.

What is wanted stands in the configuration file alone, which the manager renders whole; what an engine takes while it runs it is
told as well. These are scripts, as a manager's, each find-or-do: a second run changes nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from services.datastore_agentless.datastores.base import scripts
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Put, Run, Script, quote
from shared.contracts.parameters import (
    ADJUSTED,
    INTEGER,
    LIVE,
    REAL,
    RESTART,
    NodeParameters,
    ParameterDefinition,
    same,
)

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.base.manager import BaseManager

# The first of the engine's processes, in ticks since the boot. Ages are compared, not times: the boot's own is known to a second.
# Source: proc(5), /proc/[pid]/stat, field 22, and /proc/uptime.
_STARTED_SINCE = """{running}
written=$(stat -c %.2Y {file}) || exit 0
for p in $(pids {process}); do
  {{ read -r s < /proc/$p/stat; }} 2>/dev/null || continue
  s=${{s##*) }}; set -- $s; echo "${{20}}"
done | sort -n | sed -n 1p | while read -r ticks; do
  awk -v t="$ticks" -v hz="$(getconf CLK_TCK)" -v now="$(date +%s.%N)" -v written="$written" \
    '{{ age = $1 - t / hz; print (age >= 0 && age < now - written) ? "yes" : "no" }}' /proc/uptime
done
"""

Definitions = Mapping[str, ParameterDefinition]
DESCRIPTION_KEPT = 160


@dataclass(frozen=True)
class Catalogue:
    """What an engine says of its parameters; `engine` is its own version."""

    engine: str
    definitions: tuple[ParameterDefinition, ...]


class Parameters(ABC):
    """How one engine's parameters are looked up and changed.

    `refused` are those that are DTrove's own, or would harm what it promises: reasons, each with names or patterns.
    `floors` are the least values where the engine would take less than a cluster can do with. `standby` names what a replica
    needs at least as much of as its primary has.
    """

    refused: Mapping[str, str] = {}
    floors: Mapping[str, int] = {}
    standby: frozenset[str] = frozenset()

    def __init__(self, manager: BaseManager) -> None:
        self.manager = manager

    @abstractmethod
    def catalogue(self, node: Instance) -> Script:
        """On a node that was prepared a moment ago: ask the engine what there is; returns a Catalogue. Nothing is changed."""

    @abstractmethod
    def live(self, node: Instance, names: Iterable[str], sample: Mapping[str, str]) -> Script:
        """Ask the engine what it runs with; returns values by name. `sample` is what it says where all is as wanted."""

    @abstractmethod
    def statements(self, goals: Mapping[str, str], known: Definitions) -> list[str]:
        """What has the engine take these while it runs, in its own language, as a plan shows it."""

    @abstractmethod
    def apply(self, node: Instance, goals: Mapping[str, str], known: Definitions) -> Script:
        """Have the engine take these while it runs, as the file has them. Raises CommandFailed with its words."""

    @abstractmethod
    def written(self, text: str) -> dict[str, str]:
        """The values in a configuration file that the manager has rendered."""

    def goals(self, node: Instance, names: Iterable[str], known: Definitions) -> dict[str, str]:
        """What the engine is to run with: what stands in its file, or the engine's own default."""
        own = {**self.written(self.manager.render_config_file(node)), **self.manager.datastore.default_parameters}
        stands = {**own, **node.parameters}
        return {name: str(stands.get(name, known[name].default)) for name in names}

    def change(self, node: Instance, names: Iterable[str], known: Definitions) -> Script:
        """Write the file, have the engine take what it can while it runs, and read back; returns the node's NodeParameters."""
        yield from self.manager.write_configuration(node)
        seen: NodeParameters = yield from self.see(node, names, known)
        late = {name for name, state in seen.states.items() if state == ADJUSTED and not known[name].restart}
        if late:
            goals = self.goals(node, names, known)
            yield from self.apply(node, {name: goals[name] for name in sorted(late)}, known)
            seen = yield from self.see(node, names, known)
        return seen

    def see(self, node: Instance, names: Iterable[str], known: Definitions) -> Script:
        """Look with what the engine runs; returns the node's NodeParameters."""
        wanted = sorted(set(names) & set(known))
        if not wanted:
            return NodeParameters(instance_id=node.id)
        goals = self.goals(node, wanted, known)
        live: dict[str, str] = yield from self.live(node, wanted, goals)
        states = {name: _state(known[name], live[name], goals[name]) for name in wanted if name in live}
        if RESTART in states.values() and (yield from self._has_read_its_file(node)):
            # No further restart would change it.
            states = {name: ADJUSTED if state == RESTART else state for name, state in states.items()}
        return NodeParameters(instance_id=node.id, live={name: live[name] for name in states}, states=states)

    def _has_read_its_file(self, node: Instance) -> Script:
        """Whether the engine has started since its file was written; returns a bool."""
        file = next(self.manager.write_configuration(node), None)
        if not isinstance(file, Put) or not self.manager.process:
            return False
        process = quote(scripts.process_name(self.manager.process))
        told = yield Run(_STARTED_SINCE.format(running=scripts.RUNNING, process=process, file=quote(file.path)),
                         title="see whether it has started since its file was written", changes=False)  # fmt: skip
        return told.text == "yes"

    def define(self, one: ParameterDefinition) -> ParameterDefinition:
        """A definition with what DTrove has to say of it."""
        reason = next((why for pattern, why in self.refused.items() if fnmatchcase(one.name, pattern)), "")
        least = self.floors.get(one.name)
        if least is not None and one.kind in (INTEGER, REAL):
            one = replace(one, minimum=str(max(Decimal(one.minimum or "0"), Decimal(least))))
        return replace(one, refused=one.refused or reason, standby=one.name in self.standby,
                       description=one.description[:DESCRIPTION_KEPT])  # fmt: skip


def refusals(*groups: tuple[str, str]) -> dict[str, str]:
    """Reasons by name or pattern, from pairs of a reason and names with spaces between."""
    return {name: reason for reason, names in groups for name in names.split()}


def text(value: Any) -> str:
    """A value of a catalogue, which may be null."""
    return "" if value is None else str(value)


def _state(known: ParameterDefinition, live: str, goal: str) -> str:
    if same(known, goal, live):
        return LIVE
    return RESTART if known.restart else ADJUSTED
