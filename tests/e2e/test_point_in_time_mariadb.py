"""Moments between backups of MariaDB, on real hosts: rows that are written one by one, a switchover among them, and clusters as of a second."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.clients import Sql
from tests.support.golden import gild
from tests.support.installation import Installation, wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow]

MARIADB = "mysql 10.11"
ROWS = 8


@pytest.fixture(scope="module")
def dtrove(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation that looks for closed logs all the time."""
    with Installation(tmp_path_factory.mktemp("seconds"), DTROVE_ARCHIVE_SECONDS="1") as made:
        gild(made)
        yield made


@dataclass
class Shop:
    """A cluster with a backup; `moments` has for each row the whole second by which it was there, and the next one was not begun."""

    dtrove: Installation
    id: str
    moments: list[datetime] = field(default_factory=list)

    def login(self) -> Sql:
        return login(self.dtrove, self.id)

    def write(self, count: int) -> None:
        """Rows, each in a transaction of its own, more than a second apart, by the clock of the server that writes them."""
        client = self.login()
        for _ in range(count):
            client.rows(f"INSERT INTO shop.ticks VALUES ({len(self.moments) + 1})")
            ((at,),) = client.rows("SELECT UTC_TIMESTAMP(6)")
            self.moments.append(at.replace(microsecond=0, tzinfo=UTC) + timedelta(seconds=1))
            client.rows("SELECT SLEEP(1.2)")
        client.close()

    @property
    def latest(self) -> datetime | None:
        there = self.dtrove.get(f"/v1/clusters/{self.id}")["restorable"]
        return None if there is None else datetime.fromisoformat(there["latest"])

    def kept_until(self, moment: datetime) -> None:
        """Wait until the log is kept so far: files are closed after a minute, by the looks alone."""

        def so_far() -> bool:
            latest = self.latest
            return latest is not None and latest > moment

        wait_for(so_far, 240, every=1.0, what=f"a log that is kept until {moment}")


@pytest.fixture(scope="module")
def shop(dtrove: Installation) -> Shop:
    """Rows before a switchover and after it; the log of all of them is kept. A procedure and a user come by the log, too."""
    cluster, operation = dtrove.create("shop", datastore=MARIADB, size=2, volume_gb=1)
    succeeded(dtrove, operation)
    made = Shop(dtrove, cluster)
    client = made.login()
    client.rows("CREATE DATABASE shop")
    client.rows("CREATE TABLE shop.ticks (id bigint PRIMARY KEY)")
    client.close()
    answer = dtrove.ask("POST", f"/v1/clusters/{cluster}/backups", {})
    assert answer.status_code == 202, answer.text
    succeeded(dtrove, answer.json()["id"])
    client = made.login()
    client.rows(
        "CREATE PROCEDURE shop.many() BEGIN DECLARE n INT DEFAULT 0; WHILE n < 10 DO SET n = n + 1; END WHILE; END"
    )
    client.rows("CREATE USER visitor@'%' IDENTIFIED BY 'a visitor of the shop'")
    client.rows("CREATE TABLE shop.notes (id int PRIMARY KEY, words longblob)")
    client.rows("INSERT INTO shop.notes VALUES (1, REPEAT('\\0\\r\\n/*!*/; \\\\! id\\n', 200000))")
    client.close()
    made.write(ROWS)
    answer = dtrove.ask("POST", f"/v1/clusters/{cluster}/switchover", {})
    assert answer.status_code == 202, answer.text
    succeeded(dtrove, answer.json()["id"])
    made.write(ROWS)
    made.kept_until(made.moments[-1] + timedelta(seconds=1))
    return made


def login(dtrove: Installation, cluster: str) -> Sql:
    """At the node that takes writes."""
    known = dtrove.get(f"/v1/clusters/{cluster}/credentials")
    place = dtrove.get(f"/v1/clusters/{cluster}")["endpoint"]["primary"]
    client = Sql(f"mysql://{known['username']}:{known['password']}@{place['host']}:{place['port']}")
    client.rows("SET autocommit = 1")
    return client


def succeeded(dtrove: Installation, operation: str) -> dict[str, Any]:
    ended = dtrove.end_of(operation, 400)
    assert ended["status"] == "succeeded", "\n".join(str(one) for one in (ended["problem"] or {}).values())
    return ended


def as_of(shop: Shop, name: str, moment: datetime, **wish: Any) -> str:
    """A cluster as of a moment."""
    cluster, operation = shop.dtrove.create(name, datastore=MARIADB, volume_gb=1, **wish,
                                            restore={"cluster": shop.id, "time": moment.isoformat()})  # fmt: skip
    succeeded(shop.dtrove, operation)
    return cluster


def has(dtrove: Installation, cluster: str) -> list[int]:
    """The rows of a cluster, which takes writes, logs them, and is as whole as the one that it came from."""
    client = login(dtrove, cluster)
    found = [int(number) for (number,) in client.rows("SELECT id FROM shop.ticks ORDER BY id")]
    assert list(client.rows("SELECT words = REPEAT('\\0\\r\\n/*!*/; \\\\! id\\n', 200000) FROM shop.notes")) == [(1,)]
    assert list(client.rows("SELECT User FROM mysql.user WHERE User = 'visitor'")) == [("visitor",)]
    assert list(client.rows("SELECT @@log_bin, @@skip_networking, @@read_only")) == [(1, 0, 0)]
    client.rows("INSERT INTO shop.ticks VALUES (1000000)")
    client.close()
    return found


@pytest.mark.parametrize("number", [1, ROWS + 3])
def test_a_second_has_exactly_what_was_begun_before_it_on_either_side_of_a_switchover(shop: Shop, number: int) -> None:
    cluster = as_of(shop, f"as-of-{number}", shop.moments[number - 1])
    assert has(shop.dtrove, cluster) == list(range(1, number + 1))
    shop.dtrove.remove(cluster)


def test_a_moment_after_which_nothing_was_committed_has_all_of_it_also_on_a_replica(shop: Shop) -> None:
    silent = datetime.now(UTC)
    wait_for(lambda: (shop.latest or silent) > silent, 240, every=1.0, what="a look that vouches for a silent database")
    cluster = as_of(shop, "silent", silent, size=2)
    assert has(shop.dtrove, cluster) == list(range(1, 2 * ROWS + 1))
    shop.dtrove.remove(cluster)


def test_a_cluster_that_was_restored_keeps_a_log_of_its_own(shop: Shop) -> None:
    again = Shop(shop.dtrove, as_of(shop, "again", shop.moments[ROWS - 1]), list(shop.moments[:ROWS]))
    answer = shop.dtrove.ask("POST", f"/v1/clusters/{again.id}/backups", {})
    succeeded(shop.dtrove, answer.json()["id"])
    again.write(3)
    again.kept_until(again.moments[-1] + timedelta(seconds=1))
    cluster = as_of(again, "once-more", again.moments[ROWS + 1])
    assert has(shop.dtrove, cluster) == list(range(1, ROWS + 3))
    shop.dtrove.remove(cluster, again.id)
