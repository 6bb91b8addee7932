"""Parameters of running clusters in datastore_agentless's own tables, on both engines, over hosts in memory."""

from __future__ import annotations

import pytest

from services.datastore_agentless import actions
from services.datastore_agentless.parameter_plans import plan_change
from services.datastore_agentless.store import clusters, parameters
from shared.contracts.api import ClusterRestartRequested
from shared.db import Database
from tests.component.hosts.tunable import UNREADABLE, UNSTARTABLE, Tuning
from tests.component.hosts.wishes import goodbye, more, up

FILE, READ, START, STOP = "write postgresql.conf", "read the configuration again", "start postgresql", "stop postgresql"
ALL = ("c-0", "c-1", "c-2")
# What a database of its own kind makes no difference to.
on_one_engine = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)


@pytest.fixture
def tuning(database: Database) -> Tuning:
    """A cluster of three nodes, which serves."""
    made = Tuning(database)
    made.serve()
    return made


def everywhere(value: str) -> dict[str, str]:
    return dict.fromkeys(ALL, value)


@on_one_engine
def test_the_first_node_of_a_version_tells_what_parameters_there_are(tuning: Tuning) -> None:
    (told,) = tuning.said_of_all("parameters.defined")
    by_name = {one["name"]: one for one in told["definitions"]}
    assert (told["datastore_id"], told["engine"]) == ("ds", "15.0")
    assert (by_name["work_mem"]["restart"], by_name["work_mem"]["unit"]) == (False, "kB")
    assert (by_name["max_connections"]["restart"], by_name["max_connections"]["standby"]) == (True, True)
    assert "program" in by_name["archive_command"]["refused"]


def test_a_live_parameter_is_tried_on_a_replica_first_and_reaches_the_primary_last(tuning: Tuning) -> None:
    tuning.tune({"work_mem": "8MB"})
    tuning.settle()
    assert tuning.ended()["status"] == "succeeded"
    assert tuning.engines.of(READ) == ["c-1", "c-2", "c-0"]
    assert tuning.live("work_mem") == everywhere("8MB")
    assert tuning.states("work_mem") == everywhere("live")
    assert tuning.engines.of(STOP) == []
    assert tuning.cluster().parameters == {"work_mem": "8MB"}


@on_one_engine
def test_the_same_again_writes_nothing_tells_nothing_and_restarts_nothing(tuning: Tuning) -> None:
    wanted = {"work_mem": "8MB", "shared_buffers": "64MB"}
    tuning.tune(wanted, restart=True)
    tuning.settle()
    tuning.tune(wanted, "again", restart=True)
    tuning.settle()
    assert tuning.ended("again")["status"] == "succeeded"
    assert [told for told in tuning.engines.told if told[1] in (FILE, READ, STOP)] == []


@on_one_engine
def test_what_an_engine_does_not_take_is_taken_back_and_reaches_nobody_else(tuning: Tuning) -> None:
    tuning.tune({"work_mem": UNREADABLE})
    tuning.settle()
    ended = tuning.ended()
    assert ended["status"] == "failed"
    assert "13MB is too odd" in ended["problem"]["message"]
    assert set(tuning.engines.of(FILE)) == {"c-1"}
    assert tuning.live("work_mem") == everywhere("4096")
    assert tuning.cluster().parameters == {}
    # And what is asked for next begins from there.
    tuning.tune({"work_mem": "8MB"}, "next", version=2)
    tuning.settle()
    assert tuning.live("work_mem") == everywhere("8MB")


@on_one_engine
def test_what_wants_a_restart_waits_for_one_and_is_seen_to_have_had_it(tuning: Tuning) -> None:
    tuning.tune({"shared_buffers": "64MB"})
    tuning.settle()
    assert tuning.states("shared_buffers") == everywhere("restart")
    assert tuning.live("shared_buffers") == everywhere("128MB")
    assert tuning.engines.of(STOP) == []
    # A later change does not forget it.
    tuning.tune({}, "reset", version=2)
    tuning.settle()
    assert tuning.states("shared_buffers", "reset") == everywhere("live")


@on_one_engine
def test_a_restart_at_once_goes_from_node_to_node_the_primary_last(tuning: Tuning) -> None:
    held: list[str] = []
    tuning.fleet.meanwhile[STOP] = lambda: held.append(tuning.in_hand())
    tuning.tune({"max_connections": "200", "work_mem": "8MB"}, restart=True)
    tuning.settle()
    assert tuning.ended()["status"] == "succeeded"
    # The watch lets it be meanwhile, and no longer.
    assert (held, tuning.in_hand()) == (["c-1"], "")
    assert tuning.engines.of(STOP) == ["c-1", "c-2", "c-0"]
    assert tuning.live("max_connections") == everywhere("200")
    assert tuning.states("max_connections") == everywhere("live")
    assert tuning.fleet.writers == ["c-0"]


@on_one_engine
def test_what_replicas_need_as_much_of_as_their_primary_is_lowered_at_the_primary_first(tuning: Tuning) -> None:
    tuning.tune({"max_connections": "200"}, restart=True)
    tuning.settle()
    tuning.tune({}, "lower", version=2, restart=True)
    tuning.settle()
    assert tuning.engines.of(STOP) == ["c-0", "c-1", "c-2"]
    assert tuning.live("max_connections") == everywhere("100")


