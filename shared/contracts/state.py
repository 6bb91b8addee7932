"""What a service tells an operator of itself, over RPC: `state` of each service answers with a ServiceState."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Revision:
    """The version of a database beside that of the code; `known`: whether the code knows the database's."""

    database: str
    code: str
    known: bool


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What waits in an outbox: how many messages, for how many seconds the oldest, and why that one still does."""

    messages: int = 0
    oldest_seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Sealing:
    """How many stored secrets there are, how many of them an old key has sealed, and how many no key opens."""

    total: int = 0
    old: int = 0
    unreadable: int = 0


@dataclass(frozen=True, kw_only=True)
class Disk:
    """The room where the installation keeps its files, in bytes."""

    free_bytes: int
    total_bytes: int


@dataclass(frozen=True, kw_only=True)
class OpenTask:
    """Work of an operation that is not at its end; `worked_on`: whether somebody holds its lease."""

    operation_id: str
    kind: str
    step: str
    attempt: int
    due_at: datetime
    worked_on: bool
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class ProviderState:
    """How the last look at the provider went; `message` is the trouble, `checked_at` empty before the first look.

    `calls` is how many calls to the cloud this process has made, 0 where the provider does not count.
    """

    name: str
    answers: bool
    message: str = ""
    checked_at: str = ""
    calls: int = 0


@dataclass(frozen=True, kw_only=True)
class HostClocks:
    """Of how many hosts the clock is known, and the one that is farthest off: seconds ahead of the controller's."""

    known: int = 0
    worst_seconds: float = 0.0
    worst_host: str = ""


@dataclass(frozen=True, kw_only=True)
class ServiceState:
    """A service as it sees itself at `now`, by its own clock.

    `database` and `keyring` say what is wrong with them, empty for nothing. `database_ahead` is how many seconds the
    database's clock is ahead of the service's, null where they are one. `stores` are those of backups, each with what is wrong with
    it, empty for nothing. What a service has nothing to say of is null.
    """

    service: str
    now: datetime
    database: str = ""
    database_ahead: float | None = None
    revision: Revision | None = None
    outbox: Waiting = field(default_factory=Waiting)
    has_keyring: bool = False
    keyring: str = ""
    secrets: Sealing | None = None
    disk: Disk | None = None
    tasks: tuple[OpenTask, ...] = ()
    provider: ProviderState | None = None
    orphans: dict[str, int] | None = None
    hosts: HostClocks | None = None
    stores: dict[str, str] | None = None
