"""The configuration as this machine would start with it: every option of every service, and where its value comes from."""

from __future__ import annotations

import importlib
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from client.local.configuration import load
from client.settings import Settings as ClientSettings
from shared.config import Described, describe, problems_of

SERVICES = ("api", "provisioner", "datastore_agentless", "scheduler")
# Stands in for the address of the broker that `dtrove up` would run.
PRIVATE_BROKER = "amqp://127.0.0.1"


@dataclass(frozen=True)
class Row:
    """One option. `source` is environment, file, default, or `dtrove up` where that has chosen the value."""

    option: Described
    source: str
    read_by: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Configuration:
    """What stands in the file `path` and the environment, for the installation in `home`."""

    home: Path
    path: Path
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)

    def rows(self) -> list[Row]:
        """Every option, each once, in the order of the services; last those of the command line."""
        values = self.values()
        rows: dict[str, Row] = {}
        for service in SERVICES:
            for option in describe(settings_of(service), values):
                row = rows.setdefault(option.name, Row(option, self._source(option, values)))
                row.read_by.append(service)
        for option in describe(ClientSettings, self.environ):
            source = "environment" if option.given else "default"
            rows.setdefault(option.name, Row(option, source)).read_by.append("dtrove")
        return list(rows.values())

    def problems(self) -> list[str]:
        """All that keeps the services from starting, each thing once."""
        return problems_of([settings_of(service) for service in SERVICES], self.values())

    def values(self) -> dict[str, Any]:
        """The options as the services would read them; a broker that `dtrove up` would run counts as there."""
        found = load(self.path, {**self._chosen(), **self.environ, "DTROVE_HOME": str(self.home)})
        if not found.get("AMQP_URI"):
            found["AMQP_URI"] = PRIVATE_BROKER
        return found

    def _chosen(self) -> dict[str, str]:
        """What a running `dtrove up` has decided by itself."""
        path = self.home / "run" / "environment"
        try:
            lines = shlex.split(path.read_text())
        except OSError:
            return {}
        return dict(line.split("=", 1) for line in lines)

    def _source(self, option: Described, values: Mapping[str, Any]) -> str:
        name = option.name
        bare = load(self.path, {"DTROVE_HOME": str(self.home)})
        if self.environ.get(name) or load(self.path, {"DTROVE_HOME": str(self.home), **self.environ}).get(
            name
        ) != bare.get(name):
            return "environment"
        if values.get(name) != bare.get(name):
            return "dtrove up"
        return "file" if option.given and option.value != option.default else "default"


def settings_of(service: str) -> type[Any]:
    """The settings class of a service."""
    settings: type[Any] = importlib.import_module(f"services.{service}.settings").Settings
    return settings


def declared() -> Iterator[tuple[str, list[Described]]]:
    """Every program and the options that it reads, at their defaults."""
    for service in SERVICES:
        yield service, describe(settings_of(service), {})
    yield "dtrove", describe(ClientSettings, {})
