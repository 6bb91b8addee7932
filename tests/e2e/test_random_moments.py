"""Random moments between backups, on real hosts: each is restored, and has exactly the state of then. `make faults` tries 50."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e import test_point_in_time as pgsql
from tests.e2e import test_point_in_time_mariadb as mariadb
from tests.e2e.ledgers import Ledger
from tests.support.clients import Sql
from tests.support.faults import exactly
from tests.support.golden import gild
from tests.support.installation import Installation

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(7200), pytest.mark.fault(22)]

SEED = 20261130
# So many transactions before a switchover, and as many after it; so many clusters are restored side by side.
HALF, AT_ONCE = 150, 3
# By the server's clock, whatever the session's time zone.
SECOND = "SELECT UNIX_TIMESTAMP(SYSDATE())"
WORDS = "random moments between two backups whose restored state was another one"


@pytest.fixture(scope="module")
def dtrove(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation that looks for finished pieces all the time."""
    with Installation(tmp_path_factory.mktemp("random"), DTROVE_ARCHIVE_SECONDS="1") as made:
        gild(made)
        yield made


def begin(dtrove: Installation, name: str, datastore: str, succeeded: Callable[[Installation, str], Any]) -> str:
    """A cluster of two nodes."""
    cluster, operation = dtrove.create(name, datastore=datastore, size=2, volume_gb=1)
    succeeded(dtrove, operation)
    return cluster


def ask(dtrove: Installation, cluster: str, what: str, succeeded: Callable[[Installation, str], Any]) -> None:
    answer = dtrove.ask("POST", f"/v1/clusters/{cluster}/{what}", {})
    assert answer.status_code == 202, answer.text
    succeeded(dtrove, answer.json()["id"])


def wrong(
    dtrove: Installation, ledger: Ledger, moments: list[float], restore: Callable[[str, datetime], tuple[str, str]],
    succeeded: Callable[[Installation, str], Any], login: Callable[[str], Sql],
) -> list[float]:  # fmt: skip
    """The moments whose restored table is not what it was then."""
    bad = list[float]()
    for begun in range(0, len(moments), AT_ONCE):
        some = moments[begun : begun + AT_ONCE]
        made = [restore(f"at-{begun + one}", datetime.fromtimestamp(moment, UTC)) for one, moment in enumerate(some)]
        for moment, (cluster, operation) in zip(some, made, strict=True):
            succeeded(dtrove, operation)
            client = login(cluster)
            found = {int(one): int(amount) for one, amount in client.rows(ledger.read)}
            client.close()
            if found != ledger.as_of(moment):
                bad.append(moment)
        dtrove.remove(*(cluster for cluster, _ in made))
    return bad


def test_random_moments_of_postgresql_have_exactly_the_state_of_then(
    dtrove: Installation, times: Callable[[int, int], int], figure: Callable[..., None]
) -> None:
    shop = pgsql.Shop(dtrove, begin(dtrove, "moments", "pgsql 15", pgsql.succeeded))
    ledger = Ledger(random.Random(SEED))
    client = shop.login()
    client.rows(ledger.create)
    client.close()
    ask(dtrove, shop.id, "backups", pgsql.succeeded)
    shop.kept_until(datetime.now(UTC))
    for half in range(2):
        if half:
            ask(dtrove, shop.id, "switchover", pgsql.succeeded)
        client = shop.login()
        for _ in range(HALF):
            ((before,),) = client.rows("SELECT clock_timestamp() FROM pg_sleep(0.02)")
            client.rows(ledger.change())
            ((after,),) = client.rows("SELECT clock_timestamp()")
            ledger.noted(before.timestamp(), after.timestamp())
        client.close()
    shop.kept_until(datetime.fromtimestamp(ledger.ends[-1], UTC) + timedelta(seconds=1))
    count = times(1, 50)
    moments = ledger.moments(count)
    bad = wrong(dtrove, ledger, moments, lambda name, moment: pgsql.wanted(shop, name, moment), pgsql.succeeded,
                lambda cluster: Sql(pgsql.url(dtrove, cluster)))  # fmt: skip
    figure(22, f"pgsql: {WORDS}", count, len(bad), "", exactly(0))
    assert bad == []
    dtrove.remove(shop.id)


def test_random_moments_of_mariadb_have_exactly_what_was_begun_before_their_second(
    dtrove: Installation, times: Callable[[int, int], int], figure: Callable[..., None]
) -> None:
    """Its log has the second in which a statement began: so each is there from the beginning of the next second on."""
    shop = mariadb.Shop(dtrove, begin(dtrove, "seconds", mariadb.MARIADB, mariadb.succeeded))
    ledger = Ledger(random.Random(SEED), name="shop.ledger")
    client = shop.login()
    client.rows("CREATE DATABASE shop")
    client.rows(ledger.create)
    client.close()
    ask(dtrove, shop.id, "backups", mariadb.succeeded)
    for half in range(2):
        if half:
            ask(dtrove, shop.id, "switchover", mariadb.succeeded)
        client = shop.login()
        for _ in range(HALF):
            client.rows("SELECT SLEEP(0.1)")
            ((before,),) = client.rows(SECOND)
            client.rows(ledger.change())
            ((after,),) = client.rows(SECOND)
            ledger.noted(int(before) + 1, int(after) + 1)
        client.close()
    last = datetime.fromtimestamp(ledger.ends[-1], UTC)
    shop.kept_until(last + timedelta(seconds=1))
    count = times(1, 50)
    moments = ledger.moments(count, digits=0)

    def restore(name: str, moment: datetime) -> tuple[str, str]:
        return dtrove.create(name, datastore=mariadb.MARIADB, volume_gb=1,
                             restore={"cluster": shop.id, "time": moment.isoformat()})  # fmt: skip

    bad = wrong(dtrove, ledger, moments, restore, mariadb.succeeded, lambda cluster: mariadb.login(dtrove, cluster))
    figure(22, f"mysql: {WORDS}", count, len(bad), "", exactly(0))
    assert bad == []
    dtrove.remove(shop.id)
