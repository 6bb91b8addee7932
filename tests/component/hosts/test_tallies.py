"""What is counted beside a backup of a real PostgreSQL while others write: what is kept of it is the same after the last byte."""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from services.datastore_agentless.datastores.pgsql.manager import PostgresManager
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.domain.tally import Table, Tally
from services.datastore_agentless.hosts.base import Job, Result
from shared.contracts.backups import CheckResult
from tests.support.installation import wait_for
from tests.support.postgres import PLACES, PrivatePostgres
from tests.unit.services.datastore_agentless.scripted import ScriptedHost

# A stream that lasts for as long as is counted beside it.
COUNTED = 'while kill -0 "$counter" 2>/dev/null; do sleep 0.1; done'
NODE = Instance(id="n", cluster_id="c", name="db-1", addr="10.0.0.1", data_dir="/data", admin_user="dtrove")


@dataclass
class Shop:
    """A database of a server that others use as well; the programs of the node are those of this machine, led to it."""

    server: PrivatePostgres
    name: str
    place: Path

    def __post_init__(self) -> None:
        self.manager = PostgresManager(Datastore(id="d", manager_class="x", manager="x", version="15", image=""))
        self.manager.port = self.server.port
        self._put("setpriv", 'while [[ $1 == --* ]]; do shift; done; exec "$@"')
        self._put("psql", f'exec {PLACES[0]}/psql -h 127.0.0.1 -U dtrove "$@"')
        self._put("pg_waldump", f'exec {PLACES[0]}/pg_waldump "$@"')

    def do(self, *statements: str, commit: bool = True) -> Any:
        """In one transaction; the connection, where it stays open."""
        connection = psycopg2.connect(host="127.0.0.1", port=self.server.port, user="dtrove", dbname=self.name)
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        if commit:
            connection.commit()
            connection.close()
        return connection

    def tally(
        self, stream: str = COUNTED, *, once: str = "since", meanwhile: Callable[[], object] = lambda: None
    ) -> Tally:
        """What is kept beside a stream. What happens `meanwhile` happens once there is this file in the folder of the count."""

        def busy() -> None:
            wait_for(lambda: list(self.place.glob(f"dtrove-tally.*/{once}")), 60, what="the beginning of the count")
            meanwhile()

        tallying = self.manager.tallying
        assert tallying is not None
        script = f"set -euo pipefail\nexec 7>&1\ndump() (\n{tallying.begins(NODE)}(\n{stream}\n)\n{tallying.ends(NODE)})\ndump >&2\n"
        beside = threading.Thread(target=busy)
        beside.start()
        done = self._run(script)
        beside.join()
        assert (done.returncode, done.stderr) == (0, "")
        return tallying.read([one.removeprefix("say ") for one in done.stdout.split("\n") if one.startswith("say ")])

    def mine(self, tally: Tally) -> dict[str, Table]:
        assert tally.why == ""
        return {one.name: one for one in tally.tables if one.database == self.name}

    def compare(self, tally: Tally) -> CheckResult:
        """What the proof would say of the server as it is now."""

        def answer(job: Job) -> Result:
            done = self._run(job.script.replace('exec bash "$0" bash', ":"))
            return Result(done.returncode, done.stdout, done.stderr)

        tallying = self.manager.tallying
        assert tallying is not None
        kept = Tally(tuple(self.mine(tally).values()))
        result: CheckResult = ScriptedHost(hold_the_rows=answer).drive(tallying.compare(NODE, kept))
        return result

    def _run(self, script: str) -> subprocess.CompletedProcess[str]:
        for was, now in (("/usr/lib/postgresql/15/bin/", f"{self.place}/"), ("-p /run", f"-p {self.place}"),
                         (f"{self.manager.data_path(NODE)}/pg_wal", f"{self.server.data}/pg_wal")):  # fmt: skip
            script = script.replace(was, now)
        return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=120,
                              env={"PATH": f"{self.place}:/usr/bin:/bin"})  # fmt: skip

    def _put(self, name: str, text: str) -> None:
        (self.place / name).write_text(f"#!/bin/bash\n{text}\n")
        (self.place / name).chmod(0o755)


