"""A new cluster gets a schedule, once, and loses its schedules when it goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.scheduler.actions import beginning, schedules
from services.scheduler.settings import Settings
from shared.clock import ManualClock
from shared.contracts.api import ClusterRequested, ScheduleRequested
from shared.contracts.datastore_agentless import ClusterActive, ClusterDeleted
from shared.contracts.scheduler import ScheduleRemoved, ScheduleSet
from shared.contracts.schedules import Retention, Terms
from shared.contracts.values import Address, DatastoreRef, Endpoint, Flavor
from shared.cron import spread
from shared.db import Database
from tests.support.outbox import said

SETTINGS = Settings(database_url="", amqp_uri="")
PLACE = Endpoint(primary=Address(host="10.0.0.1", port=5432), url="postgresql://x")
SMALL = Flavor(id="small", name="small", vcpus=1, ram_mb=1024, disk_gb=10)


def request(database: Database, cluster: str, manager: str = "pgsql", settings: Settings = SETTINGS) -> None:
    datastore = DatastoreRef(id="d", manager=manager, version="15", image="debian-12")
    wish = ClusterRequested(cluster_id=cluster, operation_id="o", project_id="p1", name="shop", size=1, instances=(),
                            datastore=datastore, flavor=SMALL)  # fmt: skip
    beginning.requested(database, wish, settings)


def activate(database: Database, cluster: str, settings: Settings = SETTINGS) -> None:
    beginning.active(database, ClusterActive(cluster_id=cluster, operation_id="o", endpoint=PLACE), settings)


def test_a_new_cluster_is_backed_up_each_night_for_a_week(database: Database) -> None:
    request(database, "c1")
    assert said(database, ScheduleSet) == []
    activate(database, "c1")
    (told,) = said(database, ScheduleSet)
    minute, hour, *rest = told.terms.cron.split()
    assert (int(hour) < 6, rest) == (True, ["*", "*", "*"])
    assert told.terms == Terms(cron=f"{minute} {hour} * * *", retention=Retention(days=7))
    assert (told.cluster_id, told.project_id, told.version) == ("c1", "p1", 0)


def test_whichever_word_comes_last_gives_it_and_none_gives_it_twice(database: Database) -> None:
    activate(database, "c1")
    request(database, "c1")
    activate(database, "c1")
    assert len(schedules.of_cluster(database, "c1")) == 1


def test_who_deletes_it_does_not_get_it_again(database: Database) -> None:
    request(database, "c1")
    activate(database, "c1")
    schedules.remove(database, schedules.of_cluster(database, "c1")[0].id)
    activate(database, "c1")
    assert schedules.of_cluster(database, "c1") == []


def test_clusters_have_times_of_their_own_all_over_the_night(database: Database) -> None:
    for number in range(200):
        request(database, f"c{number}")
        activate(database, f"c{number}")
    crons = {one.terms.cron for one in said(database, ScheduleSet)}
    assert len(crons) > 100
    assert {cron.split()[1] for cron in crons} == set("012345")


def test_a_cluster_that_is_made_at_night_is_left_alone_for_hours(database: Database, clock: ManualClock) -> None:
    clock.advance((datetime(2026, 3, 29, 0, 0, tzinfo=UTC) - clock.now()).total_seconds())
    for number in range(50):
        request(database, f"c{number}")
        activate(database, f"c{number}")
    for one in said(database, ScheduleSet):
        assert one.next_at >= clock.now() + timedelta(hours=2)
        assert (one.next_at - spread(one.schedule_id)).hour < 6


@pytest.mark.parametrize(
    ("manager", "settings"),
    [
        ("my.package.MyManager", SETTINGS),
        ("pgsql", Settings(database_url="", amqp_uri="", backup_days=0)),
    ],
)
def test_none_is_given_where_the_installation_or_the_manager_has_none(
    database: Database, manager: str, settings: Settings
) -> None:
    request(database, "c1", manager, settings)
    activate(database, "c1", settings)
    assert schedules.of_cluster(database, "c1") == []


def test_a_night_is_where_the_installation_says(database: Database) -> None:
    tokyo = Settings(database_url="", amqp_uri="", backup_timezone="Asia/Tokyo", backup_days=30)
    request(database, "c1", settings=tokyo)
    activate(database, "c1", tokyo)
    (told,) = said(database, ScheduleSet)
    assert (told.terms.timezone, told.terms.retention.days) == ("Asia/Tokyo", 30)
    # Midnight there is 15:00 UTC.
    assert 15 <= (told.next_at - spread(told.schedule_id)).hour < 21


def test_a_deleted_cluster_has_no_schedules_and_gets_none(database: Database) -> None:
    schedules.add(database, "c1", "p1", "0 * * * *", "UTC", "full", "s1")
    beginning.deleted(database, ClusterDeleted(cluster_id="c1", operation_id="o1"))
    assert schedules.of_cluster(database, "c1") == []
    assert [one.schedule_id for one in said(database, ScheduleRemoved)] == ["s1"]
    request(database, "c1")
    activate(database, "c1")
    late = ScheduleRequested(
        schedule_id="s2", cluster_id="c1", project_id="p1", version=1, terms=Terms(cron="0 3 * * *")
    )
    schedules.want(database, late)
    assert schedules.of_cluster(database, "c1") == []
    assert [one.schedule_id for one in said(database, ScheduleRemoved)] == ["s1", "s2"]
