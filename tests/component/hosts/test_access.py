"""A person's key opens a host for a while, and no longer."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from client.ssh import arguments, remote_command
from services.datastore_agentless.actions import request_access
from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.domain.key import Key
from services.datastore_agentless.hosts.authorized_keys import admit, shut_out
from services.datastore_agentless.hosts.base import Target
from services.datastore_agentless.hosts.driver import Driver
from services.datastore_agentless.hosts.runner import HostRunner
from services.datastore_agentless.hosts.ssh import SshPool
from services.datastore_agentless.store import catalogue, clusters, tables
from services.datastore_agentless.workflows.on_host import Hosts
from services.datastore_agentless.workflows.open_access import OpenAccess
from shared.contracts import REGISTRY
from shared.contracts.api import AccessRequested, AccessRevokeRequested
from shared.db import Database, Sealed
from shared.engine import StepEngine
from shared.secrets import Keyring, KeyringFile, new_key, write_keyring
from tests.component.hosts.sshd import Sshd

MINE, OTHER = "11111111-aaaa", "22222222-bbbb"


class Visitor:
    """Somebody with a key of their own and the command line's way of calling ssh."""

    def __init__(self, server: Sshd, folder: Path) -> None:
        self.granted = {"host": "127.0.0.1", "port": server.port, "user": server.user}
        self.folder = folder
        folder.mkdir()
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", folder / "key"], check=True)
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {server.host_key}\n")

    @property
    def public(self) -> str:
        return (self.folder / "key.pub").read_text().strip()

    def log_in(self, *words: str) -> subprocess.CompletedProcess[str]:
        line = arguments(self, self.folder, remote_command(list(words)))  # type: ignore[arg-type]
        return subprocess.run(line, capture_output=True, text=True, timeout=20, check=False)


@pytest.fixture
def home(own_sshd: Sshd, tmp_path: Path) -> Path:
    """A home directory for the suite's own user on the server, in place of the real one."""
    folder = tmp_path / "home" / ".ssh"
    folder.mkdir(parents=True)
    keys = own_sshd.directory / "authorized_keys"
    keys.replace(folder / "authorized_keys")
    keys.symlink_to(folder / "authorized_keys")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "getent").write_text(f"#!/bin/sh\necho x:x:0:0::{folder.parent}:/bin/sh\n")
    (programs / "getent").chmod(0o755)
    return folder.parent


@pytest.fixture
def run(own_sshd: Sshd, home: Path, tmp_path: Path, runner: Callable[..., HostRunner]) -> Callable[[object], object]:
    """Runs a script on the server, where `getent` knows only that home."""
    prefix = f"env PATH={tmp_path}/bin:/usr/bin:/bin "
    return lambda script: runner(target=own_sshd.target(prefix=prefix)).execute(script)  # type: ignore[arg-type]


@pytest.fixture
def visitor(own_sshd: Sshd, home: Path, tmp_path: Path) -> Visitor:
    return Visitor(own_sshd, tmp_path / "visitor")


