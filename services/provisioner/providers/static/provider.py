"""The provider over a pool of given hosts: `create` leases one, `destroy` wipes it and gives it back."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from services.provisioner.domain.instance import Instance
from services.provisioner.providers.base import (
    BaseProvider,
    Found,
    ProviderBusy,
    ProviderError,
    fitting,
    no_server,
    refuse_stale,
)
from services.provisioner.providers.static import power, scripts
from services.provisioner.providers.static.inventory import Inventory, PoolHost, read_inventory
from services.provisioner.providers.static.login import Jump, Login, Unreachable
from shared.contracts.values import Flavor
from shared.errors import DtroveError, Unsupported
from shared.options import parse_jump
from shared.secrets import Secret

T = TypeVar("T")
AT_ONCE = 16
LOOK_SECONDS, CLAIM_SECONDS, RELEASE_SECONDS = 20.0, 60.0, 600.0
# How long one listens whether a host that is said to be off says anything after all.
LISTEN_SECONDS = 3.0
FREE = "-"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lease:
    """Who holds a host: ids of instance and cluster, and the owner of the lease; `trouble` where nobody knows.

    `silent`: the trouble is that nothing was heard from it at all.
    """

    host: PoolHost
    instance_id: str = FREE
    cluster_id: str = FREE
    owner: str = FREE
    trouble: str = ""
    silent: bool = False


class Provider(BaseProvider):
    """Options: DTROVE_STATIC_HOSTS (the list of hosts, read anew whenever it is needed), DTROVE_SSH_JUMP and its two."""

    supports_snapshots = False
    supports_volumes = False
    # Each look logs in to every host.
    sweep_seconds = 600.0

    def __init__(self, options: Mapping[str, object]) -> None:
        super().__init__(options)
        self._file = Path(str(options.get("DTROVE_STATIC_HOSTS") or ""))
        self._login = Login(_jump(options))

    @property
    def inventory(self) -> Inventory:
        """The list of hosts as it is now. Raises ProviderError."""
        return read_inventory(self._file)

    def create(self, instance: Instance) -> None:
        """Lease a free host of the flavor, or find the one that is leased for the instance."""
        inventory = self.inventory
        host = inventory.host(instance.server) if instance.server else None
        leases = [] if host else self._survey(inventory)
        mine = [host] if host else [lease.host for lease in leases if lease.instance_id == instance.id]
        if not mine or not self._claim(inventory, mine[0], instance)[0]:
            mine = [self._lease(inventory, leases or self._survey(inventory), instance)]
        _describe(instance, mine[0])

    def update_status(self, instance: Instance) -> tuple[str, int]:
        """ACTIVE while the host is leased for the instance and answers; SHUTOFF while its board says so, and it does not answer.

        One that does not answer, and of which no board says anything, is UNKNOWN: it may well run behind a cut line.
        """
        host = self.inventory.host(instance.server) if instance.server else None
        if host is None:
            lease = self._lease_of(instance.id)
            host = lease.host if lease else None
        if host is None:
            return _state(instance, "DELETED", 0)
        state, unseen = power.power_of(host)
        lease = self._look(host, LISTEN_SECONDS if state == power.OFF else LOOK_SECONDS)
        if lease.silent and state == power.OFF:
            return _state(instance, "SHUTOFF", 0)
        if lease.trouble:
            return _state(instance, "UNKNOWN", 0, "; ".join(filter(None, (lease.trouble, unseen))))
        if lease.instance_id != instance.id:
            return _state(instance, "DELETED", 0)
        _describe(instance, host)
        doubt = (
            "it answers, though its board says that it is off: is that another host's board?"
            if state == power.OFF
            else ""
        )
        return _state(instance, "ACTIVE", 100, doubt)

    def destroy(self, instance: Instance) -> None:
        """Stop what runs, remove packages, data and keys, and give the host back. A host off the list counts as gone."""
        inventory = self.inventory
        if instance.server:
            host = inventory.host(instance.server)
            if host is None:
                log.warning("host %s is off the list: it is not wiped", instance.server)
                return
            hosts = [host]
        else:
            hosts = [lease.host for lease in self._survey(inventory) if lease.instance_id == instance.id]
        for host in hosts:
            said = self._release(inventory, host, instance.id, instance.epoch)
            if said.startswith("stale "):
                refuse_stale(instance, int(said.split()[1]))

    def attach_volume(self, instance: Instance) -> None:
        """Not possible here."""
        raise Unsupported("given hosts have no volumes to attach", what_to_do="ask for a cluster without `volume_gb`")

    def create_volume(self, instance: Instance) -> None:
        """Not possible here."""
        self.attach_volume(instance)

    def snapshot(self, instance: Instance, name: str) -> str:
        """Not possible here."""
        raise Unsupported("given hosts cannot be snapshotted", what_to_do="use a backup of the database instead")

    def flavors(self, datastore: str | None = None) -> list[Flavor]:
        """The flavors that hosts of the list have."""
        return fitting(self.inventory.flavors, datastore)

    def find(self, instance_id: str) -> Found | None:
        """The host that is leased for the instance, among those that answer."""
        lease = self._lease_of(instance_id)
        return None if lease is None else _found(lease)

    def list_ours(self) -> list[Found]:
        """The hosts that are leased by this owner, among those that answer."""
        inventory = self.inventory
        return [_found(lease) for lease in self._survey(inventory) if lease.owner == inventory.owner]

    def remove(self, found: Found) -> None:
        """Wipe one host and give it back, if it is leased for the tag. A host off the list counts as gone."""
        inventory = self.inventory
        host = inventory.host(found.id)
        if host is not None:
            self._release(inventory, host, found.instance_id)

    def power_off(self, instance: Instance) -> None:
        """Run the list's command for it, unless the host says that it is leased to another by now."""
        host = self._known(instance)
        lease = self._look(host, LISTEN_SECONDS)
        if not lease.trouble and lease.instance_id != instance.id:
            raise no_server(instance)
        power.switch_off(host)

    def power_on(self, instance: Instance) -> None:
        """Run the list's command for it."""
        power.switch_on(self._known(instance))

    def console_output(self, instance: Instance, lines: int = 50) -> str:
        """Nobody here reads a console."""
        return ""

    def _lease(self, inventory: Inventory, leases: list[Lease], instance: Instance) -> PoolHost:
        """Claim the first free host, each instance beginning at another one. Raises ProviderError where none is left."""
        fit = [lease for lease in leases if lease.host.flavor == instance.flavor.name]
        reasons = [f"{lease.host.name}: {lease.trouble or 'leased'}" for lease in fit
                   if lease.trouble or lease.instance_id != FREE]  # fmt: skip
        free = [lease.host for lease in fit if not lease.trouble and lease.instance_id == FREE]
        for host in sorted(free, key=lambda one: hashlib.sha256(f"{instance.id} {one.name}".encode()).digest()):
            try:
                done, reason = self._claim(inventory, host, instance)
            except Unreachable as error:
                done, reason = False, error.message
            if done:
                return host
            reasons.append(f"{host.name}: {reason}")
        raise ProviderError(
            f"no host of flavor {instance.flavor.name} is free: {len(fit)} listed in {inventory.file}",
            stderr="\n".join(sorted(reasons)),
            what_to_do="delete a cluster that is not needed, mend or add hosts, or choose another flavor; then retry",
        )

    def _claim(self, inventory: Inventory, host: PoolHost, instance: Instance) -> tuple[bool, str]:
        """Try to lease one host and let the cluster's key in; whether it is leased, and why not."""
        said = self._login.run(host, scripts.CLAIM, instance.id, instance.cluster_id or FREE, inventory.owner, host.user,
                               instance.public_key, str(instance.epoch), timeout=CLAIM_SECONDS).strip()  # fmt: skip
        word, _, rest = said.splitlines()[-1].partition(" ") if said else ("", "", "")
        return word == "leased", f"it is not bare: {rest}" if word == "unfit" else "leased"

    def _release(self, inventory: Inventory, host: PoolHost, instance_id: str, epoch: int = 0) -> str:
        """Wipe a host and give it back, if it is leased for the instance, and not anew since `epoch`; the script's word."""
        script = scripts.release(inventory.wipe_script)
        try:
            said = self._login.run(host, script, instance_id, host.user, str(epoch), timeout=RELEASE_SECONDS).strip()
            return said.splitlines()[-1] if said else ""
        except Unreachable as error:
            raise ProviderBusy(
                f"host {host.name} cannot be wiped: {error.message}{_woken(host)}",
                what_to_do=f"bring it back, or take it off {inventory.file} to have it forgotten unwiped",
            ) from error

    def _lease_of(self, instance_id: str) -> Lease | None:
        leases = self._survey(self.inventory)
        return next((lease for lease in leases if lease.instance_id == instance_id), None)

    def _survey(self, inventory: Inventory) -> list[Lease]:
        """Look at every host, several at a time."""
        return _each(self._look, inventory.hosts)

    def _look(self, host: PoolHost, seconds: float = LOOK_SECONDS) -> Lease:
        try:
            words = self._login.run(host, scripts.LOOK, timeout=seconds).split()
        except (ProviderError, ProviderBusy) as error:
            return Lease(host, trouble=error.message, silent=isinstance(error, Unreachable))
        if len(words) < 3:
            return Lease(host, trouble="it said nothing that makes sense")
        return Lease(host, instance_id=words[0], cluster_id=words[1], owner=words[2])

    def _known(self, instance: Instance) -> PoolHost:
        host = self.inventory.host(instance.server)
        if host is None:
            raise ProviderError(f"there is no host for instance {instance.id}", what_to_do="delete and make it anew")
        return host


