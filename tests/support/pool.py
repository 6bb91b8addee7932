"""A pool of given hosts, made of containers: what somebody has set up, and lets DTrove lease."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from services.provisioner.domain.instance import Instance
from tests.support.providers import Rig


@dataclass
class Pool:
    """Two given hosts, one that lets root in and one that lets a user in who may sudo, and the file that lists them."""

    keeper: Rig
    given: list[Instance]
    file: Path

    def told(self) -> dict[str, Any]:
        """What stands in the file."""
        return {
            "private_key_file": str(self.keeper.key),
            "flavors": [{"name": "shelf", "vcpus": 1, "ram_mb": 1024, "disk_gb": 5}],
            "hosts": [
                {"name": f"shelf-{number}", "addr": one.addr, "user": one.user, "host_key": one.host_key, "flavor": "shelf",
                 "power": {verb: self._power(one, verb) for verb in ("off", "on", "status")}}
                for number, one in enumerate(self.given, 1)
            ],
        }  # fmt: skip

    def write(self, told: dict[str, Any]) -> None:
        """List other things."""
        self.file.write_text(yaml.safe_dump(told))

    def on_host(self, name: str, command: str) -> str:
        """Run a command on a host as its keeper does, whoever has leased it."""
        one = self.given[int(name.removeprefix("shelf-")) - 1]
        code, text = self.keeper.run(one, command if one.user == "root" else f"sudo sh -c {shlex.quote(command)}")
        return text if code == 0 else f"code {code}: {text}"

    def _power(self, host: Instance, verb: str) -> str:
        home = str(self.keeper.options["DTROVE_HOME"])
        return shlex.join([sys.executable, "-m", "tests.contract.power", home, host.id, verb])


@contextmanager
def given_hosts(home: Path) -> Iterator[Pool]:
    """Two bare hosts in `home`, and their list."""
    keepers = [Rig("local", {"DTROVE_HOME": str(home), "DTROVE_SSH_USER": user}, home) for user in ("root", "ops")]
    keepers[1].key = keepers[0].key
    given = [keeper.up(keeper.instance()) for keeper in keepers]
    for one in given:
        keepers[0].reached(one)
    made = Pool(keepers[0], given, home / "pool.yaml")
    made.write(made.told())
    yield made
    for keeper, one in zip(keepers, given, strict=True):
        keeper.provider.destroy(one)
