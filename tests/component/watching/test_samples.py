"""A day of numbers that the watch keeps of nodes, on both engines."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import select

from services.datastore_agentless.actions import samples
from services.datastore_agentless.store import health, tables
from services.datastore_agentless.store import samples as store
from shared.clock import ManualClock
from shared.db import Database
from tests.component.watching.conftest import Looks, serve, turn, watch

MINUTE = 60.0


def kept(database: Database) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(select(tables.samples).order_by(tables.samples.c.at)).all())


def test_a_sample_is_kept_of_each_node_about_every_ten_minutes(
    database: Database, clock: ManualClock, looks: Looks
) -> None:
    serve(database, "a", nodes=2)
    one = watch(database, looks)
    one.tick()
    for _ in range(25):
        turn(one, clock, MINUTE)
    of = [row.at for row in kept(database) if row.instance_id == "a-0"]
    assert len(of) == len(kept(database)) / 2 == 3
    assert {one.measured["load"] for one in kept(database)} == {0.5}
    told = samples(database, "a")
    assert [(node["instance"], len(node["samples"])) for node in told] == [("a-0", 3), ("a-1", 3)]
    assert told[0]["samples"][0] == {"at": of[0].isoformat(), "load": 0.5}


def test_the_sample_of_a_day_ago_makes_room_and_is_told_of_no_more(
    database: Database, clock: ManualClock, looks: Looks
) -> None:
    serve(database, "a")
    one = watch(database, looks)
    one.tick()
    turn(one, clock, MINUTE)
    (first,) = kept(database)
    clock.advance(timedelta(days=1).total_seconds() - 20 * MINUTE)
    turn(one, clock)
    assert kept(database)[0].at == first.at
    turn(one, clock, 20 * MINUTE)
    assert [first.id in row.id for row in kept(database)].count(True) == 1
    assert first.at not in [row.at for row in kept(database)]
    assert len(samples(database, "a")[0]["samples"]) == 2


def test_samples_go_with_their_cluster_and_those_of_nodes_that_are_gone_with_their_day(
    database: Database, clock: ManualClock, looks: Looks
) -> None:
    serve(database, "a", "b")
    one = watch(database, looks)
    one.tick()
    turn(one, clock, MINUTE)
    assert len(kept(database)) == 2
    with database.write() as tx:
        health.forget_cluster(tx, "a")
    assert [row.cluster_id for row in kept(database)] == ["b"]
    clock.advance(timedelta(days=1).total_seconds() + 1)
    assert (samples(database, "b"), store.forget_old(database), kept(database)) == ([], 1, [])
