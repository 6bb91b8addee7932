"""Records what a release says: `PYTHONHASHSEED=0 python -m tests.upgrade.record`, once for each release, before it.

The events are those of a cluster's whole life, taken from the relays of the real services (in the simulation, so that times
and ids are the same whenever it runs), and an example of each event that this life does not have.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from scripts.reference import _example
from services.api.actions.access import DEFAULT_PROJECT
from shared.contracts import REGISTRY, dump
from tests.simulation.chance import Plan, determined
from tests.simulation.run import LIMIT, Laboratory
from tests.simulation.story import Story
from tests.simulation.world import World, composed

HERE = Path(__file__).parent
RELEASE = "0.1.0"
PLOT = "perform"


def main() -> None:
    """Write the file of the present release."""
    life = [{"exchange": exchange, "topic": topic, "payload": json.loads(body)} for exchange, topic, body in _life()]
    contracts = {
        f"{publisher}:{topic}": {
            "required": sorted(one.name for one in fields(contract) if one.default is one.default_factory is MISSING),
            "example": dump(_example(contract, "")),
        }
        for (publisher, topic), contract in sorted(REGISTRY.items())
    }
    recorded = {"release": RELEASE, "project_id": DEFAULT_PROJECT, "life": life, "contracts": contracts}
    (HERE / f"events-{RELEASE}.json").write_text(json.dumps(recorded, indent=1) + "\n")


def _life() -> list[tuple[str, str, str]]:
    laboratory, said = Laboratory(), list[tuple[str, str, str]]()
    with determined(1) as chance:
        world = World(laboratory._disk, laboratory._clock, Plan(0, 0.0, ()), chance)
        real = world.broker._route

        def route(message: Any) -> bool:
            said.append((message.exchange, message.routing_key, str(message.body)))
            return real(message)

        world.broker._route = route  # type: ignore[method-assign]
        with composed(world):
            world.mute = False
            world.start()
            story = Story(world, PLOT)
            story.begin()
            world.hub.run(lambda: story.ended, LIMIT)
    laboratory.close()
    return said


if __name__ == "__main__":
    main()