@on_one_engine
def test_an_engine_that_does_not_start_gets_its_old_file_back_and_nobody_else_is_touched(tuning: Tuning) -> None:
    tuning.tune({"shared_buffers": UNSTARTABLE}, restart=True)
    tuning.settle()
    ended = tuning.ended()
    assert ended["status"] == "failed"
    assert "c-1 does not start with these parameters" in ended["problem"]["message"]
    assert "could not read pg_control" in ended["problem"]["stderr"]
    assert set(tuning.engines.of(FILE)) == set(tuning.engines.of(STOP)) == {"c-1"}
    assert tuning.fleet["c-1"].runs
    assert tuning.live("shared_buffers") == everywhere("128MB")


@on_one_engine
@pytest.mark.parametrize("title", [STOP, START, FILE])
def test_a_worker_that_dies_on_the_way_is_taken_over_from_and_each_engine_restarts_once(
    tuning: Tuning, title: str
) -> None:
    def die() -> None:
        raise RuntimeError("killed")

    tuning.fleet.meanwhile[title] = die
    tuning.tune({"shared_buffers": "64MB"}, restart=True)
    tuning.settle()
    assert tuning.fleet.meanwhile == {}
    assert tuning.ended()["status"] == "succeeded"
    assert tuning.live("shared_buffers") == everywhere("64MB")
    assert sorted(tuning.engines.of(STOP)) in [sorted(ALL), sorted([*ALL, "c-1"])]


@on_one_engine
def test_a_cancel_takes_back_what_was_done(tuning: Tuning) -> None:
    tuning.fleet.meanwhile[FILE] = lambda: setattr(tuning.fleet["c-2"], "reachable", False)
    tuning.tune({"work_mem": "8MB"})
    tuning.settle(30)
    assert tuning.live("work_mem")["c-1"] == "8MB"
    tuning.fleet["c-2"].reachable = True
    tuning.cancel("tune")
    tuning.settle()
    assert tuning.ended()["status"] == "cancelled"
    assert tuning.live("work_mem") == everywhere("4096")
    assert tuning.cluster().parameters == {}


@on_one_engine
def test_a_node_that_is_added_later_has_them_from_its_first_start(tuning: Tuning) -> None:
    tuning.tune({"shared_buffers": "64MB", "work_mem": "8MB"}, restart=True)
    tuning.settle()
    assert actions.expect_nodes(tuning.database, more("c-3"))
    actions.prepare_node(tuning.database, up("c-3"))
    tuning.settle()
    assert tuning.live("shared_buffers")["c-3"] == tuning.live("shared_buffers")["c-0"] == "64MB"
    seen = tuning.said_of_all("parameters.seen")[-1]
    assert seen["nodes"][0]["instance_id"] == "c-3"
    assert seen["nodes"][0]["states"] == {"shared_buffers": "live", "work_mem": "live"}


@on_one_engine
def test_a_node_that_comes_back_has_what_was_changed_while_it_was_away(tuning: Tuning) -> None:
    tuning.fleet["c-0"].reachable = tuning.fleet["c-0"].runs = False
    tuning.fail_over()
    tuning.settle()
    tuning.fenced()
    tuning.settle()
    back = tuning.said("operation.begun")[0]["operation_id"]
    tuning.tune({"work_mem": "8MB"})
    tuning.settle()
    assert tuning.states("work_mem") == {"c-1": "live", "c-2": "live"}
    tuning.powered(back)
    tuning.settle()
    assert tuning.live("work_mem") == everywhere("8MB")


@on_one_engine
def test_a_restart_by_another_operation_ends_the_waiting(tuning: Tuning) -> None:
    tuning.tune({"shared_buffers": "64MB"})
    tuning.settle()
    event = ClusterRestartRequested(cluster_id="c", operation_id="roll", project_id="p")
    assert actions.request_roll(tuning.database, event)
    tuning.settle()
    states = {
        one["instance_id"]: one["states"] for event in tuning.said_of_all("parameters.seen") for one in event["nodes"]
    }
    assert states == {node: {"shared_buffers": "live"} for node in ALL}


def test_a_cluster_that_goes_takes_its_parameters_along(tuning: Tuning) -> None:
    tuning.fleet.meanwhile[READ] = lambda: actions.release_cluster(tuning.database, goodbye(nodes=3))
    tuning.tune({"work_mem": "8MB"})
    tuning.settle()
    assert tuning.ended()["status"] == "cancelled"
    assert tuning.engines.of(READ) == ["c-1"]


@on_one_engine
def test_a_plan_shows_the_difference_in_the_file_the_statements_and_what_restarts(tuning: Tuning) -> None:
    with tuning.database.read() as connection:
        cluster, there = clusters.cluster(connection, "c"), clusters.instances(connection, "c")
        known = parameters.definitions(connection, "ds")
    manager = tuning.hosts.manager(there[0])
    shown = plan_change(manager, cluster, there, {"work_mem": "8MB", "max_connections": "200"}, known, restart_now=True)
    assert [host["host"] for host in shown["hosts"]] == ["c-1", "c-2", "c-0"]
    (file,) = shown["hosts"][0]["files"]
    assert "+work_mem = '8MB'" in file["diff"].splitlines()
    assert shown["hosts"][0]["commands"][0]["command"] == "SELECT pg_reload_conf();"
    assert shown["restarts"] == [f"the engine of {name}, for max_connections" for name in ("c-1", "c-2", "c-0")]
    same = plan_change(manager, cluster, there, {}, known, restart_now=True)
    assert same["restarts"] == [host for host in same["hosts"] if host["files"] or host["commands"]] == []
