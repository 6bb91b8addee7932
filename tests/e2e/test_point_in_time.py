"""Moments between backups, on real hosts: rows that are written one by one, a switchover among them, and clusters as of any moment."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.clients import Sql
from tests.support.golden import gild
from tests.support.installation import Installation, wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow]

ROWS = 50
# What the engine is told for a restore, and must know nothing of afterwards.
TOLD = ("restore_command", "recovery_target_time", "recovery_target_timeline")
SEED = 20261130


@pytest.fixture(scope="module")
def dtrove(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation that looks for finished segments all the time."""
    with Installation(tmp_path_factory.mktemp("moments"), DTROVE_ARCHIVE_SECONDS="1") as made:
        gild(made)
        yield made


@dataclass
class Shop:
    """A cluster with a backup; `moments` says of each row when it was written: after the first time, and by the second."""

    dtrove: Installation
    id: str
    moments: list[tuple[datetime, datetime]] = field(default_factory=list)

    def login(self) -> Sql:
        return Sql(url(self.dtrove, self.id))

    def write(self, count: int) -> None:
        """Rows, each in a transaction of its own, by the clock of the server that writes them."""
        client = self.login()
        for _ in range(count):
            number = len(self.moments) + 1
            ((before,),) = client.rows(f"INSERT INTO ticks VALUES ({number}) RETURNING clock_timestamp()")
            ((after,),) = client.rows("SELECT clock_timestamp() FROM pg_sleep(0.01)")
            self.moments.append((before, after))
        client.close()

    def finish(self) -> None:
        """Have the engine finish the segment that it writes, with something in it that is no row."""
        client = self.login()
        client.rows("CREATE TABLE IF NOT EXISTS noise (id int)")
        client.rows("INSERT INTO noise VALUES (1)")
        client.rows("SELECT pg_switch_wal()")
        client.close()

    @property
    def latest(self) -> datetime | None:
        there = self.dtrove.get(f"/v1/clusters/{self.id}")["restorable"]
        return None if there is None else datetime.fromisoformat(there["latest"])

    def kept_until(self, moment: datetime) -> None:
        """Wait until the log is kept so far."""

        def so_far() -> bool:
            self.finish()
            latest = self.latest
            return latest is not None and latest > moment

        wait_for(so_far, 120, every=1.0, what=f"a log that is kept until {moment}")

    def between(self, number: int) -> datetime:
        """A moment when row `number` was there, and the next one was not."""
        by, after = self.moments[number - 1][1], self.moments[number][0]
        return by + (after - by) / 2


@pytest.fixture(scope="module")
def shop(dtrove: Installation) -> Shop:
    """Rows before a switchover and after it; the log of all of them is kept."""
    cluster, operation = dtrove.create("shop", size=2, volume_gb=1)
    succeeded(dtrove, operation)
    made = Shop(dtrove, cluster)
    client = made.login()
    client.rows("CREATE TABLE ticks (id bigint PRIMARY KEY)")
    client.close()
    answer = dtrove.ask("POST", f"/v1/clusters/{cluster}/backups", {})
    assert answer.status_code == 202, answer.text
    succeeded(dtrove, answer.json()["id"])
    made.kept_until(datetime.now(UTC))
    made.write(ROWS)
    answer = dtrove.ask("POST", f"/v1/clusters/{cluster}/switchover", {})
    assert answer.status_code == 202, answer.text
    succeeded(dtrove, answer.json()["id"])
    made.write(ROWS)
    made.kept_until(made.moments[-1][1] + timedelta(seconds=1))
    return made


def url(dtrove: Installation, cluster: str) -> str:
    """Of the node that takes writes."""
    login = dtrove.get(f"/v1/clusters/{cluster}/credentials")
    place = dtrove.get(f"/v1/clusters/{cluster}")["endpoint"]["primary"]
    return f"postgresql://{login['username']}:{login['password']}@{place['host']}:{place['port']}"


def succeeded(dtrove: Installation, operation: str) -> dict[str, Any]:
    ended = dtrove.end_of(operation, 300)
    assert ended["status"] == "succeeded", "\n".join(str(one) for one in (ended["problem"] or {}).values())
    return ended


def wanted(shop: Shop, name: str, moment: datetime) -> tuple[str, str]:
    """A cluster of one node as of a moment, and what makes it."""
    return shop.dtrove.create(name, volume_gb=1, restore={"cluster": shop.id, "time": moment.isoformat()})


def has(dtrove: Installation, cluster: str) -> list[int]:
    """The rows of a cluster, which takes writes, and keeps nothing of how it came to them."""
    client = Sql(url(dtrove, cluster))
    found = [int(number) for (number,) in client.rows("SELECT id FROM ticks ORDER BY id")]
    settings = client.rows(
        f"SELECT name, setting FROM pg_settings WHERE name IN {TOLD} AND setting NOT IN ('', 'latest')"
    )
    beside = {name for (name,) in client.rows("SELECT pg_ls_dir(current_setting('data_directory') || '/..')")}
    assert settings == []
    assert not {one for one in beside if one.endswith((".log", ".restored", ".restoring", ".said"))}, beside
    client.rows("INSERT INTO ticks VALUES (1000000)")
    client.close()
    return found


def test_any_moment_has_exactly_what_was_committed_by_then_before_a_switchover_and_after_it(shop: Shop) -> None:
    chosen = random.Random(SEED)
    numbers = (1, chosen.randrange(2, ROWS), ROWS, chosen.randrange(ROWS + 1, 2 * ROWS))
    made = {number: wanted(shop, f"as-of-{number}", shop.between(number)) for number in numbers}
    for number, (cluster, operation) in made.items():
        succeeded(shop.dtrove, operation)
        assert has(shop.dtrove, cluster) == list(range(1, number + 1))
        shown = shop.dtrove.get(f"/v1/clusters/{cluster}")
        assert datetime.fromisoformat(shown["restored_to"]) == shop.between(number)
    shop.dtrove.remove(*(cluster for cluster, _ in made.values()))


def test_a_moment_after_which_nothing_was_committed_has_all_of_it(shop: Shop) -> None:
    """Nothing is written any more: the next looks vouch for what there is, and no segment has a transaction past the moment."""
    silent = datetime.now(UTC)
    wait_for(lambda: (shop.latest or silent) > silent, 150, every=1.0, what="a look that vouches for a silent database")
    cluster, operation = wanted(shop, "silent", silent)
    succeeded(shop.dtrove, operation)
    assert has(shop.dtrove, cluster) == list(range(1, 2 * ROWS + 1))
    shop.dtrove.remove(cluster)


def test_what_is_out_of_reach_is_refused_and_the_range_is_said(shop: Shop) -> None:
    for moment, words in (
        (datetime.now(UTC) + timedelta(hours=1), "latest"),
        (datetime(2020, 1, 1, tzinfo=UTC), "earliest"),
    ):
        body = {"name": "never", "datastore": "pgsql 15", "volume_gb": 1,
                "restore": {"cluster": "shop", "time": moment.isoformat()}}  # fmt: skip
        refused = shop.dtrove.ask("POST", "/v1/clusters", body)
        assert (refused.status_code, words in refused.json()["errors"][0]["reason"]) == (422, True), refused.text


def test_a_cluster_that_is_gone_comes_back_as_of_a_moment(shop: Shop) -> None:
    shop.dtrove.remove(shop.id)
    cluster, operation = wanted(shop, "shop", shop.between(ROWS + 7))
    succeeded(shop.dtrove, operation)
    assert has(shop.dtrove, cluster) == list(range(1, ROWS + 8))
    shop.dtrove.remove(cluster)
