"""Hosts for the baseline: made by the same local provider, on the same network, from the same image as DTrove's own."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from bench.installation import Broken, Installation
from bench.openssh import KeyPair, Line, make_pair
from services.provisioner.domain.instance import Instance
from services.provisioner.providers.local import Provider
from shared.contracts.values import Flavor
from shared.secrets import Secret

USER = "root"
# The first one of all may have to wait until the image of hosts is built.
LOGIN_SECONDS = 300.0


@dataclass
class Hosts:
    """Makes and removes hosts in an installation's name, so that they go with it at the latest."""

    installation: Installation
    flavor: Flavor
    keys: Path

    def __post_init__(self) -> None:
        self._provider = Provider({"DTROVE_HOME": str(self.installation.home), "DTROVE_SSH_USER": USER})
        self.keys.mkdir(parents=True, exist_ok=True)
        self._login: KeyPair = make_pair(self.keys / f"login-{uuid4()}")

    def make(self, name: str) -> tuple[Instance, Line]:
        """Make a host and wait until it lets us in; returns it and the way to it."""
        identity = make_pair(self.keys / f"host-{uuid4()}")
        instance = Instance(
            id=str(uuid4()), cluster_id=str(uuid4()), project_id="default", operation_id="", name=name, image="",
            flavor=self.flavor, public_key=self._login.public, host_key=identity.public,
            host_key_private=Secret(identity.private),
        )  # fmt: skip
        self._provider.create(instance)
        until = time.monotonic() + LOGIN_SECONDS
        while self._provider.update_status(instance)[0] != "ACTIVE":
            _pause(until, f"{name} does not come up")
        addr, port = instance.addr, instance.ssh_port
        if str(port) in instance.reach:
            addr, text = instance.reach[str(port)].rsplit(":", 1)
            port = int(text)
        line = Line(addr, port, USER, self._login, identity.public)
        while (tried := line.attempt("true")).returncode != 0:
            _pause(until, f"{name} at {addr}:{port} lets nobody in: {tried.stderr.strip()}")
        return instance, line

    def remove(self, instance: Instance) -> None:
        """Remove a host."""
        self._provider.destroy(instance)


def _pause(until: float, reason: str) -> None:
    if time.monotonic() > until:
        raise Broken(reason)
    time.sleep(0.02)
