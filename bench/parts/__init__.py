"""The parts of the benchmark, by name, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bench.figures import Outcome
from bench.installation import Say
from bench.parts import accept, create, hundred, pages, ssh

Part = Callable[[Say], Outcome]

PARTS: Mapping[str, Part] = {
    "create": create.measure,
    "accept": accept.measure,
    "ssh": ssh.measure,
    "pages": pages.measure,
    "hundred": hundred.measure,
}