def _each(do: Callable[[PoolHost], T], hosts: tuple[PoolHost, ...]) -> list[T]:
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        return list(pool.map(do, hosts))


def _describe(instance: Instance, host: PoolHost) -> None:
    instance.server = instance.local_id = host.name
    instance.addr, instance.ssh_port, instance.user = host.addr, host.port, host.user
    # The host was born before the wish for it: it keeps the key that the operator has pinned.
    instance.host_key, instance.host_key_private = host.host_key, Secret("")


def _state(instance: Instance, status: str, percent: int, message: str = "") -> tuple[str, int]:
    instance.server_status, instance.progress, instance.message = status, percent, message
    return status, percent


def _found(lease: Lease) -> Found:
    return Found("server", lease.host.name, lease.instance_id, "" if lease.cluster_id == FREE else lease.cluster_id)


def _woken(host: PoolHost) -> str:
    """Switch a host on where it may be off, after a fence as it were: only one that runs can be wiped. What came of it."""
    if not host.power_on or power.power_of(host)[0] == power.ON:
        return ""
    try:
        power.switch_on(host)
    except DtroveError as error:
        return f"; {error.message}"
    return "; it is switched on for that"


def _jump(options: Mapping[str, object]) -> Jump | None:
    told = str(options.get("DTROVE_SSH_JUMP") or "")
    if not told:
        return None
    via = parse_jump(told)
    return Jump(f"{via.user}@{via.host}", via.port, Path(str(options.get("DTROVE_SSH_JUMP_KEY_FILE") or "")).expanduser(),
                str(options.get("DTROVE_SSH_JUMP_HOST_KEY") or ""))  # fmt: skip