@pytest.fixture(autouse=True)
def _keyring(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_keyring(tmp_path / "keyring", Keyring((new_key(),)))
    monkeypatch.setattr(Sealed, "keyring", KeyringFile(tmp_path / "keyring"))


def lines(home: Path) -> list[str]:
    return (home / ".ssh" / "authorized_keys").read_text().splitlines()


def test_a_key_that_was_let_in_logs_in_and_one_that_was_shut_out_does_not(
    own_sshd: Sshd, run: Callable[[object], object], visitor: Visitor
) -> None:
    assert visitor.log_in("true").returncode == 255
    run(admit(own_sshd.user, visitor.public, 5, MINE))
    done = visitor.log_in("echo", "hello world", "$HOME")
    assert (done.returncode, done.stdout) == (0, "hello world $HOME\n"), own_sshd.log()
    assert visitor.log_in("exit 7").returncode == 7
    run(shut_out(own_sshd.user, MINE))
    assert visitor.log_in("true").returncode == 255


def test_a_key_whose_time_is_over_does_not_log_in(
    own_sshd: Sshd, run: Callable[[object], object], visitor: Visitor
) -> None:
    run(admit(own_sshd.user, visitor.public, -1, MINE))
    assert visitor.log_in("true").returncode == 255


def test_lines_of_others_stay_and_those_that_are_over_go_with_the_next_change(
    own_sshd: Sshd, run: Callable[[object], object], visitor: Visitor, home: Path
) -> None:
    before = lines(home)
    run(admit(own_sshd.user, visitor.public, -1, OTHER))
    run(admit(own_sshd.user, visitor.public, 5, MINE))
    run(admit(own_sshd.user, visitor.public, 5, MINE))
    (added,) = [line for line in lines(home) if line not in before]
    assert added.endswith(f"dtrove-access-{MINE}")
    run(shut_out(own_sshd.user, MINE))
    run(shut_out(own_sshd.user, MINE))
    assert lines(home) == before


def test_the_file_is_its_owners_alone(
    own_sshd: Sshd, run: Callable[[object], object], visitor: Visitor, home: Path
) -> None:
    run(admit(own_sshd.user, visitor.public, 5, MINE))
    assert (home / ".ssh" / "authorized_keys").stat().st_mode & 0o777 == 0o600


def test_another_host_key_is_not_trusted(own_sshd: Sshd, run: Callable[[object], object], visitor: Visitor) -> None:
    run(admit(own_sshd.user, visitor.public, 5, MINE))
    wrong = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKBMcuFPYIqFmbjVgOhhPVX8NXoJTdu9YtVKFMxGLdUy"
    (visitor.folder / "known_hosts").write_text(f"[127.0.0.1]:{own_sshd.port} {wrong}\n")
    assert visitor.log_in("true").returncode == 255


def no_manager(datastore: Datastore) -> BaseManager:
    raise AssertionError("a login needs no manager")


@dataclass(frozen=True)
class HostsHere(Hosts):
    """Hosts on which fences and jobs lie in the test's own directory."""

    folder: Path = Path()

    def _driver(self, target: Target, **options: Any) -> Driver:
        return HostRunner(pool=self.pool, target=target, root=f"{self.folder}/dtrove", memory=f"{self.folder}/memory",
                          **options)  # fmt: skip


class Desk:
    """datastore_agentless with one instance, the server, in its books: wishes go in, events come out."""

    def __init__(self, server: Sshd, pool: SshPool, folder: Path, prefix: str, jump: Target | None = None) -> None:
        self.database = Database(f"sqlite:///{folder}/db.sqlite", "datastore_agentless", tables.metadata)
        tables.metadata.create_all(self.database.engine)
        key = Key(server.key.name, server.key.passphrase, server.key.private, server.key.public)
        with self.database.write() as tx:
            clusters.add_cluster(tx, Cluster(id="c", project_id="p", operation_id="", name="shop", datastore_id="d",
                                             size=1, ram_mb=1024, vcpus=1))  # fmt: skip
            clusters.add_instance(tx, Instance(id="i", cluster_id="c", name="shop-1", addr="127.0.0.1", user=server.user,
                                               ssh_port=server.port, host_key=server.host_key))  # fmt: skip
            catalogue.add_key(tx, "c", key)
        hosts = HostsHere(self.database, pool, no_manager, prefix, jump=jump, folder=folder)
        access = OpenAccess(hosts)
        self.engine = StepEngine(self.database, {flow.name: flow for flow in (access.grant(), access.revoke())})

    def ask(self, wish: AccessRequested | AccessRevokeRequested) -> Any:
        """What was announced in the end."""
        request_access(self.database, wish)
        self.engine.run_due()
        box = self.database.outbox
        with self.database.read() as connection:
            row = connection.execute(
                select(box).where(box.c.routing_key.like("access.%")).order_by(box.c.id.desc())
            ).first()
        assert row is not None
        return REGISTRY["datastore_agentless", row.routing_key].from_payload(json.loads(row.body))

    def open(self, visitor: Visitor) -> Any:
        return self.ask(AccessRequested(operation_id=MINE, cluster_id="c", project_id="p", instance_id="i",
                                        public_key=visitor.public, minutes=5))  # fmt: skip


def test_a_wish_to_log_in_ends_with_where_and_the_way_in_is_open_until_it_is_shut(
    own_sshd: Sshd, pool: SshPool, visitor: Visitor, tmp_path: Path
) -> None:
    desk = Desk(own_sshd, pool, tmp_path, f"env PATH={tmp_path}/bin:/usr/bin:/bin ")
    granted = desk.open(visitor)
    assert (granted.host, granted.port, granted.user) == ("127.0.0.1", own_sshd.port, own_sshd.user)
    assert granted.host_keys == (own_sshd.host_key,)
    assert visitor.log_in("true").returncode == 0
    shut = desk.ask(
        AccessRevokeRequested(operation_id=OTHER, cluster_id="c", project_id="p", instance_id="i", access=MINE)
    )
    assert shut.access == MINE
    assert visitor.log_in("true").returncode == 255


def test_through_a_jump_host_the_wish_ends_with_its_name_as_well(
    own_sshd: Sshd, sshd: Sshd, pool: SshPool, visitor: Visitor, tmp_path: Path
) -> None:
    hop = sshd.target(name="the jump host")
    granted = Desk(own_sshd, pool, tmp_path, f"env PATH={tmp_path}/bin:/usr/bin:/bin ", hop).open(visitor)
    assert granted.jump == f"{sshd.user}@127.0.0.1:{sshd.port}"


def test_where_the_prefix_goes_through_a_console_a_login_is_refused_with_a_sentence(
    own_sshd: Sshd, pool: SshPool, visitor: Visitor, tmp_path: Path, home: Path
) -> None:
    before = lines(home)
    failed = Desk(own_sshd, pool, tmp_path, "vzctl exec %(local_id)s ").open(visitor)
    assert "no login on the instance" in failed.problem.message
    assert failed.problem.what_to_do == "use `dtrove instance perform`"
    assert lines(home) == before
