"""The port of increments: what has changed in one engine's data since a backup, as a stream, and data put together of several.

A `Dumping` names its object in `increments`. Its own `sends` then says, in a line `taken NAME POSITION` to the descriptor 7, what the
data remember of that backup: the name lies in the data's folder, where no copy of them takes it along.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from services.datastore_agentless.domain.backup import Taken
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Script

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.base.manager import BaseManager


class Increments(ABC):
    """How one engine's changes leave a node, and are worked in elsewhere. As with `Dumping`, lines are bash, run as root."""

    def __init__(self, manager: BaseManager) -> None:
        self.manager = manager

    @abstractmethod
    def remembers(self, node: Instance, base: Taken) -> Script:
        """Whether the data on a node are still those of which that backup was taken; returns a bool."""

    @abstractmethod
    def sends(self, node: Instance, base: Taken) -> str:
        """What prints all that has changed since, and says what the data remember of it; fails where they are not those any more."""

    @abstractmethod
    def receives(self, node: Instance, count: int) -> str:
        """What reads one of `count` streams, whose number from 1 on is in `$1`: the full one, then what was built upon it, in order.

        The last one leaves what `Dumping.receives` leaves. The first one begins anew each time.
        """
