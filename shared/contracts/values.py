"""Values that several contracts carry."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


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
    """How the nodes of a cluster work together. `mode`: `sync` where a write waits until a replica has it, or `async`.

    `failover`: `automatic` where a dead primary is replaced without being asked, or `manual`.
    """

    mode: str
    failover: str = "automatic"


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
class RestoreRef:
    """The backup that a cluster is to begin with, and up to which moment it takes the log that was kept after it; null: none of that."""

    backup_id: str
    time: datetime | None = None


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
class StableAddress:
    """Where a cluster's primary answers, whichever node that is. `url` has the administrator's name and no password."""

    host: str
    port: int
    url: str


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """How a client reaches a cluster. `url` has the administrator's name and no password.

    `address` is the cluster's own, null where its provider has none for it.
    """

    primary: Address
    url: str
    replicas: tuple[Address, ...] = ()
    address: StableAddress | None = None


@dataclass(frozen=True, kw_only=True)
class NodeHealth:
    """How one node was at `seen_at`, RFC 3339 in UTC, and since when it is so.

    `verdict` is one of shared.contracts.verdicts.Verdict; `evidence` are the words of its witnesses by their names; `facts` are
    numbers and words that its probe has returned (role, lag_seconds, disk_free_mb, ...), null where one is not known;
    `numbers` are what its engine counts, by the names of shared.contracts.numbers.
    """

    instance_id: str
    cluster_id: str
    verdict: str
    message: str
    seen_at: str
    since: str
    evidence: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)


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
