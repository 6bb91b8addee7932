"""One run: a seed in, an outcome out."""

from __future__ import annotations

import gc
import hashlib
import logging
import os
from collections import Counter
from dataclasses import dataclass, field

from services.api.actions.access import bootstrap
from tests.simulation.chance import Plan, determined
from tests.simulation.invariants import breaches
from tests.simulation.storage import Disk
from tests.simulation.story import PLOTS, Story
from tests.simulation.virtual import VirtualClock
from tests.simulation.world import World, composed

# Virtual seconds that a run may take in all.
LIMIT = 20_000.0
RUNS_TO_CLEAN = 10
WARM_SECONDS = 20.0


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
        logging.disable(logging.WARNING)
        self._disk = Disk(self._clock)
        self._warm_up()
        self._clean()

    def run(self, seed: int) -> Outcome:
        """One run from its seed."""
        assert os.environ.get("PYTHONHASHSEED") == "0", "a replay needs PYTHONHASHSEED=0"
        self._runs += 1
        if self._runs % RUNS_TO_CLEAN == 0:
            self._clean()
        with determined(seed) as chance:
            world = World(self._disk, self._clock, Plan.of(seed, chance), chance)
            with composed(world):
                story = Story(world, chance.choice(PLOTS))
                world.start(*story.needless)
                story.begin()
                world.hub.run(lambda: story.ended, LIMIT)
                found = breaches(world, story)
        trace = world.weather.trace
        digest = hashlib.sha256("\n".join([*trace, str(world.hub.steps), *found]).encode()).hexdigest()[:16]
        return Outcome(seed, found, world.weather.struck, world.restarts, world.hub.now, digest, trace)

    def _warm_up(self) -> None:
        """Have the API hear of datastores and flavors once, and begin every run from there."""
        with determined(0) as chance:
            world = World(self._disk, self._clock, Plan(0, 0.0, ()), chance)
            with composed(world):
                world.mute = False
                bootstrap(world.database("api"), "")
                world.start("scheduler")
                world.hub.run(lambda: False, WARM_SECONDS)
            self._disk.keep()

    def _clean(self) -> None:
        """Drop what runs have left behind. What stays is put together once, and need not be looked at again."""
        gc.collect()
        gc.freeze()

    def close(self) -> None:
        """Remove what was kept."""
        gc.enable()
        logging.disable(logging.NOTSET)
        self._disk.close()
