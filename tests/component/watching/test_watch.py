"""The watch over the service's own tables, on both engines: who looks when, what is held, what is announced."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from services.datastore_agentless.actions.clusters import forget_instance, release_cluster
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.health import Verdict
from services.datastore_agentless.domain.instance import Status
from services.datastore_agentless.domain.record import Record
from services.datastore_agentless.domain.roll import Action, Roll
from services.datastore_agentless.domain.roll import State as RollState
from services.datastore_agentless.domain.takeover import Kind, State, Takeover
from services.datastore_agentless.store import health, rolls, tables, takeovers
from services.datastore_agentless.watching import Hands
from shared.clock import ManualClock
from shared.contracts.api import ClusterDeleteRequested
from shared.contracts.provisioner import InstanceDeleted
from shared.db import Database, Tx
from shared.errors import Failure
from tests.component.hosts.wishes import at_once
from tests.component.watching.conftest import Looks, eventually, serve, turn, watch


def rows(database: Database, table: str) -> list[Any]:
    wanted = tables.metadata.tables[table]
    with database.read() as connection:
        return list(connection.execute(select(wanted).order_by(*wanted.primary_key)).all())


def said(database: Database, topic: str) -> list[dict[str, Any]]:
    t = database.outbox
    with database.read() as connection:
        bodies = connection.execute(select(t.c.body).where(t.c.routing_key == topic).order_by(t.c.id)).scalars().all()
    return [json.loads(body) for body in bodies]


def told(database: Database) -> list[tuple[str, str]]:
    """Nodes that were announced, with their verdicts, since the last time."""
    found = [(node["instance_id"], node["verdict"]) for one in said(database, "health.seen") for node in one["nodes"]]
    with database.write() as tx:
        tx.connection.execute(delete(database.outbox).where(database.outbox.c.routing_key == "health.seen"))
    return sorted(found)


def verdicts(database: Database) -> dict[str, str]:
    return {row.instance_id: row.verdict for row in rows(database, "health")}


def test_clusters_that_serve_are_looked_at_and_again_when_they_are_due(
    database: Database, clock: ManualClock, looks: Looks
) -> None:
    serve(database, "a", "b", nodes=2)
    serve(database, "c", status=ClusterStatus.FAILED)
    one = watch(database, looks)
    one.tick()
    turn(one, clock, 1)
    assert sorted(looks.looked) == ["a", "b"]
    assert verdicts(database) == {"a-0": "OK", "a-1": "OK", "b-0": "OK", "b-1": "OK"}
    assert told(database) == [("a-0", "OK"), ("a-1", "OK"), ("b-0", "OK"), ("b-1", "OK")]
    turn(one, clock, 8)
    assert len(looks.looked) == 2
    turn(one, clock, 3)
    assert sorted(looks.looked) == ["a", "a", "b", "b"]
    assert {row.seen_at for row in rows(database, "health")} == {clock.now()}
    assert {row.worker for row in rows(database, "watches")} == {""}


def test_only_nodes_that_are_ready_are_looked_at(database: Database, clock: ManualClock, looks: Looks) -> None:
    serve(database, "a", nodes=2)
    with database.write() as tx:
        change = update(tables.instances).where(tables.instances.c.id == "a-1")
        tx.connection.execute(change.values(status=Status.PREPARING))
    one = watch(database, looks)
    one.tick()
    turn(one, clock, 1)
    assert verdicts(database) == {"a-0": "OK"}


def test_a_worse_verdict_is_looked_at_again_within_a_second_and_then_announced(
    database: Database, clock: ManualClock, looks: Looks
) -> None:
    serve(database, "a", nodes=2)
    one = watch(database, looks)
    one.tick()
    turn(one, clock, 1)
    told(database)
    looks.verdicts["a-1"] = Verdict.DB_DOWN
    turn(one, clock, 11)
    assert verdicts(database) == {"a-0": "OK", "a-1": "OK"}
    assert [row.suspicion for row in rows(database, "health")] == ["", "DB_DOWN"]
    assert said(database, "cluster.degraded") == []
    assert told(database) == [("a-0", "OK")]
    turn(one, clock, 1.2)
    assert verdicts(database) == {"a-0": "OK", "a-1": "DB_DOWN"}
    # At once, and nobody else besides: a-0 was announced a second ago.
    assert told(database) == [("a-1", "DB_DOWN")]
    (degraded,) = said(database, "cluster.degraded")
    assert (degraded["cluster_id"], degraded["instance_id"], degraded["verdict"]) == ("a", "a-1", "DB_DOWN")
    assert degraded["message"] == "a-1 is DB_DOWN"
    looks.verdicts.clear()
    turn(one, clock, 1.2)
    assert verdicts(database) == {"a-0": "OK", "a-1": "OK"}
    assert [one["cluster_id"] for one in said(database, "cluster.recovered")] == ["a"]
    history = [(row.instance_id, row.verdict) for row in rows(database, "health_history")]
    assert history == [("a-0", "OK"), ("a-1", "OK"), ("a-1", "DB_DOWN"), ("a-1", "OK")]
    turn(one, clock, 11)
    assert len(said(database, "cluster.recovered")) == 1


def test_a_cluster_that_stays_bad_is_announced_once_and_looked_at_less_often_after_a_minute(
    database: Database, clock: ManualClock, looks: Looks
) -> None:
    serve(database, "a")
    looks.verdicts["a-0"] = Verdict.HOST_DOWN
    one = watch(database, looks)
    one.tick()
    for _ in range(60):
        turn(one, clock, 1.2)
    assert 45 < len(looks.looked) < 60
    before = len(looks.looked)
    for _ in range(20):
        turn(one, clock, 1.2)
    assert 1 <= len(looks.looked) - before <= 3
    assert len(said(database, "cluster.degraded")) == 1


def test_another_cause_is_announced_anew(database: Database, clock: ManualClock, looks: Looks) -> None:
    serve(database, "a")
    looks.verdicts["a-0"] = Verdict.HOST_DOWN
    one = watch(database, looks)
    one.tick()
    turn(one, clock, 1)
    looks.verdicts["a-0"] = Verdict.DISK_FULL
    turn(one, clock, 1.2)
    assert [each["verdict"] for each in said(database, "cluster.degraded")] == ["HOST_DOWN", "DISK_FULL"]


def test_two_workers_share_the_clusters_and_none_is_looked_at_twice_at_the_same_time(
    database: Database, clock: ManualClock, looks: Looks
) -> None:
    names = [f"c{number:02}" for number in range(40)]
    serve(database, *names)
    first, second = watch(database, looks, "w1"), watch(database, looks, "w2")
    at_once(first.tick, second.tick)
    clock.advance(11)
    looks.gate.clear()
    at_once(first.tick, second.tick)
    eventually(lambda: len(looks.looked) == 40)
    assert sorted(looks.looked) == names
    assert first.busy + second.busy == 40
    looks.gate.set()
    for one in (first, second):
        eventually(lambda one=one: len(one._seen) == one.busy)
        one.flush()
    assert looks.most_at_once == 1
    assert len(verdicts(database)) == 40


def test_the_lease_of_a_dead_worker_runs_out_and_its_late_result_is_dropped(
    database: Database, clock: ManualClock, looks: Looks
) -> None:
    serve(database, "a")
    dead, alive = watch(database, looks, "dead"), watch(database, looks, "alive")
    dead.tick()
    clock.advance(1)
    looks.gate.clear()
    dead.tick()
    eventually(lambda: looks.looked == ["a"])
    clock.advance(14)
    alive.tick()
    assert alive.busy == 0
    clock.advance(2)
    alive.tick()
    eventually(lambda: looks.looked == ["a", "a"])
    looks.verdicts["a-0"] = Verdict.DB_DOWN
    looks.gate.set()
    eventually(lambda: len(dead._seen) == 1)
    dead.flush()
    assert verdicts(database) == {}
    eventually(lambda: len(alive._seen) == 1)
    alive.flush()
    assert verdicts(database) == {"a-0": "DB_DOWN"}


def test_a_look_that_takes_long_keeps_its_lease(database: Database, clock: ManualClock, looks: Looks) -> None:
    serve(database, "a")
    one, other = watch(database, looks, "one"), watch(database, looks, "other")
    one.tick()
    clock.advance(1)
    looks.gate.clear()
    one.tick()
    for _ in range(10):
        clock.advance(6)
        one.tick()
        other.tick()
    assert looks.looked == ["a"]
    looks.gate.set()
    turn(one, clock)
    assert verdicts(database) == {"a-0": "OK"}


def test_a_worker_that_stops_leaves_its_clusters_to_others_at_once(
    database: Database, clock: ManualClock, looks: Looks
) -> None:
    serve(database, "a")
    one, other = watch(database, looks, "one"), watch(database, looks, "other")
    one.tick()
    clock.advance(1)
    looks.gate.clear()
    one.tick()
    one.stop()
    other.tick()
    eventually(lambda: looks.looked == ["a", "a"])
    looks.gate.set()


def test_clusters_whose_nodes_do_not_answer_keep_no_other_waiting(
    database: Database, clock: ManualClock, looks: Looks
) -> None:
    dead = [f"dead{number:03}" for number in range(120)]
    serve(database, *dead)
    looks.verdicts = {f"{name}-0": Verdict.HOST_DOWN for name in dead}
    one = watch(database, looks)
    one.tick()
    turn(one, clock, 11)
    assert sum(row.slow for row in rows(database, "watches")) == 120
    serve(database, "well")
    clock.advance(11)
    looks.gate.clear()
    one.tick()
    clock.advance(1)
    one.tick()
    eventually(lambda: "well" in looks.looked)
    # All hands for such clusters are busy, and some of them wait for a hand.
    assert one.busy == 96 + 1
    looks.gate.set()


def test_a_look_that_fails_lets_what_is_held_grow_old(database: Database, clock: ManualClock, looks: Looks) -> None:
    serve(database, "a")
    one = watch(database, looks)
    one.tick()
    turn(one, clock, 1)
    at = clock.now()

    def fails(*_: Any) -> Any:
        raise Failure("there is no such manager")

    one._look = fails
    turn(one, clock, 11)
    (row,) = rows(database, "health")
    assert (row.verdict, row.seen_at) == ("OK", at)
    (due,) = rows(database, "watches")
    assert due.due_at > clock.now()
    assert due.leased_until is None


def test_what_is_wrong_is_considered_with_the_cluster_held_and_an_error_there_stops_nothing(
    database: Database, clock: ManualClock, looks: Looks
) -> None:
    serve(database, "a", "b")
    considered: list[tuple[str, dict[str, str]]] = []

    def consider(tx: Tx, cluster_id: str, records: Mapping[str, Record]) -> None:
        considered.append((cluster_id, {name: one.verdict for name, one in records.items()}))
        tx.insert_new(tables.transcripts, operation_id=cluster_id, next=1, updated_at=clock.now())
        if cluster_id == "a":
            raise ValueError("a mistake")

    one = watch(database, looks, consider=consider)
    one.tick()
    turn(one, clock, 11)
    considered.clear()
    with database.write() as tx:
        tx.connection.execute(delete(tables.transcripts))
    turn(one, clock, 11)
    assert considered == []
    looks.verdicts = {"a-0": Verdict.DB_DOWN, "b-0": Verdict.DB_DOWN}
    turn(one, clock, 11)
    turn(one, clock, 1.2)
    assert [seen for name, seen in considered if name == "b"] == [{"b-0": "OK"}, {"b-0": "DB_DOWN"}]
    assert verdicts(database) == {"a-0": "DB_DOWN", "b-0": "DB_DOWN"}
    assert [row.operation_id for row in rows(database, "transcripts")] == ["b"]


def test_nothing_is_filed_of_a_cluster_in_the_middle_of_a_takeover(
    database: Database, clock: ManualClock, looks: Looks
) -> None:
    serve(database, "a", nodes=2)
    considered: list[str] = []
    one = watch(database, looks, consider=lambda tx, cluster_id, records: considered.append(cluster_id))
    one.tick()
    turn(one, clock, 1)
    told(database)
    considered.clear()
    before = rows(database, "health")
    moving = Takeover("move", "a", Kind.SWITCHOVER, "a-0", clock.now())
    with database.write() as tx:
        takeovers.add(tx, moving)
    # The primary takes no writes, and a replica follows nobody: that is as it is meant to be.
    looks.verdicts = {"a-0": Verdict.REPLICATION_BROKEN, "a-1": Verdict.DB_DOWN}
    for state in (State.PROVING, State.FENCING, State.TAKING):
        moving.become(state)
        with database.write() as tx:
            takeovers.save(tx, moving)
        looks.looked.clear()
        turn(one, clock, 11)
        turn(one, clock, 11)
        assert looks.looked == ["a", "a"]
        assert rows(database, "health") == before
        assert (told(database), said(database, "cluster.degraded"), considered) == ([], [], [])
    moving.become(State.ENDED)
    with database.write() as tx:
        takeovers.save(tx, moving)
    turn(one, clock, 11)
    turn(one, clock, 1.2)
    assert verdicts(database) == {"a-0": "REPLICATION_BROKEN", "a-1": "DB_DOWN"}
    assert considered == ["a", "a"]


def test_a_node_whose_engine_is_being_restarted_is_let_be_and_the_others_are_not(
    database: Database, clock: ManualClock, looks: Looks
) -> None:
    serve(database, "a", nodes=2)
    considered: list[set[str]] = []
    one = watch(database, looks, consider=lambda tx, cluster_id, records: considered.append(set(records)))
    one.tick()
    turn(one, clock, 1)
    told(database)
    considered.clear()
    roll = Roll("restart", "a", Action.RESTART, Action.RESTART, in_hand="a-1")
    with database.write() as tx:
        rolls.add(tx, roll)
    looks.verdicts = {"a-0": Verdict.HOST_DOWN, "a-1": Verdict.DB_DOWN}
    turn(one, clock, 11)
    turn(one, clock, 1.2)
    assert verdicts(database) == {"a-0": "HOST_DOWN", "a-1": "OK"}
    assert (told(database), said(database, "cluster.degraded")) == ([("a-0", "HOST_DOWN")], [])
    assert considered == [{"a-0"}, {"a-0"}]
    roll.state = RollState.ENDED
    with database.write() as tx:
        rolls.save(tx, roll)
    turn(one, clock, 11)
    turn(one, clock, 1.2)
    assert verdicts(database) == {"a-0": "HOST_DOWN", "a-1": "DB_DOWN"}
    assert [event["instance_id"] for event in said(database, "cluster.degraded")] == ["a-0"]


def test_what_is_held_of_a_node_goes_with_it_and_all_of_a_cluster_with_the_cluster(
    database: Database, clock: ManualClock, looks: Looks
) -> None:
    serve(database, "a", nodes=2)
    one = watch(database, looks)
    one.tick()
    turn(one, clock, 1)
    forget_instance(database, InstanceDeleted(instance_id="a-1", cluster_id="a", operation_id="o"))
    assert verdicts(database) == {"a-0": "OK"}
    looks.gate.clear()
    clock.advance(11)
    one.tick()
    release_cluster(
        database, ClusterDeleteRequested(cluster_id="a", operation_id="o", project_id="p", instance_ids=("a-0",))
    )
    forget_instance(database, InstanceDeleted(instance_id="a-0", cluster_id="a", operation_id="o"))
    for table in ("health", "health_history", "watches"):
        assert rows(database, table) == [], table
    # A look that was under way brings nothing back, whatever it has seen.
    looks.verdicts["a-0"] = Verdict.HOST_DOWN
    looks.gate.set()
    eventually(lambda: len(one._seen) == 1)
    one.flush()
    assert rows(database, "health") == []


@pytest.mark.parametrize("status", [ClusterStatus.DELETING, ClusterStatus.STOPPED])
def test_a_cluster_that_serves_no_more_is_not_looked_at(
    database: Database, clock: ManualClock, looks: Looks, status: ClusterStatus
) -> None:
    serve(database, "a")
    one = watch(database, looks)
    one.tick()
    turn(one, clock, 1)
    with database.write() as tx:
        tx.connection.execute(update(tables.clusters).values(status=status))
    turn(one, clock, 11)
    assert looks.looked == ["a"]
    assert rows(database, "watches") == []
    assert rows(database, "health") == []


def test_the_history_forgets_what_is_old_and_what_is_too_much(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "HISTORY_KEPT", 5)
    values = {"instance_id": "i", "verdict": "OK", "message": ""}
    with database.write() as tx:
        for number in range(8):
            for cluster in ("many", "few") if number < 3 else ("many",):
                tx.connection.execute(
                    insert(tables.health_history).values(cluster_id=cluster, at=clock.now(), **values)
                )
        old = clock.now() - timedelta(days=31)
        tx.connection.execute(insert(tables.health_history).values(cluster_id="few", at=old, **values))
    assert health.forget_old(database) == 4
    left = [row.cluster_id for row in rows(database, "health_history")]
    assert (left.count("many"), left.count("few")) == (5, 3)
    assert health.forget_old(database) == 0


def test_the_watch_runs_until_it_is_stopped(database: Database, looks: Looks) -> None:
    serve(database, "a")
    one = watch(database, looks)
    running = [one.run, lambda: (eventually(lambda: bool(one._enrol_at)), one.stop())]
    at_once(*running)
    assert one._stopping


def test_hands_do_everything_and_survive_an_error() -> None:
    def work(number: int) -> int:
        if number == 3:
            raise ValueError("unexpected")
        return number

    assert Hands(2, 2).each([lambda number=number: work(number) for number in range(6)]) == [0, 1, 2, None, 4, 5]
