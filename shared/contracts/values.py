"""Values that several contracts carry."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class DatastoreRef:
    """A version of a datastore. `name` is the display name, as in `mysql - 10.11`; `port` where it answers, 0 for unknown."""

    id: str
    manager: str
    version: str
    image: str
    packages: tuple[str, ...] = ()
    name: str = ""
    port: int = 0


@dataclass(frozen=True, kw_only=True)
class Topology:
    """How the nodes of a cluster work together. `mode`: `sync` where a write waits until a replica has it, or `async`."""

    mode: str


@dataclass(frozen=True, kw_only=True)
class Flavor:
    """A size of server that the provider offers."""

    id: str
    name: str
    vcpus: int
    ram_mb: int
    disk_gb: int


@dataclass(frozen=True, kw_only=True)
class InstanceRef:
    """An instance as its cluster names it."""

    id: str
    name: str


@dataclass(frozen=True, kw_only=True)
class VolumeRef:
    """A volume of an instance. `device` is empty where the provider has mounted it by other means.

    Several places where it may be, the best first, are a line each.
    """

    id: str
    size_gb: int
    mount_point: str = ""
    device: str = ""
    mounted: bool = True


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Why something failed, as the user is told: the step, the redacted command, its last words, the way out."""

    step: str
    message: str
    host: str = ""
    command: str = ""
    stderr: str = ""
    what_to_do: str = ""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a database answers."""

    host: str
    port: int


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """How a client reaches a cluster. `url` has the administrator's name and no password."""

    primary: Address
    url: str
    replicas: tuple[Address, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TranscriptEntry:
    """One command that ran on a host, redacted. `exit_code` is None while it runs or where it was lost."""

    sequence: int
    host: str
    command: str
    started_at: str
    seconds: float
    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class CommandResult:
    """What one command of a `perform` came to."""

    command: str
    exit_code: int
    stdout: str = field(default="")
    stderr: str = field(default="")
