"""The port of a copy: a replica fetches the primary's data over SSH, where the primary's log no longer tells all of it.

The bytes go from host to host. The key is made on the replica for this once and lies in memory there; at the primary it opens
one command, for so long, and is shut out when the copy is there. The primary's pinned host key is what the replica sees.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts import authorized_keys
from services.datastore_agentless.hosts.base import Put, Run, Script, quote

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.base.manager import BaseManager

# A day: a copy of a large database takes as long as it takes.
COPY_SECONDS = 24 * 3600.0
PLACE = "/run/dtrove-copy"
_ALIAS = "dtrove-primary"


class Copying(ABC):
    """How one engine's data are fetched. Scripts, as a topology's; each is find-or-do."""

    # What both hosts need beside the database.
    packages: Sequence[str] = ()

    def __init__(self, manager: BaseManager) -> None:
        self.manager = manager

    @abstractmethod
    def needed(self, primary: Instance) -> Script:
        """On the primary: whether a new replica needs a copy; returns a bool."""

    @abstractmethod
    def sends(self, primary: Instance) -> str:
        """The command that prints the primary's data, as one shell line without quotes; it runs as root."""

    @abstractmethod
    def take(self, replica: Instance, primary: Instance) -> Script:
        """On the replica: fetch the data with `fetch(primary)`, and put them in place of its own."""

    def ask(self, replica: Instance) -> Script:
        """On the replica: make the key; returns its public half."""
        yield from self.manager.install_packages(replica, self.packages)
        made = yield Run(
            f"umask 077; mkdir -p {PLACE}; [ -s {PLACE}/key.pub ] || "
            f"{{ rm -f {PLACE}/key; ssh-keygen -q -t ed25519 -N '' -C dtrove-copy -f {PLACE}/key; }}; cat {PLACE}/key.pub",
            title="make a key for this once", sample="ssh-ed25519 AAAA dtrove-copy",
        )  # fmt: skip
        return made.text

    def lend(self, primary: Instance, replica: Instance, public_key: str) -> Script:
        """On the primary: let this key have the data, and do nothing else."""
        yield from self.manager.install_packages(primary, self.packages)
        command = self.sends(primary)
        line = command if primary.user == "root" else f"sudo -n {command}"
        yield from authorized_keys.admit(primary.user, public_key, int(COPY_SECONDS / 60), f"copy-{replica.id}",
                                         options=f',restrict,command="{line}"')  # fmt: skip

    def end(self, primary: Instance, replica: Instance) -> Script:
        """On the primary: shut the key out."""
        yield from authorized_keys.shut_out(primary.user, f"copy-{replica.id}")

    def trust(self, primary: Instance) -> Script:
        """On the replica: know the primary by its pinned host key."""
        lines = [f"{_ALIAS} {line}\n" for line in primary.host_key.splitlines() if line.strip()]
        yield Put(f"{PLACE}/known_hosts", "".join(lines), title=f"write by what {primary.name} is known")

    def fetch(self, primary: Instance) -> str:
        """The shell line on the replica that prints what `sends` prints on the primary."""
        options = {
            "BatchMode": "yes", "IdentitiesOnly": "yes", "IdentityFile": f"{PLACE}/key", "HostKeyAlias": _ALIAS,
            "UserKnownHostsFile": f"{PLACE}/known_hosts", "GlobalKnownHostsFile": "/dev/null", "StrictHostKeyChecking": "yes",
            "ConnectTimeout": "15", "ServerAliveInterval": "15", "ServerAliveCountMax": "4",
        }  # fmt: skip
        words = " ".join(f"-o {name}={value}" for name, value in options.items())
        return f"ssh -F none -T {words} -p {primary.ssh_port} {quote(f'{primary.user}@{primary.addr}')} </dev/null"
