"""The port that every cloud provider obeys: where servers, volumes and addresses come from.

A provider is a folder beside this file, or a class anywhere that DTROVE_PROVIDER names by its dotted path.
Every method may be called again after a crash at any point: it finds what it made before (by the tag
`dtrove-instance=<id>`) instead of making a second one. Every call to the outside has a timeout. Errors leave as
ProviderError (will not get better by itself) or ProviderBusy (try again later).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping

from services.provisioner.domain.findings import Found
from services.provisioner.domain.instance import Instance
from shared.contracts.values import Flavor
from shared.errors import Failure, Retryable

# MB of memory that a database wants at least, by its manager's name: what datastore_agentless demands of a flavor too.
RAM_MB_WANTED = {"mysql": 512, "pgsql": 256, "redis": 128}
RAM_MB_OTHERWISE = 256

__all__ = ["BaseProvider", "Found", "ProviderBusy", "ProviderError", "fitting"]


class ProviderError(Failure):
    """An exception during a provisioner's action; the same call will fail again until somebody acts."""


class ProviderBusy(Retryable):
    """The provider answered that it cannot just now (rate limit, 5xx, timeout): try again later."""


def fitting(flavors: Iterable[Flavor], datastore: str | None) -> list[Flavor]:
    """The flavors that a datastore (a manager's name) runs well on, smallest first; all of them for None."""
    least = RAM_MB_WANTED.get(datastore, RAM_MB_OTHERWISE) if datastore else 0
    fit = [flavor for flavor in flavors if flavor.ram_mb >= least]
    return sorted(fit, key=lambda flavor: (flavor.ram_mb, flavor.vcpus, flavor.disk_gb, flavor.id))


class BaseProvider(ABC):
    """Base of all providers. `options` are the configuration's values by name, as in `{"OS_USERNAME": ...}`."""

    supports_snapshots = True
    supports_volumes = True
    # How often, in seconds, the provider may be asked for all that is ours.
    sweep_seconds = 20.0

    def __init__(self, options: Mapping[str, object]) -> None:
        self.options = options

    @abstractmethod
    def create(self, instance: Instance) -> None:
        """Ask for a new server (or find the one asked for before) and return at once; it is built meanwhile.

        Sets `server`, `user`, and `addr` as soon as it is known. The server trusts `instance.public_key` for `user` and
        shows `instance.host_key` as its ed25519 host key from its first moment. A provider whose hosts have keys of
        their own, which no cloud has seen, sets `host_key` to that and empties `host_key_private`: DTrove then leaves it
        as it is. Raises ProviderError, ProviderBusy.
        """

    @abstractmethod
    def update_status(self, instance: Instance) -> tuple[str, int]:
        """Refresh `server_status`, `progress` (percent), `message`, `addr`, `reach`; return (server_status, progress).

        ACTIVE means that the server runs and its address is known. A server that is gone is DELETED, no error.
        """

    @abstractmethod
    def destroy(self, instance: Instance) -> None:
        """Delete the server, its volumes and addresses, and poll until they are gone; fine when already gone."""

    @abstractmethod
    def attach_volume(self, instance: Instance) -> None:
        """Create the volume of `instance.volume.size_gb` with a file system, attach and mount it; idempotent.

        Sets the volume's `id`, `mount_point` (where in the server), `device` and `mounted`. A provider that can only attach
        leaves `mounted` false and datastore_agentless mounts `device` over SSH.
        """

    @abstractmethod
    def create_volume(self, instance: Instance) -> None:
        """Create the volume alone (or find it); sets its `id`."""

    @abstractmethod
    def snapshot(self, instance: Instance, name: str) -> str:
        """Make an image of the server; return its id. Raises Unsupported where `supports_snapshots` is false."""

    @abstractmethod
    def flavors(self, datastore: str | None = None) -> list[Flavor]:
        """Sizes on offer, smallest first; with `datastore` (a manager's name) only those it runs well on."""

    @abstractmethod
    def find(self, instance_id: str) -> Found | None:
        """The server that carries this instance's tag, whatever its state."""

    @abstractmethod
    def list_ours(self) -> list[Found]:
        """All servers and volumes with this installation's tags."""

    @abstractmethod
    def remove(self, found: Found) -> None:
        """Delete this one thing, and nothing else that carries the same tag; return when it is gone.

        `found` is as `list_ours` gave it. Fine when it is gone already; what does not carry the tag (any more) stays.
        """

    @abstractmethod
    def power_off(self, instance: Instance) -> None:
        """Stop the server at once, as if its plug was pulled; fine when it is off."""

    @abstractmethod
    def power_on(self, instance: Instance) -> None:
        """Start the server; fine when it is on."""

    @abstractmethod
    def console_output(self, instance: Instance, lines: int = 50) -> str:
        """The last lines of the server's console; empty where there is none."""
