"""The parts of the benchmark, by name, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bench.figures import Outcome
from bench.installation import Say
from bench.parts import accept, backups, create, hundred, openstack, pages, ssh, three, watch

Part = Callable[[Say], Outcome]

PARTS: Mapping[str, Part] = {
    "create": create.measure,
    "three": three.measure,
    "accept": accept.measure,
    "ssh": ssh.measure,
    "pages": pages.measure,
    "hundred": hundred.measure,
    "watch": watch.measure,
    "backups": backups.measure,
}
# Measured only where it is asked for by name: it needs a cloud.
BY_NAME: Mapping[str, Part] = {"openstack": openstack.measure}
EVERY = {**PARTS, **BY_NAME}
