"""What a user does with the primary of a cluster: has another node take over, or, once it is dead or cut off, asks for a failover."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from services.api.actions import takeovers
from services.api.actions.access import DEFAULT_PROJECT
from services.api.store import tables
from tests.simulation.cloud import address_of
from tests.simulation.storage import rows

if TYPE_CHECKING:
    from tests.simulation.story import Story

LOOK_SECONDS = 4.0
# A server that could not be reached comes back as one that copies everything anew, once its outage is over.
RETURN_SECONDS = 1500.0
ENDED = ("succeeded", "failed", "cancelled")


class Takeovers:
    """On one cluster of several nodes, which serves."""

    def __init__(self, story: Story, cluster_id: str) -> None:
        self._story, self._cluster_id = story, cluster_id
        self._world = story.world

    def happen(self, plot: str) -> None:
        """One or two of them, and whatever stands in the way of the second."""
        for _ in range(self._world.chance.choice((1, 1, 2))):
            self._switch_over() if plot == "switch over" else self._fail_over()
            if self._world.chance.random() < 0.2:
                return
            self._settle()

    def _switch_over(self) -> None:
        chance, story = self._world.chance, self._story
        wanted = chance.choice((None, *story.replicas(self._cluster_id)))
        wish = story.wish(lambda tx: takeovers.switch_over(tx, DEFAULT_PROJECT, self._cluster_id, {"instance": wanted}),
                          self._cluster_id)  # fmt: skip
        if wish is None:
            return
        # Writes go before the wish: a primary that cannot be reached for long is not kept frozen.
        wish.allowed = ("succeeded", "failed")
        if chance.random() < 0.3:
            self._world.hub.sleep(chance.choice((0.0, chance.uniform(0.0, 1.0), chance.uniform(0.0, 30.0))))
            story.cancel(wish)
            wish.allowed = ENDED
        story.wait(wish)
        self._see_one_writer()

    def _fail_over(self) -> None:
        chance, story = self._world.chance, self._story
        former = self._primary()
        if chance.random() < 0.5:
            for server in self._world.provider.cloud.servers(former):
                self._world.provider.pull_plug(server)
        else:
            self._world.fleet.roles.cut_off(address_of(former))
        asked = {"instance": None, "accept_loss": chance.random() < 0.2}
        wish = story.wish(
            lambda tx: takeovers.fail_over(tx, DEFAULT_PROJECT, self._cluster_id, asked), self._cluster_id
        )
        if wish is None:
            return
        if chance.random() < 0.2:
            self._world.hub.sleep(chance.uniform(0.0, 10.0))
            story.delete(self._cluster_id)
            return
        story.wait(wish)
        if story.status(wish.operation_id) == "succeeded":
            if self._primary() == former:
                story.failures.append(f"the failover {wish.operation_id} has succeeded, and the primary is the same")
            self._see_one_writer()

    def _see_one_writer(self) -> None:
        """Whoever the API names takes writes, nobody else does, and the cluster's own address leads there."""
        until = self._world.hub.now + RETURN_SECONDS
        named = address_of(self._primary())
        while not self._is_well(named) and self._world.hub.now < until:
            self._world.hub.sleep(LOOK_SECONDS)
            named = address_of(self._primary())
        if not self._world.fleet.roles.writes(named):
            self._story.failures.append(f"I9: {named} is called the primary, and takes no writes")
        elif not self._is_well(named):
            leads = self._world.provider.leads_to(self._cluster_id)
            self._story.failures.append(f"I10: the cluster's address leads to {leads or 'nobody'}, and not to {named}")

    def _is_well(self, named: str) -> bool:
        """Whether a node takes writes, and is found by the cluster's own address."""
        found = self._world.provider.leads_to(self._cluster_id) == [named]
        return self._world.fleet.roles.writes(named) and found

    def _settle(self) -> None:
        """Wait until nothing runs on the cluster, also of what DTrove does by itself."""
        o = tables.operations
        open_ones = select(o.c.id).where(o.c.cluster_id == self._cluster_id, o.c.status.not_in(ENDED))
        until = self._world.hub.now + RETURN_SECONDS
        while rows(self._world.database("api"), open_ones) and self._world.hub.now < until:
            self._world.hub.sleep(LOOK_SECONDS)

    def _primary(self) -> str:
        c = tables.clusters
        return str(
            rows(self._world.database("api"), select(c.c.primary_id).where(c.c.id == self._cluster_id))[0].primary_id
        )
