"""Nodes of a fleet on which pieces of PostgreSQL's log wait, and what is brought from there to a store in memory."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from services.datastore_agentless.hosts.base import CommandFailed, Job, Result, Run
from services.datastore_agentless.hosts.driver import Driver
from tests.component.hosts.fleet import FleetHosts, FleetRunner
from tests.support.keeping import sent

SYSTEM, SEGMENT = "700", 16_777_216


def segment(number: int, timeline: int = 1) -> str:
    """The name of a segment."""
    return f"{timeline:08X}{number >> 8:08X}{number & 0xFF:08X}"


@dataclass
class SpoolOn:
    """What waits on one node. `files` are by name, each with when it was finished; `archives`: since its engine's last start.

    `begins` is the segment that its newest checkpoint begins in, `free` what its volume has left; `jobs` are the scripts of what was
    received, by name. `breaks` is called once, when a run is being sent.
    """

    there: bool = False
    archives: bool = True
    files: dict[str, float] = field(default_factory=dict)
    timeline: int = 1
    at: float = 100.0
    waiting: int = 0
    failing: str = ""
    lost: list[str] = field(default_factory=list)
    begins: int = 1
    free: str = "begun"
    sent: list[list[str]] = field(default_factory=list)
    jobs: dict[str, str] = field(default_factory=dict)
    breaks: Any = None

    def finish(self, *numbers: int, timeline: int = 0, at: float = 1_767_225_600.0) -> None:
        """Segments are finished, one a second."""
        for place, number in enumerate(numbers):
            self.files[segment(number, timeline or self.timeline)] = at + place

    def asked(self, writes: bool) -> str:
        """What its engine says."""
        timeline = f"{self.timeline:08X}" if writes else ""
        mode = "on" if self.archives else "off"
        return f"{SYSTEM}|{SEGMENT}|{mode}|{self.at}|{timeline}|{self.failing}\n"

    def listed(self) -> str:
        """What its folder says."""
        rows = [f"{name} {SEGMENT} {at}" for name, at in self.files.items()] if self.there else []
        lines = ["spool" if self.there else "none", str(self.waiting), *rows, *(f"lost {name}" for name in self.lost)]
        return "\n".join(lines) + "\n"


@dataclass(kw_only=True)
class SpoolRunner(FleetRunner):
    """A host of the fleet with a spool."""

    spools: dict[str, SpoolOn]

    def run(self, command: Run) -> Result:
        spool = self.spools.setdefault(self.target.name, SpoolOn())
        done = super().run(command)
        match command.title:
            case "ask how the log is kept":
                return Result(stdout=spool.asked(not self.fleet.at(self.target.addr).standby))
            case "see what waits of the log":
                return Result(stdout=spool.listed())
            case "see from where on the log is needed":
                place = spool.begins * SEGMENT + 40
                return Result(stdout=f"{SYSTEM}|{SEGMENT}|{spool.timeline}|{place >> 32:X}/{place & 0xFFFFFFFF:X}\n")
            case "see how much room there is for the data and the log":
                return Result(stdout=f"{spool.free}\n")
            case "make a spool for the log":
                spool.there = True
            case "remove the spool of the log":
                spool.there, spool.files = False, {}
            case "let go of what is safe of the log":
                for name in str(command.stdin).split():
                    spool.files.pop(name, None)
                    spool.lost = [one for one in spool.lost if one != name]
        return done

    def follow(self, command: Job) -> Result:
        if command.name.startswith("receive"):
            self.spools.setdefault(self.target.name, SpoolOn()).jobs[command.name] = command.script
        if not command.name.startswith("send-log-"):
            return super().follow(command)
        self._node(command.title)
        spool = self.spools[self.target.name]
        names = re.findall(r"\b[0-9A-F]{24}\b|\b[0-9A-F]{8}\.history", command.script)
        if spool.breaks:
            happens, spool.breaks = spool.breaks, None
            happens()
        if any(name not in spool.files for name in names):
            raise CommandFailed("tar: no such file", code=2)
        spool.sent.append(names)
        return Result(stdout=sent())


@dataclass(frozen=True)
class SpoolHosts(FleetHosts):
    """Hosts of which every one has a spool, by its name."""

    spools: dict[str, SpoolOn] = field(default_factory=dict)

    def _driver(self, target: Any, **options: Any) -> Driver:
        return SpoolRunner(hosts=self.simulated, fleet=self.fleet, spools=self.spools, target=target, **options)
