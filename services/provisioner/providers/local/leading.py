"""Clusters' own addresses on the bridge: put on one running host at a time, by a command in it, and told to all neighbours.

Such an address lives in the network namespace of the host's container: it is gone when that ends, and is not there when it is
started again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import docker
import docker.errors
from docker.models.containers import Container

from services.provisioner.domain.address import ClusterAddress
from services.provisioner.domain.findings import ADDRESS
from services.provisioner.domain.instance import Instance
from services.provisioner.providers.base import Found, ProviderBusy, ProviderError, refuse_late
from services.provisioner.providers.local import reserved
from services.provisioner.providers.local.addresses import free_address, nobodys
from services.provisioner.providers.local.engine import ensure_network
from services.provisioner.providers.local.reserved import Reserved
from services.provisioner.providers.lock import locked

LOOK_SECONDS, COMMAND_SECONDS = 0.05, 20.0
# Moves of different clusters rarely wait for each other; the files stay.
_LOCKS = 16

# Arguments: the cluster's address, the host's own, one that nobody has. To be asked for that one, all neighbours are asked who
# has it, in the name of the cluster's address: three times, a second apart, so they learn where that is.
# Source: ip-address(8); Linux's net/ipv4/arp.c, arp_solicit() and arp_process().
_GIVE = """set -e
dev=$(ip -4 -o addr show to "$2/32" | { read -r _ dev _ && echo "$dev"; })
ip addr replace "$1/32" dev "$dev"
[ -n "$(ip -4 -o addr show to "$1/32" dev "$dev")" ]
ping -c 1 -w 3 -I "$1" "$3" </dev/null >/dev/null 2>&1 &
"""
_TAKE = """ip -4 -o addr show to "$1/32" | while read -r _ dev _; do ip addr del "$1/32" dev "$dev"; done
[ -z "$(ip -4 -o addr show to "$1/32")" ]
"""


def take(client: docker.DockerClient, home: Path, cluster_id: str) -> str:
    """Set an address of the installation's network aside for a cluster, or find the one that was. Raises ProviderError."""
    network = ensure_network(client, home)
    with free_address(client, home, network, cluster_id) as address:
        # Looked for while the lock is held: another worker may be at the same.
        there = reserved.find(home, cluster_id)
        if there is None:
            reserved.put(home, Reserved(cluster_id, address))
        return there.addr if there else address


def move(home: Path, address: ClusterAddress, instance: Instance, hosts: Sequence[Container], own: str) -> None:
    """Put a cluster's address on the host of an instance, whose own address is `own`, and on no other of the cluster's `hosts`.

    Raises ProviderError where there is no such address or host, ProviderBusy where one does not run, StaleEpoch.
    """
    with _alone(home, address.cluster_id):
        there = reserved.find(home, address.cluster_id)
        if there is None:
            raise ProviderError(f"no address is set aside for cluster {address.cluster_id}")
        refuse_late(address, there.epoch)
        host = next(one for one in hosts if _whose(one) == instance.id)
        for one in hosts:
            if one is not host:
                _let_go(one, there)
        if host.status != "running":
            raise ProviderBusy(f"the host of {instance.name} is {host.status}", what_to_do="see that it runs")
        _run(host, _GIVE, there.addr, own, nobodys(own))
        reserved.put(home, replace(there, holder=instance.id, started=_started(host), epoch=address.epoch))


def release(home: Path, cluster_id: str, hosts: Iterable[Container]) -> None:
    """Take a cluster's address from all of its hosts that run, and forget it; fine when there is none."""
    with _alone(home, cluster_id):
        there = reserved.find(home, cluster_id)
        if there is not None:
            for one in hosts:
                _let_go(one, there)
            reserved.drop(home, cluster_id)


def found(home: Path, hosts: Iterable[Container]) -> list[Found]:
    """The addresses that are set aside, and where each leads: nowhere, where its host runs and was started again since."""
    starts = {_whose(one): _started(one) for one in hosts if one.status == "running"}
    return [Found(ADDRESS, one.addr, one.holder if starts.get(one.holder, one.started) == one.started else "", one.cluster_id)
            for one in reserved.every(home)]  # fmt: skip


def _let_go(host: Container, there: Reserved) -> None:
    """Take it from a host, where that runs. A frozen one that never had it cannot give it up, and need not."""
    if host.status == "running":
        _run(host, _TAKE, there.addr)
    elif host.status == "paused" and there.holder == _whose(host) and there.started == _started(host):
        raise ProviderBusy(f"the host {host.name} is frozen, and would go on with the address",
                           what_to_do="switch it off, or have it go on")  # fmt: skip


def _run(host: Container, script: str, *arguments: str) -> None:
    """Run a script in a host as root. Raises ProviderBusy where that did not end well: what it does may be done again."""
    api = host.client.api  # type: ignore[union-attr]
    try:
        made = api.exec_create(host.id, ["sh", "-c", script, "dtrove", *arguments], user="root")["Id"]
        said = bytes(api.exec_start(made) or b"").decode(errors="replace")
        until = time.monotonic() + COMMAND_SECONDS
        # An engine may say what it printed before it has noted how it ended.
        while (state := api.exec_inspect(made)).get("Running") and time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
    except docker.errors.APIError as error:
        if error.status_code in (404, 409):
            raise ProviderBusy(f"the host {host.name} has just ended: {error.explanation or error}") from error
        raise
    if state.get("Running") or state.get("ExitCode") != 0:
        raise ProviderBusy(f"the address of the host {host.name} could not be changed: {said[-500:].strip()}",
                           what_to_do=f"see `ip addr` in the container {host.name}")  # fmt: skip


def _whose(host: Container) -> str:
    return str(host.labels.get("dtrove-instance", ""))


def _started(host: Container) -> str:
    return str(host.attrs["State"].get("StartedAt", ""))


def _alone(home: Path, cluster_id: str) -> AbstractContextManager[int]:
    """Whoever moves the same address waits: what was put where is kept before anybody else begins."""
    number = int(hashlib.sha256(cluster_id.encode()).hexdigest(), 16) % _LOCKS
    return locked(home / "run" / f"address-{number}.lock")
