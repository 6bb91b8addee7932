"""Where engines listen: at their server's address, and at their cluster's own, where that has one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from services.datastore_agentless.datastores import load_manager
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.settings import BUILT_IN

SERVER, OWN = "10.9.0.2", "10.9.0.250"


def listens(name: str, version: str, cluster_addr: str, packages: Sequence[str] = ()) -> str:
    """The line of an engine's configuration that says where."""
    entry = Datastore(id="ds", manager_class=name, manager=name, version=version, image="", packages=list(packages))
    node = Instance(id="i", cluster_id="c", name="c-1", addr=SERVER, ram_mb=1024, cluster_addr=cluster_addr)
    lines = load_manager(name, entry, BUILT_IN).render_config_file(node).splitlines()
    return next(line for line in lines if line.startswith(("bind", "listen_addresses")))


@pytest.mark.parametrize(("name", "version", "alone", "both"), [
    ("pgsql", "15", f"listen_addresses = '{SERVER},127.0.0.1'", f"listen_addresses = '{SERVER},{OWN},127.0.0.1'"),
    ("redis", "7.0", f"bind {SERVER} 127.0.0.1", f"bind {SERVER} {OWN} 127.0.0.1"),
    ("mysql", "10.11", f"bind-address = {SERVER}", f"bind-address = {SERVER},{OWN}"),
])  # fmt: skip
def test_an_engine_listens_at_both_addresses_and_at_no_other(name: str, version: str, alone: str, both: str) -> None:
    assert (listens(name, version, ""), listens(name, version, OWN)) == (alone, both)


@pytest.mark.parametrize(("version", "packages", "both"), [
    ("10.5", ["mariadb-server"], "*"),
    ("11.4", ["mariadb-server"], f"{SERVER},{OWN}"),
    ("8.0", ["mysql-server"], f"{SERVER},{OWN}"),
    ("5.7", ["mysql-server"], "*"),
])  # fmt: skip
def test_a_server_that_takes_one_address_only_listens_at_all_of_them_where_it_has_two(
    version: str, packages: list[str], both: str
) -> None:
    assert listens("mysql", version, "", packages) == f"bind-address = {SERVER}"
    assert listens("mysql", version, OWN, packages) == f"bind-address = {both}"
