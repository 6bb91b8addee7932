"""The port that every cloud provider obeys: where servers, volumes and addresses come from.

A provider is a folder beside this file, or a class anywhere that DTROVE_PROVIDER names by its dotted path.
Every method may be called again after a crash at any point: it finds what it made before (by the tag
`dtrove-instance=<id>`) instead of making a second one. Every call to the outside has a timeout. Errors leave as
ProviderError (will not get better by itself) or ProviderBusy (try again later).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping

from services.provisioner.domain.address import ClusterAddress
from services.provisioner.domain.delegation import Delegation
from services.provisioner.domain.findings import Found
from services.provisioner.domain.instance import Instance, Volume
from shared.contracts.values import Flavor
from shared.errors import Failure, Retryable, StaleEpoch, Unsupported

# MB of memory that a database wants at least, by its manager's name: what datastore_agentless demands of a flavor too.
RAM_MB_WANTED = {"mysql": 512, "pgsql": 256, "redis": 128}
RAM_MB_OTHERWISE = 256
# Where a server finds the volume that was made for it.
DATA_DIR = "/var/lib/dtrove-data"

__all__ = [
    "DATA_DIR", "BaseProvider", "Found", "NoServer", "ProviderBusy", "ProviderError", "fitting", "no_addresses", "no_server",
    "refuse_late", "refuse_stale", "wanted_volume",
]  # fmt: skip


class ProviderError(Failure):
    """An exception during a provisioner's action; the same call will fail again until somebody acts."""


class ProviderBusy(Retryable):
    """The provider answered that it cannot just now (rate limit, 5xx, timeout): try again later."""


class NoServer(ProviderError):
    """The provider holds no server for the instance, as far as it can tell."""


def fitting(flavors: Iterable[Flavor], datastore: str | None) -> list[Flavor]:
    """The flavors that a datastore (a manager's name) runs well on, smallest first; all of them for None."""
    least = RAM_MB_WANTED.get(datastore, RAM_MB_OTHERWISE) if datastore else 0
    fit = [flavor for flavor in flavors if flavor.ram_mb >= least]
    return sorted(fit, key=lambda flavor: (flavor.ram_mb, flavor.vcpus, flavor.disk_gb, flavor.id))


def refuse_stale(instance: Instance, created_under: int) -> None:
    """Raise StaleEpoch where a server was created under a later epoch than that of who wants to destroy it.

    `create` marks what it makes with `instance.epoch`; `destroy` holds that against its own before it deletes by id.
    """
    if instance.epoch and created_under > instance.epoch:
        raise StaleEpoch(f"a later worker has built the server of instance {instance.id} anew")


def refuse_late(address: ClusterAddress, moved_under: int) -> None:
    """Raise StaleEpoch where an address was moved under a later epoch than that of who wants to move it now."""
    if address.epoch and moved_under > address.epoch:
        raise StaleEpoch(f"a later worker has moved the address of cluster {address.cluster_id}")


def no_addresses() -> Unsupported:
    """The error of a provider whose clusters have no addresses of their own."""
    return Unsupported("this provider gives clusters no addresses of their own",
                       what_to_do="use the URL that names all nodes of the cluster")  # fmt: skip


def no_server(instance: Instance) -> NoServer:
    """The error of whoever wants something of a server that is not there."""
    return NoServer(f"there is no server for instance {instance.id}", what_to_do="delete and make it anew")


def wanted_volume(instance: Instance) -> Volume:
    """The volume that an instance wants. Raises ProviderError where it wants none."""
    if instance.volume is None:
        raise ProviderError(f"instance {instance.id} has no volume to make", what_to_do="give a volume size")
    return instance.volume


