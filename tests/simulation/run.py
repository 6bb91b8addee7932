"""One run: a seed in, an outcome out."""

from __future__ import annotations

import gc
import hashlib
import os
from collections import Counter
from dataclasses import dataclass, field

from services.api.actions.access import bootstrap
from tests.simulation.chance import Plan, determined
from tests.simulation.invariants import breaches
from tests.simulation.storage import Disk
from tests.simulation.story import Story
from tests.simulation.virtual import VirtualClock
from tests.simulation.world import World, composed

# Virtual seconds that a run may take in all.
LIMIT = 20_000.0
RUNS_TO_CLEAN = 40


@dataclass
class Outcome:
    """What came of a seed. `digest` stands for all that happened: a replay has the same."""

    seed: int
    breaches: list[str]
    struck: Counter[str]
    restarts: int
    seconds: float
    digest: str
    trace: list[str] = field(repr=False, default_factory=list)


class Laboratory:
    """Makes runs one after the other; what is costly to make is kept between them."""

    def __init__(self) -> None:
        self._clock = VirtualClock()
        self._runs = 0
        # A run leaves much behind that goes with its world; looking for it all the time takes a tenth of the time.
        gc.disable()
        gc.freeze()
        self._disk = Disk(self._clock)

    def run(self, seed: int) -> Outcome:
        """One run from its seed."""
        assert os.environ.get("PYTHONHASHSEED") == "0", "a replay needs PYTHONHASHSEED=0"
        self._clock.hub = None
        self._runs += 1
        if self._runs % RUNS_TO_CLEAN == 0:
            gc.collect()
        with determined(seed) as chance:
            world = World(self._disk, self._clock, Plan.draw(chance), chance)
            with composed(world):
                weather, world.weather.over = world.weather, True
                bootstrap(world.database("api"), "")
                weather.over = False
                world.start()
                story = Story(world)
                story.begin()
                world.hub.run(lambda: story.ended, LIMIT)
                found = breaches(world, story)
        trace = world.weather.trace
        digest = hashlib.sha256("\n".join([*trace, str(world.hub.steps), *found]).encode()).hexdigest()[:16]
        return Outcome(seed, found, world.weather.struck, world.restarts, world.hub.now, digest, trace)

    def close(self) -> None:
        """Remove what was kept."""
        gc.enable()
        self._disk.close()
