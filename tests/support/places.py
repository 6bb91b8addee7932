"""The data of a host in memory, by their names beside the place of those that serve: see datastores.base.aside."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from services.datastore_agentless.hosts.base import Run

OWN, BROUGHT = "its own", "the backup's"
_GOES = re.compile(r"\|\| mv \S+ \S+\.(\w+) \|\| exit 1\n  mv -T \S+\.(\w+) ")


@dataclass
class Places:
    """`serve` are those that the engine would start on; `beside` lie beside them. `served` are all that it was started on, in order.

    `needed` are those that must never be gone.
    """

    serve: str = OWN
    beside: dict[str, str] = field(default_factory=dict)
    served: list[str] = field(default_factory=list)
    needed: set[str] = field(default_factory=lambda: {OWN})

    @property
    def lost(self) -> list[str]:
        """Those of the needed that there are no more."""
        return sorted(self.needed - {self.serve, *self.beside.values()})

    def answer(self, command: Run, runs: bool) -> str | None:
        """Do what a command about them does; what it prints, or None where it is about something else."""
        if command.title == "see whether data were set aside":
            return "yes\n" if "former" in self.beside else "no\n"
        if command.title.startswith("exchange the data"):
            assert not runs, "the engine has them open"
            self._exchange(command.line)
            return ""
        if command.title == "remove the data that were beside":
            gone = [word.rpartition(".")[2] for word in command.line.partition(" && ")[0].split()[2:]]
            self.beside = {name: what for name, what in self.beside.items() if name not in gone}
            return ""
        return None

    def _exchange(self, line: str) -> None:
        found = _GOES.search(line)
        assert found is not None, line
        goes, comes = found.groups()
        if comes in self.beside:
            self.beside[goes] = self.serve
            self.serve = self.beside.pop(comes)