class BaseProvider(ABC):
    """Base of all providers. `options` are the configuration's values by name, as in `{"OS_USERNAME": ...}`."""

    supports_snapshots = True
    supports_volumes = True
    supports_resize = False
    supports_delegation = False
    supports_addresses = False
    # How often, in seconds, the provider may be asked for all that is ours, and at most for one server that is being built.
    sweep_seconds = 20.0
    poll_seconds = 0.1

    def __init__(self, options: Mapping[str, object]) -> None:
        self.options = options

    @property
    def calls(self) -> int:
        """How many calls to the cloud were made; 0 where nobody counts."""
        return 0

    def on_behalf(self, delegation: Delegation) -> BaseProvider:
        """The same provider in the account that a project has lent; nobody is asked yet.

        It counts its calls and bounds them together with this one. Raises Unsupported where `supports_delegation` is false.
        """
        raise Unsupported("this provider knows no accounts but the service's own",
                          what_to_do="set DTROVE_CLUSTERS_IN to service")  # fmt: skip

    @property
    def cloud_project(self) -> str:
        """The id of the cloud's project that servers are made in, asked by logging in; empty where a cloud has none.

        Raises ProviderError, ProviderBusy.
        """
        return ""

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

        ACTIVE means that the server runs and its address is known. A server that is gone is DELETED, no error. SHUTOFF is a
        proof, on which another node becomes the primary: the provider knows that the server does not run, and that it will not
        go on where it stopped. One that merely does not answer, or that is frozen, is UNKNOWN.
        """

    @abstractmethod
    def destroy(self, instance: Instance) -> None:
        """Delete the server, its volumes and addresses, and poll until they are gone; fine when already gone.

        Where `instance.epoch` is not 0, whoever asks may have stood still for long, and another may have built a server
        meanwhile: see `refuse_stale`. Raises ProviderError, ProviderBusy, StaleEpoch.
        """

    @abstractmethod
    def attach_volume(self, instance: Instance) -> None:
        """Create the volume of `instance.volume.size_gb` with a file system, attach and mount it; idempotent.

        Sets the volume's `id`, `mount_point` (where in the server), `device` and `mounted`. A provider that can only attach
        leaves `mounted` false and datastore_agentless mounts `device` over SSH; several places where it may be, the best
        first, are a line each.
        """

    @abstractmethod
    def create_volume(self, instance: Instance) -> None:
        """Create the volume alone (or find it); sets its `id`."""

    @abstractmethod
    def snapshot(self, instance: Instance, name: str) -> str:
        """Make an image of the server; return its id. Raises Unsupported where `supports_snapshots` is false."""

    def snapshot_volume(self, instance: Instance, name: str) -> str:
        """Make a snapshot of the volume, attached or not; return its id. Raises Unsupported where there is no such thing."""
        raise Unsupported(
            "this provider makes no snapshots of volumes", what_to_do="make a backup of the database instead"
        )

    def extend_volume(self, instance: Instance, size_gb: int) -> None:
        """Make the volume `size_gb` large, also while it is in use; fine when it is. Sets the volume's `size_gb`.

        A provider that mounts volumes by itself grows the file system as well; any other is datastore_agentless's to grow. Sets
        `message` where there is something to know, as that nothing enforces the size. Raises Unsupported where volumes do not
        grow.
        """
        raise Unsupported("this provider's volumes do not grow", what_to_do="make a new cluster with a larger volume")

    def resize(self, instance: Instance, flavor: Flavor) -> None:
        """Make the server one of `flavor`, keeping its disk, volume and address; sets `flavor`. It may restart meanwhile.

        Repeating it goes on where it was broken off. Raises Unsupported where `supports_resize` is false.
        """
        raise Unsupported(
            "this provider's servers keep their size", what_to_do="make a new cluster of the other flavor"
        )

    @abstractmethod
    def flavors(self, datastore: str | None = None) -> list[Flavor]:
        """Sizes on offer, smallest first; with `datastore` (a manager's name) only those it runs well on."""

    @abstractmethod
    def find(self, instance_id: str) -> Found | None:
        """The server that carries this instance's tag, whatever its state."""

    @abstractmethod
    def list_ours(self) -> list[Found]:
        """All servers, volumes and addresses of clusters with this installation's tags.

        An address has the kind `address`, itself for its id, its cluster, and the instance that it leads to: empty where it leads
        nowhere although the server that it last led to runs, as one may after a reboot. Then it is moved there again.
        """

    @abstractmethod
    def remove(self, found: Found) -> None:
        """Delete this one thing, and nothing else that carries the same tag; return when it is gone.

        `found` is as `list_ours` gave it. Fine when it is gone already; what does not carry the tag (any more) stays.
        """

    @abstractmethod
    def power_off(self, instance: Instance) -> None:
        """Stop the server at once, as if its plug was pulled; fine when it is off. `update_status` tells when it is.

        Raises NoServer where it is gone (or comes back, and `update_status` says so), ProviderError, ProviderBusy.
        """

    @abstractmethod
    def power_on(self, instance: Instance) -> None:
        """Start the server; fine when it is on."""

    def take_address(self, address: ClusterAddress) -> None:
        """Set an address aside for a cluster, or find the one that was; it leads nowhere yet.

        Sets `addr`; leaves it empty where servers here are not reached at addresses of their own, so that this one would not be
        either. Raises Unsupported where `supports_addresses` is false, ProviderError, ProviderBusy.
        """
        raise no_addresses()

    def move_address(self, address: ClusterAddress, instance: Instance) -> None:
        """Have a cluster's address lead to the server of one of its instances, and to nobody else's, from when this returns.

        Fine where it does. What is connected by it elsewhere is cut off; neighbours are told. A server that was switched off,
        and comes back, must not answer at an address that was moved away meanwhile. Where `address.epoch` is not 0, keep it with
        the address, and pass what was kept to `refuse_late` first: whoever asks may have stood still for long. Raises NoServer
        where the server is gone, ProviderBusy where it does not run, ProviderError, StaleEpoch, Unsupported.
        """
        raise no_addresses()

    def release_address(self, address: ClusterAddress) -> None:
        """Give a cluster's address back, wherever it leads; fine when there is none. Raises as `take_address` does."""
        raise no_addresses()

    @abstractmethod
    def console_output(self, instance: Instance, lines: int = 50) -> str:
        """The last lines of the server's console; empty where there is none."""
