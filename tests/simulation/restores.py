"""What a user does with a cluster whose data are to be others: has them replaced, and says what becomes of those of before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from services.api.actions import backups, restoring_in_place
from services.api.actions.access import DEFAULT_PROJECT
from services.api.store import tables
from tests.simulation.cloud import address_of
from tests.simulation.storage import rows
from tests.support.places import BROUGHT, OWN, Places

if TYPE_CHECKING:
    from tests.simulation.story import Story, Wish

PLOT = "restore in place"
ENDED = ("succeeded", "failed", "cancelled")
_ASKED = {"kind": "full", "store": ""}


class Restores:
    """On one cluster, which serves."""

    def __init__(self, story: Story, cluster_id: str) -> None:
        self._story, self._cluster_id = story, cluster_id
        self._chance = story.world.chance

    def happen(self) -> None:
        """A backup, a restore of it, given up half-way now and then, and one word or the other about what was there."""
        made = self._wish(lambda tx: backups.request(tx, DEFAULT_PROJECT, self._cluster_id, _ASKED)[1])
        if made is None:
            return
        self._story.wait(made)
        if self._story.status(made.operation_id) != "succeeded":
            return
        asked = {"backup": self._backup(made.operation_id), "time": None}
        wish = self._wish(lambda tx: restoring_in_place.request(tx, DEFAULT_PROJECT, self._cluster_id, asked))
        if wish is None:
            return
        if self._chance.random() < 0.3:
            self._story.world.hub.sleep(
                self._chance.choice((0.0, self._chance.uniform(0.0, 2.0), self._chance.uniform(0.0, 60.0)))
            )
            self._story.cancel(wish)
        self._story.wait(wish)
        self._see(wish, BROUGHT, {"former": OWN})
        if self._story.status(wish.operation_id) == "succeeded":
            self._decide()

    def _decide(self) -> None:
        action = self._chance.choice((restoring_in_place.UNDO, restoring_in_place.CONFIRM))
        if action == restoring_in_place.CONFIRM:
            # From here on what was there may go.
            self._places().needed.discard(OWN)
        wish = self._wish(lambda tx: restoring_in_place.decide(tx, DEFAULT_PROJECT, self._cluster_id, action))
        if wish is None:
            return
        self._story.wait(wish)
        if self._story.status(wish.operation_id) == "succeeded":
            self._see(wish, OWN if action == restoring_in_place.UNDO else BROUGHT, {})

    def _see(self, wish: Wish, serve: str, beside: dict[str, str]) -> None:
        """What has succeeded has come about, and what has not is taken back, unless something final has struck."""
        there, status = self._places(), self._story.status(wish.operation_id)
        if status == "succeeded":
            wanted = (serve, beside)
        elif self._story.world.weather.final_faults:
            return
        else:
            wanted = (OWN, {})
        if there.serve != wanted[0] or (status == "succeeded" and there.beside != wanted[1]):
            self._story.failures.append(
                f"after a restore that has {status} {there.serve} data serve, beside {there.beside}"
            )

    def _wish(self, work: Any) -> Wish | None:
        wish = self._story.wish(work, self._cluster_id)
        if wish is not None:
            # A node that is away for long while its data are fetched ends it.
            wish.allowed = ENDED
        return wish

    def _places(self) -> Places:
        c = tables.clusters
        query = select(c.c.primary_id).where(c.c.id == self._cluster_id)
        primary = str(rows(self._story.world.database("api"), query)[0].primary_id)
        return self._story.world.fleet.host(address_of(primary)).places

    def _backup(self, operation_id: str) -> str:
        b = tables.backups
        return str(
            rows(self._story.world.database("api"), select(b.c.id).where(b.c.operation_id == operation_id))[0].id
        )
