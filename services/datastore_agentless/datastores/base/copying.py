"""The port of a copy: a replica fetches the primary's data over SSH, where the primary's log no longer tells all of it.

The bytes go from host to host, from the primary or from a replica that has them: the source. The key is made on the replica for
this once and lies in memory there; at the source it opens one command, for so long, and is shut out when the copy is there. The
source's pinned host key is what the replica sees.
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
_ALIAS = "dtrove-source"


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
    def sends(self, source: Instance) -> str:
        """The command that prints the source's data, as one shell line without quotes; it runs as root."""

    @abstractmethod
    def take(self, replica: Instance, primary: Instance, source: Instance) -> Script:
        """On the replica: fetch the primary's data with `fetch(source)`, and put them in place of its own."""

    def ask(self, replica: Instance) -> Script:
        """On the replica: make the key; returns its public half."""
        yield from self.manager.install_packages(replica, self.packages)
        made = yield Run(
            f"umask 077; mkdir -p {PLACE}; [ -s {PLACE}/key.pub ] || "
            f"{{ rm -f {PLACE}/key; ssh-keygen -q -t ed25519 -N '' -C dtrove-copy -f {PLACE}/key; }}; cat {PLACE}/key.pub",
            title="make a key for this once", sample="ssh-ed25519 AAAA dtrove-copy",
        )  # fmt: skip
        return made.text

    def lend(self, source: Instance, replica: Instance, public_key: str) -> Script:
        """On the source: let this key have the data, and do nothing else."""
        yield from self.manager.install_packages(source, self.packages)
        command = self.sends(source)
        line = command if source.user == "root" else f"sudo -n {command}"
        yield from authorized_keys.admit(source.user, public_key, int(COPY_SECONDS / 60), f"copy-{replica.id}",
                                         options=f',restrict,command="{line}"')  # fmt: skip

    def end(self, source: Instance, replica: Instance) -> Script:
        """On the source: shut the key out."""
        yield from authorized_keys.shut_out(source.user, f"copy-{replica.id}")

    def trust(self, source: Instance) -> Script:
        """On the replica: know the source by its pinned host key."""
        lines = [f"{_ALIAS} {line}\n" for line in source.host_key.splitlines() if line.strip()]
        yield Put(f"{PLACE}/known_hosts", "".join(lines), title=f"write by what {source.name} is known")

    def fetch(self, source: Instance) -> str:
        """The shell line on the replica that prints what `sends` prints on the source."""
        options = {
            "BatchMode": "yes", "IdentitiesOnly": "yes", "IdentityFile": f"{PLACE}/key", "HostKeyAlias": _ALIAS,
            "UserKnownHostsFile": f"{PLACE}/known_hosts", "GlobalKnownHostsFile": "/dev/null", "StrictHostKeyChecking": "yes",
            "ConnectTimeout": "15", "ServerAliveInterval": "15", "ServerAliveCountMax": "4",
        }  # fmt: skip
        words = " ".join(f"-o {name}={value}" for name, value in options.items())
        return f"ssh -F none -T {words} -p {source.ssh_port} {quote(f'{source.user}@{source.addr}')} </dev/null"
