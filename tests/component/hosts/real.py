"""Real hosts: containers of the local provider with sshd as their first process, or with systemd."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import docker
from docker.models.containers import Container

from services.datastore_agentless.datastores import load_manager
from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.domain.key import Key
from services.datastore_agentless.hosts.base import Target
from services.datastore_agentless.hosts.runner import HostRunner
from services.datastore_agentless.hosts.ssh import SshPool
from services.datastore_agentless.hosts.transcript import Transcript
from services.datastore_agentless.settings import BUILT_IN
from services.provisioner.providers.local import Provider, clean_up
from services.provisioner.providers.local.addresses import LABEL, endpoint, free_address
from services.provisioner.providers.local.engine import ensure_network, installation
from services.provisioner.providers.local.host import PACKAGES_DIR
from shared.contracts.values import TranscriptEntry
from shared.secrets import Secret
from tests.component.hosts.sshd import reaches
from tests.support.containers import said
from tests.support.golden import golden_image
from tests.support.installation import ROOT, wait_for
from tests.support.providers import Rig

DATASTORES = {
    "mysql": ("10.11", ["mariadb-server"]),
    "pgsql": ("15", ["postgresql-15"]),
    "redis": ("7.0", ["redis-server"]),
}
VOLUME = "/var/lib/dtrove-data"
PASSWORD = 'it\'s "odd" \\ and: $HOME'  # a password that every quoting on its way has to survive


def manager_of(name: str, **changes: Any) -> BaseManager:
    version, packages = DATASTORES[name]
    entry = Datastore("ds", name, name, version, "debian-12", packages)
    for field_name, value in changes.items():
        setattr(entry, field_name, value)
    return load_manager(name, entry, BUILT_IN)


@dataclass
class RealHost:
    """One host, as the service sees it and, for judging, from inside."""

    container: Container
    node: Instance
    pool: SshPool
    entries: list[TranscriptEntry] = field(default_factory=list)

    def driver(self, **options: Any) -> HostRunner:
        """A driver for a new task on this host."""
        values: dict[str, Any] = {
            "pool": self.pool, "target": self.target(), "task_id": str(uuid4()), "epoch": 1, "subject": self.node.id,
            "transcript": Transcript(self.node.name, self.entries.append, (self.node.admin_password,)),
        }  # fmt: skip
        return HostRunner(**{**values, **options})

    def target(self, **changes: Any) -> Target:
        info = self.node.connection_info
        values: dict[str, Any] = {
            "name": self.node.name, "addr": info.host, "port": info.port, "user": info.user,
            "private_key": info.private_key, "passphrase": info.passphrase, "known_host": info.host_key,
        }  # fmt: skip
        return Target(**{**values, **changes})

    def sh(self, line: str) -> str:
        """What a command prints, run from inside."""
        return said(self.container, line)

    def make(self, manager: BaseManager) -> None:
        """Preflight, prepare, verify, as the workflow does."""
        for script in (manager.preflight(self.node), manager.prepare(self.node), manager.verify(self.node)):
            self.driver().execute(script)

    def processes(self, name: str) -> list[str]:
        """Number and start time of each process of that name: another one after a restart."""
        look = f'for f in /proc/[0-9]*/stat; do case $(cat $f 2>/dev/null) in *"({name}) "*) cut -d" " -f1,22 $f;; esac; done'
        return sorted(self.sh(look).splitlines())


class RealHosts:
    """Makes hosts; all go with the installation in `home`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.rig = Rig("local", {"DTROVE_HOME": str(home)}, home)
        self.key = Key.create("real")
        self.pool = SshPool()
        self._systemd = ""
        self._base_host: RealHost | None = None

    @property
    def client(self) -> docker.DockerClient:
        """The engine."""
        assert isinstance(self.rig.provider, Provider)
        return self.rig.provider.client

    def make(self, ram_mb: int = 512, golden: bool = False) -> RealHost:
        """A bare host with sshd as its first process; a golden one has the databases' packages already."""
        wish = self.rig.instance()
        wish.image = golden_image(self.home) if golden else wish.image
        wish.public_key = self.key.public
        wish.flavor = next(one for one in self.rig.provider.flavors() if one.ram_mb >= ram_mb)
        self.rig.up(wish)
        container = self.client.containers.get(wish.server)
        host = RealHost(container, self._node(wish.id, wish.addr, wish.host_key, wish.reach, ram_mb), self.pool)
        wait_for(lambda: reaches(self.pool, host.target()), 30, what=f"a login to {wish.addr}")
        return host

    def make_systemd(self) -> RealHost:
        """A bare host with systemd as its first process; its image comes from a host of the other kind."""
        base = self._base()
        name = f"dtrove-{uuid4()}"
        packages = self.home / "images" / "packages"
        packages.mkdir(parents=True, exist_ok=True)
        network = ensure_network(self.client, self.home)
        with free_address(self.client, self.home, network, name) as addr:
            container = self.client.containers.create(
                self._systemd, command=["/sbin/init"], name=name, hostname="node-systemd", network=network,
                networking_config={network: endpoint(self.client, addr)},
                mem_limit="1024m", cap_add=["SYS_PTRACE", "NET_ADMIN"],
                ulimits=[docker.types.Ulimit(name=one, soft=20_000, hard=20_000) for one in ("nofile", "nproc")],
                tmpfs={"/run": "mode=755", "/run/lock": "", "/tmp": "mode=1777"},
                mounts=[docker.types.Mount(PACKAGES_DIR, str(packages), type="bind")],
                labels={"dtrove-home": installation(self.home), "dtrove-instance": name, LABEL: addr},
            )  # fmt: skip
        container.start()
        host = RealHost(container, self._node(name, addr, base.node.host_key, {}, 1024), self.pool)
        wait_for(lambda: reaches(self.pool, host.target()), 60, what=f"a login to {addr}")
        return host

    def _base(self) -> RealHost:
        if not self._systemd:
            host = self.make()
            install = (
                "apt-get install -y -qq --no-install-recommends systemd systemd-sysv dbus </dev/null >/tmp/log 2>&1"
            )
            said = host.sh(f"{install} || {{ apt-get update -qq; {install}; }} || cat /tmp/log; "
                           "systemctl enable ssh 2>&1; rm -f /etc/dtrove-user; mkdir -p /var/lib/dtrove-data")  # fmt: skip
            assert host.sh("command -v systemctl"), said
            image = host.container.commit(repository=f"localhost/dtrove-systemd-{uuid4().hex[:8]}",
                                          changes=f"LABEL dtrove-home={installation(self.home)}")  # fmt: skip
            self._systemd = str(image.id)
            self._base_host = host
        assert self._base_host is not None
        return self._base_host

    def _node(self, ident: str, addr: str, host_key: str, reach: dict[str, str], ram_mb: int) -> Instance:
        return Instance(
            id=ident, cluster_id="c", name=f"node-{ident[:8]}", addr=addr, user="root", ram_mb=ram_mb, host_key=host_key,
            reach=reach, data_dir=VOLUME, admin_user="dtrove", admin_password=Secret(PASSWORD), key=self.key,
        )  # fmt: skip


@contextmanager
def real_hosts_of_their_own() -> Iterator[RealHosts]:
    """Makes hosts in a home that shares the cached host image of the checkout; all that was made goes with it."""
    with tempfile.TemporaryDirectory(prefix="dtrove-hosts-") as name:
        home = Path(name)
        shared = ROOT / "var" / "images"
        shared.mkdir(parents=True, exist_ok=True)
        (home / "images").symlink_to(shared)
        made = RealHosts(home)
        try:
            yield made
        finally:
            made.pool.close()
            clean_up(home)
