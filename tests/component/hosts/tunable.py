"""PostgreSQL on hosts in memory that reads its file: some of it when it is told to, the rest when it starts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.datastore_agentless import actions
from services.datastore_agentless.hosts.base import Put, Result, Run, Target
from services.datastore_agentless.hosts.ssh import SshPool
from services.datastore_agentless.store import parameters
from services.datastore_agentless.workflows.change_parameters import ChangeParameters
from services.datastore_agentless.workflows.roll import RollNodes
from shared.contracts.api import ParametersRequested
from tests.component.hosts.fleet import FleetHosts, FleetRunner, Stage, workflows
from tests.component.hosts.wishes import manager_for, said
from tests.support.keeping import MemoryStore, MemoryStores

FILE = "/etc/postgresql/15/main/conf.d/dtrove.conf"
DEFAULTS = {"max_connections": "100", "work_mem": "4096", "shared_buffers": "16384", "autovacuum": "on",
            "wal_compression": "off", "archive_command": ""}  # fmt: skip
AT_START = ("max_connections", "shared_buffers")
# With these values PostgreSQL does not start, or not take its file.
UNSTARTABLE, UNREADABLE = "1073741823", "13MB"


@dataclass
class Engines:
    """Of each host what its engine runs with, and the titles of what every host was told, in order, with its name."""

    live: dict[str, dict[str, str]] = field(default_factory=dict)
    told: list[tuple[str, str]] = field(default_factory=list)

    def of(self, title: str) -> list[str]:
        """Which nodes were told this, in order."""
        return [name for name, one in self.told if one == title]


@dataclass(kw_only=True)
class TunableRunner(FleetRunner):
    """A host of the fleet whose engine has parameters."""

    engines: Engines

    def run(self, command: Run) -> Result:
        engines, name = self.engines, self.target.name
        if not command.changes and command.title == "see that it can read its file":
            super().run(command)
            return Result(stdout=f"work_mem: {UNREADABLE} is too odd\n" if UNREADABLE in self._file.values() else "")
        if command.title == "read the configuration again":
            self._read(tuple(set(DEFAULTS) - set(AT_START)))
        if command.title == "start postgresql" and not self.fleet[name].runs:
            self.fleet[name].starts = UNSTARTABLE not in self._file.values()
            self._read(tuple(DEFAULTS) if self.fleet[name].starts else ())
        if command.changes:
            engines.told.append((name, command.title))
        if command.title == "see with what it runs":
            wanted = re.findall(r"'([a-z_]+)'", str(command.stdin).partition(" IN ")[2])
            answered = super().run(command)
            live = {one: self._live[one] for one in wanted}
            return Result(stdout=json.dumps(live)) if answered.code == 0 else answered
        return super().run(command)

    def put(self, command: Put) -> Result:
        written = super().put(command)
        if written.changed:
            self.engines.told.append((self.target.name, command.title))
        return written

    @property
    def _live(self) -> dict[str, str]:
        return self.engines.live.setdefault(self.target.name, dict(DEFAULTS))

    @property
    def _file(self) -> dict[str, str]:
        kept = self.hosts.host(self.target.addr).files.get(FILE)
        return dict(re.findall(r"^(\w+) = '(.*)'$", str(kept.content), re.MULTILINE)) if kept else {}

    def _read(self, names: tuple[str, ...]) -> None:
        self._live.update({name: self._file.get(name, DEFAULTS[name]) for name in names})


@dataclass(frozen=True)
class TunableHosts(FleetHosts):
    """Hosts of which every one can be tuned."""

    engines: Engines = field(default_factory=Engines)

    def _driver(self, target: Target, **options: Any) -> TunableRunner:
        return TunableRunner(hosts=self.simulated, fleet=self.fleet, engines=self.engines, target=target, **options)


@dataclass
class Tuning(Stage):
    """The same cluster, and changes of its parameters."""

    engines: Engines = field(default_factory=Engines)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.hosts = TunableHosts(
            self.database,
            SshPool(),
            manager_for,
            simulated=self.hosts.simulated,
            fleet=self.fleet,
            engines=self.engines,
        )
        self.engine = type(self).engine_over(self.hosts)

    @staticmethod
    def engine_over(hosts: TunableHosts) -> Any:
        """An engine that also changes parameters."""
        engine = workflows(hosts, MemoryStores(MemoryStore()))
        for flow in (ChangeParameters(hosts).workflow(), *RollNodes(hosts).workflows()):
            engine.workflows[flow.name] = flow
        return engine

    def tune(
        self, values: Mapping[str, str], operation: str = "tune", *, version: int = 1, restart: bool = False
    ) -> None:
        """Ask for these, and only these."""
        self.engines.told.clear()
        event = ParametersRequested(cluster_id="c", operation_id=operation, project_id="p", version=version,
                                    values=dict(values), restart_now=restart, author="someone")  # fmt: skip
        assert actions.request_parameters(self.database, event)

    def ended(self, operation: str = "tune") -> dict[str, Any]:
        """The only end of a change."""
        return super().ended(operation)

    def said_of_all(self, topic: str) -> list[dict[str, Any]]:
        """What was announced under a topic that is of no operation."""
        return said(self.database, topic)

    def in_hand(self) -> str:
        """Whose engine is being restarted."""
        with self.database.read() as connection:
            return parameters.in_hand(connection, "c")

    def live(self, name: str) -> dict[str, str]:
        """What each node's engine runs with."""
        return {node: values[name] for node, values in sorted(self.engines.live.items())}

    def states(self, name: str, operation: str = "tune") -> dict[str, str]:
        """How it stands on each node, as the end of an operation says."""
        return {one["instance_id"]: one["states"][name] for one in self.ended(operation)["result"]["nodes"]}
