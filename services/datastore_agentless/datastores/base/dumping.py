"""The port of a dump: one engine's data as one stream that is consistent in itself, and data made of such a stream again.

A manager names its class in `dumping_class`. The lines of `sends` and `receives` are bash, run as root inside one pipeline with
`set -euo pipefail`: the exit status of each of their commands counts. Neither touches what serves.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Script

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.base.manager import BaseManager


@dataclass(frozen=True)
class Mark:
    """Where an engine stood at a moment: `position` in its own words, `at` by the host's clock, RFC 3339 in UTC."""

    engine: str
    position: str
    at: str


class Dumping(ABC):
    """How one engine's data leave a node whole, and come to another. Scripts are find-or-do, as a manager's."""

    # What a node needs for it beside the database.
    packages: Sequence[str] = ()

    def __init__(self, manager: BaseManager) -> None:
        self.manager = manager

    @abstractmethod
    def mark(self, node: Instance) -> Script:
        """Where the engine stands now; returns a Mark."""

    @abstractmethod
    def size(self, node: Instance) -> Script:
        """How many bytes the stream has at most, before it is compressed: an estimate from above, as an int."""

    @abstractmethod
    def sends(self, node: Instance) -> str:
        """What prints the stream. It leaves nothing behind, also where it is ended half-way."""

    @abstractmethod
    def receives(self, node: Instance) -> str:
        """What reads the stream and makes data of it, in a folder of their own beside those that serve. Begins anew each time."""

    @abstractmethod
    def take_over(self, node: Instance) -> Script:
        """Put the data that `receives` has made in the place of the node's own, at one stroke, and start the engine on them.

        Also where that is done already. Users come with the data: the administrator's login is set by `secure` afterwards.
        """