@pytest.fixture(scope="module")
def server() -> Iterator[PrivatePostgres]:
    """Without the databases that other tests leave behind: a count is bounded, and might not come to the one that is meant."""
    made = PrivatePostgres(Path(tempfile.mkdtemp(prefix="dtrove-tallies-")))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def shop(server: PrivatePostgres, tmp_path: Path) -> Shop:
    """Tables with odd names and odd values."""
    made = Shop(server, server.fresh("tally").rpartition("/")[2], tmp_path)
    made.do(
        "CREATE TABLE orders AS SELECT n, md5(n::text) AS words, now() AS at FROM generate_series(1, 1000) AS n",
        'CREATE TABLE "a b\t\'c" (dtrove_row int, facts jsonb)', 'INSERT INTO "a b\t\'c" VALUES (1, \'{"a": [1]}\'), (NULL, NULL)',
        "CREATE TABLE queue (n int)", "CREATE TABLE emptied (n int)", "INSERT INTO emptied VALUES (1)",
        "CREATE UNLOGGED TABLE gone (n int)", "CREATE TABLE parts (n int) PARTITION BY LIST (n)",
        "CREATE TABLE part PARTITION OF parts FOR VALUES IN (1)", "INSERT INTO parts VALUES (1)",
    )  # fmt: skip
    return made


def test_rows_and_checksums_of_all_tables_are_kept_and_the_same_data_pass(shop: Shop) -> None:
    tally = shop.tally()
    there = shop.mine(tally)
    assert {name: one.rows for name, one in there.items()} == {
        "public.orders": 1000, "public.a b\t'c": 2, "public.queue": 0, "public.emptied": 1, "public.part": 1,
    }  # fmt: skip
    assert all(one.sum for one in there.values())
    result = shop.compare(tally)
    assert (result.passed, result.found) == (True, "5 tables, 1004 rows, 5 checksums"), result.message


def test_a_row_that_is_another_or_missing_is_found(shop: Shop) -> None:
    tally = shop.tally()
    shop.do("UPDATE orders SET words = 'torn' WHERE n = 7", "DELETE FROM parts", "DROP TABLE emptied")
    result = shop.compare(tally)
    assert not result.passed
    assert "public.orders has other rows than it had" in result.message
    assert "public.part has 0 rows in place of 1" in result.message
    assert "public.emptied is not there" in result.message


def test_what_is_written_meanwhile_is_left_out_though_it_is_as_before_at_the_end(shop: Shop) -> None:
    def busy() -> None:
        shop.do("INSERT INTO queue VALUES (1)")
        shop.do("DELETE FROM queue")
        shop.do("TRUNCATE emptied")
        shop.do("INSERT INTO emptied VALUES (1)")
        (shop.place / "done").touch()

    # The stream goes on until all of that is done, for what comes after it is none of its.
    tally = shop.tally(f"{COUNTED}; until [ -e {shop.place}/done ]; do sleep 0.1; done", once="settled", meanwhile=busy)
    assert set(shop.mine(tally)) == {"public.orders", "public.a b\t'c", "public.part"}
    assert tally.changed >= 2
    assert shop.compare(tally).passed


def test_what_was_written_before_and_is_committed_meanwhile_is_counted_as_it_is_then(shop: Shop) -> None:
    held = shop.do("INSERT INTO queue VALUES (1)", commit=False)
    shop.do("CREATE TABLE brings_the_log_to_the_disk ()")
    tally = shop.tally(meanwhile=lambda: (held.commit(), held.close()))
    assert shop.mine(tally)["public.queue"].rows == 1


def test_what_stays_open_all_the_while_keeps_anything_from_being_counted_and_the_backup_from_nothing(
    shop: Shop,
) -> None:
    held = shop.do("INSERT INTO queue VALUES (1)", commit=False)
    tally = shop.tally('until [ -e "$tally/since" ]; do sleep 0.1; done')
    held.close()
    assert (tally.tables, tally.why) == ((), "what was open before the backup was not committed until its end")
