"""A manager from outside the tree, from its entry in the catalogue to a backup, on a real host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.datastore_agentless import actions, catalogue
from services.datastore_agentless.datastores import load_manager
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.key import Key
from services.datastore_agentless.hosts.ssh import SshPool
from services.datastore_agentless.store import catalogue as stored
from services.datastore_agentless.workflows.backup_node import BackupNode
from services.datastore_agentless.workflows.on_host import Hosts
from services.datastore_agentless.workflows.perform import Perform
from services.datastore_agentless.workflows.prepare_node import PrepareNode
from shared.contracts.api import BackupRequested, ClusterRequested, PerformRequested
from shared.contracts.provisioner import InstanceActive
from shared.contracts.values import DatastoreRef, Flavor, InstanceRef
from shared.db import Database
from shared.engine import StepEngine
from tests.component.hosts.real import RealHost, RealHosts
from tests.component.hosts.wishes import said, work
from tests.support.keeping import MemoryStore, MemoryStores

pytestmark = [pytest.mark.real, pytest.mark.slow]
EXAMPLES = Path(__file__).parents[3] / "examples" / "manager"
PATH = "backyard.MyBackyardDBManager"
MANAGERS = ((PATH, "backyard"),)


@pytest.fixture
def host(real_hosts: RealHosts) -> Iterator[RealHost]:
    made = real_hosts.make(ram_mb=256)
    yield made
    made.container.remove(force=True)


@pytest.fixture
def engine(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[StepEngine]:
    monkeypatch.syspath_prepend(str(EXAMPLES))

    def manager_for(entry: Datastore) -> Any:
        return load_manager(entry.manager_class, entry, MANAGERS)

    pool = SshPool()
    hosts = Hosts(database, pool, manager_for, "sudo -n ")
    flows = (PrepareNode(hosts, MemoryStores()).workflow(), BackupNode(hosts).workflow(), Perform(hosts).workflow())
    yield StepEngine(database, {flow.name: flow for flow in flows})
    pool.close()


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
def test_a_stranger_s_datastore_is_made_backed_up_and_asked(
    database: Database, engine: StepEngine, host: RealHost
) -> None:
    entry = catalogue.create(database, MANAGERS, manager=PATH, version="2", image="debian-12", packages=[],
                             default_parameters={"flavour": "strawberry; rm -rf /"})  # fmt: skip
    assert entry.name == "backyard - 2"
    ref = DatastoreRef(id=entry.id, manager=entry.manager, version="2", image="debian-12")
    actions.expect_cluster(
        database,
        ClusterRequested(cluster_id="c", operation_id="make", project_id="p", name="mine", size=1, datastore=ref,
                         flavor=Flavor(id="f", name="f", vcpus=1, ram_mb=256, disk_gb=5),
                         instances=(InstanceRef(id="c-1", name="mine-1"),)),
        lambda one: load_manager(one.manager_class, one, MANAGERS).admin_user,
    )  # fmt: skip
    _give_key(database, host)
    actions.prepare_node(
        database, InstanceActive(instance_id="c-1", cluster_id="c", operation_id="make", server="s", addr=host.node.addr,
                                 user="root", host_key=host.node.host_key, reach=host.node.reach),
    )  # fmt: skip
    work(engine)
    assert not said(database, "cluster.failed")
    (active,) = said(database, "cluster.active")
    assert active["endpoint"]["primary"]["host"] == host.node.addr
    assert "max_rows=256000\nflavour='strawberry; rm -rf /'" in host.sh("cat /etc/backyard.conf"), (
        "version 2's own template"
    )
    assert host.processes("backyardd")

    actions.request_backup(database, BackupRequested(operation_id="b", backup_id="b-1", cluster_id="c", project_id="p"),
                           lambda one: load_manager(one.manager_class, one, MANAGERS), MemoryStores(MemoryStore()))  # fmt: skip
    work(engine)
    (backed_up,) = said(database, "backup.completed")
    assert (backed_up["backup_id"], backed_up["instance_id"]) == ("b-1", "c-1")
    assert host.sh("cat /var/lib/backyard/backups/*") == "hello"

    actions.request_perform(
        database, PerformRequested(operation_id="look", cluster_id="c", project_id="p", instance_id="c-1", name="look",
                                   commands=("cat /var/lib/backyard/rows", "echo oh >&2; exit 3")),
    )  # fmt: skip
    work(engine)
    (performed,) = said(database, "perform.completed")
    assert [(one["exit_code"], one["stdout"], one["stderr"]) for one in performed["results"]] == [
        (0, "hello\n", ""),
        (3, "", "oh\n"),
    ]
    told = "".join(one["output"] for one in said(database, "operation.progressed") if one["operation_id"] == "look")
    login = f"[root@{host.node.addr}]"
    assert told == (f"{login} run: cat /var/lib/backyard/rows\nout: hello\n"
                    f"{login} run: echo oh >&2; exit 3\nerr: oh\nexit code: 3\ndone.\n")  # fmt: skip


def _give_key(database: Database, host: RealHost) -> None:
    """The host was born with a key of its own: it becomes the cluster's."""
    pair = host.node.key
    assert isinstance(pair, Key)
    with database.write() as tx:
        stored.add_key(tx, "c", pair)
