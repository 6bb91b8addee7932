"""An export, back into a cluster that serves, with its replica: on real hosts, for each engine and format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.filling import FILLINGS, ROWS
from tests.e2e.test_backups import DATASTORES, _succeeded, _urls, dtrove, objects
from tests.e2e.test_exports import exported
from tests.support.clients import Sql
from tests.support.installation import Installation, wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow]
__all__ = ["dtrove", "objects"]

# Each format from a store or the other: how the bytes come is no matter of the engine's.
ROUND = [("pgsql", {"format": "sql"}, "local"), ("pgsql", {"format": "custom", "databases": ["postgres"]}, "objects"),
         ("mysql", {"format": "sql"}, "objects"), ("redis", {"format": "rdb"}, "local"), ("redis", {"format": "jsonl"}, "objects")]  # fmt: skip
REPLICA_SECONDS = 60


@pytest.fixture(scope="module")
def filled(dtrove: Installation) -> Iterator[dict[str, str]]:
    """A cluster of each datastore, with data."""
    asked = {name: dtrove.create(f"from-{name}", version, volume_gb=1) for name, version in DATASTORES.items()}
    for name, (cluster, operation) in asked.items():
        _succeeded(dtrove, operation)
        FILLINGS[name].fill(_urls(dtrove, cluster)[0])
    yield {name: cluster for name, (cluster, _) in asked.items()}
    dtrove.remove(*(cluster for cluster, _ in asked.values()))


def begun(dtrove: Installation, cluster: str, export: dict[str, Any]) -> dict[str, Any]:
    """An import that is under way: the operation, with the import."""
    answer = dtrove.ask("POST", f"/v1/clusters/{cluster}/imports", {"export": export["id"]})
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def comes_to(dtrove: Installation, datastore: str, cluster: str, digest: str) -> None:
    """See the data on each node; a replica may be a moment behind."""
    for url in _urls(dtrove, cluster):
        wait_for(
            lambda at=url: FILLINGS[datastore].digest(at) == digest,
            REPLICA_SECONDS,
            every=0.5,
            what="the same data on each node",
        )


@pytest.mark.parametrize(("datastore", "asked", "store"), ROUND)
def test_an_export_comes_back_into_a_cluster_that_serves_and_its_replica_follows(
    dtrove: Installation, filled: dict[str, str], datastore: str, asked: dict[str, Any], store: str
) -> None:
    export = exported(dtrove, filled[datastore], store=store, encrypted=store == "objects", **asked)
    cluster, operation = dtrove.create(f"into-{datastore}", DATASTORES[datastore], size=2, volume_gb=1)
    _succeeded(dtrove, operation)
    plan = dtrove.ask("POST", f"/v1/clusters/{cluster}/imports?plan=true", {"export": export["id"]}).json()["plan"]
    assert (plan["contents"]["rows"], plan["contents"]["there"]) == (export["facts"]["rows"], [])
    made = begun(dtrove, cluster, export)
    _succeeded(dtrove, made["id"])
    entry = dtrove.get(f"/v1/imports/{made['import']['id']}")
    assert (entry["facts"]["rows"], entry["facts"]["differing"]) == (export["facts"]["rows"], [])
    comes_to(dtrove, datastore, cluster, FILLINGS[datastore].digest(_urls(dtrove, filled[datastore])[0]))
    # Nothing is written over, and what was refused has changed nothing.
    again = dtrove.end_of(begun(dtrove, cluster, export)["id"], 120)
    assert (again["status"], "the cluster has it already" in again["problem"]["message"]) == ("failed", True)
    comes_to(dtrove, datastore, cluster, FILLINGS[datastore].digest(_urls(dtrove, filled[datastore])[0]))
    dtrove.remove(cluster)


def test_an_imported_database_is_one_that_users_are_let_into(dtrove: Installation, filled: dict[str, str]) -> None:
    source = filled["pgsql"]
    _succeeded(dtrove, dtrove.ask("POST", f"/v1/clusters/{source}/databases", {"name": "books"}).json()["id"])
    first = _urls(dtrove, source)[0]
    client = Sql(first, database="books")
    client.rows("CREATE TABLE books (id serial PRIMARY KEY, title text)")
    client.rows("INSERT INTO books (title) VALUES ('one'), ('two')")
    client.close()
    export = exported(dtrove, source, databases=["books"])
    cluster, operation = dtrove.create("into-books", DATASTORES["pgsql"], volume_gb=1)
    _succeeded(dtrove, operation)
    _succeeded(dtrove, begun(dtrove, cluster, export)["id"])
    assert [one["name"] for one in dtrove.get(f"/v1/clusters/{cluster}/databases")["databases"]] == ["books"]
    wish = {"name": "ann", "password": "s3cret-enough", "databases": [{"name": "books", "privilege": "all"}]}
    _succeeded(dtrove, dtrove.ask("POST", f"/v1/clusters/{cluster}/users", wish).json()["id"])
    place = dtrove.get(f"/v1/clusters/{cluster}")["endpoint"]["primary"]
    ann = Sql(f"postgresql://ann:s3cret-enough@{place['host']}:{place['port']}", database="books")
    # What was imported is hers to change, as what she makes herself would be.
    ann.rows("ALTER TABLE books ADD COLUMN pages int")
    assert ann.rows("SELECT count(*) FROM books")[0][0] == 2
    ann.close()
    dtrove.remove(cluster)


@pytest.mark.parametrize("datastore", ["pgsql", "mysql"])
def test_tables_come_into_a_database_that_is_there(
    dtrove: Installation, filled: dict[str, str], datastore: str
) -> None:
    database = {"pgsql": "postgres", "mysql": "shop"}[datastore]
    table = {"pgsql": "shop.orders", "mysql": "orders"}[datastore]
    export = exported(dtrove, filled[datastore], databases=[database], tables=[table])
    cluster, operation = dtrove.create(f"tables-{datastore}", DATASTORES[datastore], volume_gb=1)
    _succeeded(dtrove, operation)
    place = Sql(_urls(dtrove, cluster)[0])
    place.rows("CREATE SCHEMA shop" if datastore == "pgsql" else "CREATE DATABASE shop")
    _succeeded(dtrove, begun(dtrove, cluster, export)["id"])
    assert int(place.rows("SELECT count(*) FROM shop.orders")[0][0]) == ROWS + 2
    place.close()
    dtrove.remove(cluster)


def test_a_cluster_that_refuses_some_of_it_is_left_as_it_was(dtrove: Installation, filled: dict[str, str]) -> None:
    export = exported(dtrove, filled["pgsql"], databases=["postgres"], tables=["shop.orders"])
    cluster, operation = dtrove.create("refuses", DATASTORES["pgsql"], volume_gb=1)
    _succeeded(dtrove, operation)
    # There is no schema `shop` that the table could be made in.
    ended = dtrove.end_of(begun(dtrove, cluster, export)["id"], 120)
    assert (ended["status"], ended["problem"]["step"]) == ("failed", "load")
    client = Sql(_urls(dtrove, cluster)[0])
    assert client.rows("SELECT count(*) FROM pg_class WHERE relname = 'orders'")[0][0] == 0
    client.rows("CREATE SCHEMA shop")
    client.close()
    assert dtrove.ask("POST", f"/v1/operations/{ended['id']}/retry").status_code == 202
    _succeeded(dtrove, ended["id"])
    dtrove.remove(cluster)
