"""The built-in datastores on real hosts: born safe, prepared once, on the volume."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from services.datastore_agentless.datastores.base import BaseManager, scripts
from services.datastore_agentless.hosts.base import quote
from shared.secrets import Secret
from tests.component.hosts.outside import ASK, REFUSALS
from tests.component.hosts.real import DATASTORES, PASSWORD, VOLUME, RealHost, RealHosts, manager_of
from tests.component.hosts.sshd import reaches
from tests.support.installation import wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow]
OTHERS = {"pgsql": "postgres", "mysql": "root", "redis": "default"}


@dataclass
class Prepared:
    """A datastore on a host."""

    manager: BaseManager
    host: RealHost

    def ask(self, password: str = PASSWORD, user: str = "dtrove", **options: Any) -> str:
        return ASK[self.manager.name](self.host.node.addr, user, password, **options)


@pytest.fixture(scope="module", params=list(DATASTORES))
def prepared(request: pytest.FixtureRequest, real_hosts: RealHosts) -> Iterator[Prepared]:
    made = Prepared(manager_of(request.param), real_hosts.make())
    made.host.make(made.manager)
    yield made
    made.host.container.remove(force=True)


def test_its_login_works_from_outside_in_the_right_version(prepared: Prepared) -> None:
    assert prepared.manager.datastore.version in prepared.ask()


@pytest.mark.parametrize("password", ["", "wrong"])
def test_nobody_comes_in_without_the_password(prepared: Prepared, password: str) -> None:
    with pytest.raises(REFUSALS):
        prepared.ask(password)
    with pytest.raises(REFUSALS):
        prepared.ask(password, user=OTHERS[prepared.manager.name])
    with pytest.raises(REFUSALS):
        prepared.ask(password, user="")


def test_the_engine_s_own_superuser_does_not_come_in_over_the_network(prepared: Prepared) -> None:
    with pytest.raises(REFUSALS):
        prepared.ask(PASSWORD, user=OTHERS[prepared.manager.name])


def test_it_listens_on_its_private_address_and_not_on_every_one(prepared: Prepared) -> None:
    port = prepared.manager.port
    listening = prepared.host.sh(f"ss -Hltn 'sport = :{port}' | awk '{{print $4}}'").split()
    assert set(listening) <= {f"{prepared.host.node.addr}:{port}", f"127.0.0.1:{port}"}


def test_its_data_lies_on_the_volume(prepared: Prepared) -> None:
    files = prepared.host.sh(f"find {VOLUME} -type f | wc -l")
    assert int(files) >= 1
    owner = prepared.host.sh(f"stat -c '%U %a' {VOLUME}/{prepared.manager.name}").split()
    assert owner[0] == {"pgsql": "postgres"}.get(prepared.manager.name, prepared.manager.name)
    assert owner[1] in ("700", "750")


def test_preparing_it_again_changes_nothing_and_restarts_nothing(prepared: Prepared) -> None:
    host, name = prepared.host, prepared.manager.process
    watched = "find /etc /usr/local /var/lib/dtrove-data -newer /run/mark -type f -not -path '*/dtrove-data/*'"
    before = host.processes(name)
    assert before
    host.sh("touch /run/mark; sleep 1.1")
    first = len(host.entries)
    host.make(prepared.manager)
    assert host.processes(name) == before
    assert host.sh(watched) == ""
    titles = [entry.title for entry in host.entries[first:]]
    assert not any(title.startswith(("install", "stop", "set the")) for title in titles), titles


def test_its_password_shows_in_no_record_no_argument_list_and_no_file_of_the_host(prepared: Prepared) -> None:
    host = prepared.host
    assert PASSWORD not in repr(host.entries)
    for place in ("/var/log", "/etc", "/root", "/tmp", "/run", "/var/lib/dtrove"):
        found = host.container.exec_run(["grep", "-rlF", "--exclude-dir=udev", PASSWORD[:9], place])
        assert found.output == b"", place
    arguments = host.sh("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert PASSWORD not in arguments


def test_it_stops_starts_and_restarts_as_it_is_told(prepared: Prepared) -> None:
    host, manager = prepared.host, prepared.manager
    first = host.processes(manager.process)
    host.driver().execute(manager.restart())
    second = host.processes(manager.process)
    assert second
    assert not set(first) & set(second)
    host.driver().execute(manager.start())
    assert host.processes(manager.process)[0] == second[0]
    host.driver().execute(manager.stop())
    assert host.processes(manager.process) == []
    with pytest.raises(REFUSALS):
        prepared.ask()
    host.driver().execute(manager.restart())
    assert prepared.ask()


def test_after_a_reboot_a_prepare_brings_it_back_with_its_data(prepared: Prepared) -> None:
    host, manager = prepared.host, prepared.manager
    write = {"pgsql": "create table kept as select 7 as n", "mysql": "create table mysql.kept as select 7 as n",
             "redis": "SET kept 7"}  # fmt: skip
    read = {"pgsql": "select n from kept", "mysql": "select n from mysql.kept", "redis": "GET kept"}
    prepared.ask(question=write[manager.name])
    host.container.restart(timeout=1)
    wait_for(lambda: reaches(host.pool, host.target()), 60, what="a login after the reboot")
    host.make(manager)
    assert "7" in prepared.ask(question=read[manager.name])


def test_a_new_password_is_set_by_the_next_prepare(prepared: Prepared) -> None:
    host = prepared.host
    old = host.node
    try:
        host.node = replace(old, admin_password=Secret("another-one-4711"))
        host.make(prepared.manager)
        assert prepared.ask("another-one-4711")
        with pytest.raises(REFUSALS):
            prepared.ask(PASSWORD)
    finally:
        host.node = old
        host.make(prepared.manager)
    assert prepared.ask()


def test_data_that_came_back_on_a_volume_is_taken_over(prepared: Prepared) -> None:
    """As on a new server with the old one's volume: nothing of the configuration is there, all of the data is."""
    if prepared.manager.name != "pgsql":
        return
    host = prepared.host
    prepared.ask(question="create table came_back as select 8 as n")
    host.driver().execute(prepared.manager.stop())
    host.sh("rm -rf /etc/postgresql/15")
    host.make(prepared.manager)
    assert prepared.ask(question="select n from came_back") == "8"


def test_several_who_leave_an_engine_alone_at_boot_at_the_same_moment_do_not_stumble_over_each_other(
    real_hosts: RealHosts,
) -> None:
    """As replicas do at the primary that they join."""
    host = real_hosts.make(golden=True)
    tells = [quote(scripts.at_boot("redis-server", starts=starts)) for starts in (True, False)]
    at_once = " ".join(f"(sh -c {one} >/dev/null 2>&1 || echo stumbled) &" for one in [*tells, *tells])
    assert host.sh(f"for n in $(seq 15); do {at_once} wait; done") == ""
    host.container.remove(force=True)


def test_an_image_that_has_the_packages_serves_and_the_cluster_that_debian_made_in_it_does_not(
    real_hosts: RealHosts,
) -> None:
    made = Prepared(manager_of("pgsql"), real_hosts.make(golden=True))
    made.host.sh("pg_createcluster 15 main 2>&1")
    made.host.make(made.manager)
    assert not [one for one in made.host.entries if one.title.startswith("install ")]
    assert made.ask(question="show data_directory") == f"{VOLUME}/pgsql"
    made.host.container.remove(force=True)
