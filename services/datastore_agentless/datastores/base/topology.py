"""The port of a topology: how the nodes of one cluster work together, one that takes writes and those that follow it.

A manager names its topology in the attribute `topology`; another one (Galera, Sentinel) is another class in the datastore's
folder. Like a manager's methods, these are generators of commands, each find-or-do. Who calls them has made sure that a node
is the primary, or is not: a topology never decides that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.datastore_agentless.datastores.base.copying import Copying
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Script

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.base.manager import BaseManager

ASYNC, SYNC = "async", "sync"
# Whom replicas log in as at the primary.
REPLICATION_USER = "dtrove_replication"
# What `following` returns of a replica that does follow; anything else says why it does not.
STREAMS = ""
# What `dismiss` returns once nothing is held any more; anything else says what still is.
NOTHING = ""


class Topology(ABC):
    """One primary, and replicas that follow it.

    `modes` are what a user may choose from, the usual one first: with `async` the primary acknowledges a write before any
    replica has it, with `sync` not before one has.
    """

    modes: tuple[str, ...] = (ASYNC,)
    # How a replica gets data of which the primary's log does not tell; None where `join` sees to that itself.
    copying: Copying | None = None

    def __init__(self, manager: BaseManager) -> None:
        self.manager = manager

    @abstractmethod
    def admit(self, primary: Instance, replica: Instance) -> Script:
        """On the primary: let the replica log in, and keep for it what it has not seen yet."""

    @abstractmethod
    def join(self, replica: Instance, primary: Instance) -> Script:
        """On the replica: take over the primary's data where it has none of it, and follow from now on, restarts included."""

    @abstractmethod
    def following(self, replica: Instance, primary: Instance) -> Script:
        """On the replica: look whether it follows the primary; returns STREAMS, or what it lacks."""

    @abstractmethod
    def protect(self, primary: Instance, replicas: Sequence[Instance], mode: str) -> Script:
        """On the primary: acknowledge writes as `mode` says, with these replicas."""

    def dismiss(self, primary: Instance, replica: Instance) -> Script:
        """On the primary: keep nothing any more for a replica whose server is gone; returns NOTHING, or what it holds yet."""
        yield from ()
        return NOTHING

    def url(self, places: Sequence[tuple[str, int]], user: str) -> str:
        """One URL for the whole cluster, the primary's place first."""
        return self.manager.url(*places[0], user)
