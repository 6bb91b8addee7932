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
    def join(self, replica: Instance, primary: Instance, source: Instance) -> Script:
        """On the replica: take over the data where it has none of them, and follow the primary from now on, restarts included.

        `source` is who sends the data: the primary, or a replica that `lends` them.
        """

    @abstractmethod
    def following(self, replica: Instance, primary: Instance) -> Script:
        """On the replica: look whether it follows the primary; returns STREAMS, or what it lacks."""

    @abstractmethod
    def protect(self, primary: Instance, replicas: Sequence[Instance], mode: str) -> Script:
        """On the primary: acknowledge writes as `mode` says, with these replicas."""

    @abstractmethod
    def standing(self, node: Instance, primary: Instance) -> Script:
        """On any node, also one that is frozen: where it stands; returns a Standing. Nothing is changed.

        `primary` is who should be the primary: what a well host answers follows from that. Raises CommandFailed where the
        database does not answer.
        """

    @abstractmethod
    def freeze(self, primary: Instance) -> Script:
        """On the primary: acknowledge no write from now on, restarts included; returns the Standing that nothing comes after.

        What it has acknowledged before still reaches the replicas that are connected.
        """

    @abstractmethod
    def thaw(self, primary: Instance) -> Script:
        """On the primary: take writes again; undoes `freeze`."""

    @abstractmethod
    def promote(self, replica: Instance) -> Script:
        """On a replica: follow nobody, and take writes from now on, restarts included."""

    @abstractmethod
    def demote(self, former: Instance, primary: Instance) -> Script:
        """On a primary that is frozen, of which the new one has all: follow the new one, restarts included."""

    @abstractmethod
    def follow(self, replica: Instance, primary: Instance) -> Script:
        """On a replica: follow another primary than before, whose history holds all that the replica has."""

    @abstractmethod
    def reset(self, node: Instance) -> Script:
        """On a node whose data may have parted from the cluster's: stop it, and have `join` take the primary's data anew.

        Nothing may start it meanwhile so that it takes writes. What it has is kept until the copy is whole.
        """

    def kept_since(self, primary: Instance, replica: Instance) -> Script:
        """On the primary: from where on it keeps its log for a replica that was admitted; returns what `lends` understands."""
        yield from ()
        return ""

    def lends(self, node: Instance, since: str) -> Script:
        """On a replica that follows: whether a new one may copy its data, and go on with a log that is kept from `since` on."""
        yield from ()
        return False

    def dismiss(self, primary: Instance, replica: Instance) -> Script:
        """On the primary: keep nothing any more for a replica whose server is gone; returns NOTHING, or what it holds yet."""
        yield from ()
        return NOTHING

    def url(self, places: Sequence[tuple[str, int]], user: str) -> str:
        """One URL for the whole cluster, the primary's place first."""
        return self.manager.url(*places[0], user)
