"""PostgreSQL's numbers, asked of a real server with the very command that hosts are sent: they are true."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import closing
from typing import Any

import psycopg2

from services.datastore_agentless.datastores import load_manager
from services.datastore_agentless.datastores.base import probing
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Result, Run
from services.datastore_agentless.settings import BUILT_IN
from tests.component.watching.conftest import WAIT_SECONDS
from tests.support.postgres import PLACES, PrivatePostgres
from tests.unit.services.datastore_agentless.scripted import ScriptedHost


def counted(server: PrivatePostgres) -> dict[str, float]:
    where = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "dtrove", "PGDATABASE": "postgres"}

    def run(command: Run) -> Result:
        done = subprocess.run(["sh", "-c", command.line], input=str(command.stdin), capture_output=True, text=True,
                              check=False, timeout=20, env=os.environ | where)  # fmt: skip
        return Result(done.returncode, done.stdout, done.stderr)

    version = PLACES[0].parent.name
    manager = load_manager("pgsql", Datastore("d", "pgsql", "pgsql", version, "debian-12"), BUILT_IN)
    node = Instance("i", "c", "shop-1", addr="10.0.0.1")
    found: Any = ScriptedHost(see_where_it_stands=run).drive(probing.ask(manager, node, node, count=True))
    assert found.standing.writable
    return dict(found.numbers)


def session(server: PrivatePostgres) -> Any:
    return psycopg2.connect(host="127.0.0.1", port=server.port, user="dtrove", dbname="postgres")


def test_transactions_connections_and_data_are_counted_as_they_come(postgres: PrivatePostgres) -> None:
    before = counted(postgres)
    assert before["connections_limit"] == 300
    # Whoever leaves reports what it has done at once.
    with closing(session(postgres)) as gone:
        for _ in range(50):
            gone.cursor().execute("SELECT 1")
            gone.commit()
            gone.cursor().execute("SELECT 1")
            gone.rollback()
    with closing(session(postgres)) as there:
        there.cursor().execute("CREATE TABLE counted AS SELECT repeat('x', 1000) FROM generate_series(1, 3000)")
        now = _once(lambda: counted(postgres), lambda now: now["rollbacks_total"] - before["rollbacks_total"] >= 50)
        assert now["commits_total"] - before["commits_total"] >= 50
        assert now["longest_transaction_seconds"] > 0
        assert now["connections"] >= 2
        assert now["data_bytes"] - before["data_bytes"] >= 3_000_000
        there.commit()
        assert counted(postgres)["log_written_bytes_total"] > before["log_written_bytes_total"]
        assert now["uptime_seconds"] > before["uptime_seconds"]


def _once(look: Any, true: Any) -> Any:
    """What is seen once it is true."""
    until = time.monotonic() + WAIT_SECONDS
    while not true(found := look()):
        assert time.monotonic() < until, found
    return found
