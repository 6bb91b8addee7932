"""Parameter groups that clusters share, over HTTP; what the other services say is told by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.contracts import datastore_agentless as databases
from shared.contracts.base import new_id
from shared.contracts.operations import OperationEnded
from shared.contracts.values import Problem
from tests.component.api.test_parameters import KNOWN, asked, changed, last_wish, shown, wanted
from tests.component.api.test_scaling import nodes, serves, wished
from tests.support.api import Api

GROUPS = "/v1/parameter-groups"


@pytest.fixture
def group(api: Api) -> str:
    """A group for PostgreSQL, whose engine has said what parameters it has."""
    datastore = next(one["id"] for one in api.get("/v1/datastores")["datastores"] if one["manager"] == "pgsql")
    api.hear(databases.ParametersDefined(datastore_id=datastore, engine="15.7", definitions=KNOWN))
    body = {"name": "small", "datastore": "pgsql 15", "parameters": {"work_mem": "8 mb", "autovacuum": False}}
    made = api.ask("POST", GROUPS, body)
    assert made.status_code == 201, made.text
    return str(made.json["id"])


def serving(api: Api, name: str, size: int = 1, **wish: Any) -> str:
    """A cluster that serves."""
    cluster, operation = api.create(name, size=size, **wish)
    serves(api, cluster, operation, *nodes(api, cluster).values())
    return cluster


def altered(api: Api, group: str, values: dict[str, Any], query: str = "", method: str = "PATCH") -> Any:
    return api.ask(method, f"{GROUPS}/{group}{query}", {"parameters": values})


def standing(api: Api, group: str) -> dict[str, tuple[int, str]]:
    """The version that each cluster has of a group, and how it stands."""
    return {one["name"]: (one["version"], one["state"]) for one in api.get(f"{GROUPS}/{group}")["clusters"]}


def end(api: Api, cluster: str, status: str = "succeeded") -> None:
    """The operation that runs on a cluster comes to its end."""
    operation = api.get(f"/v1/clusters/{cluster}")["operation"]
    problem = Problem(step="try", message="its engine does not start") if status == "failed" else None
    api.hear(OperationEnded(cluster_id=cluster, operation_id=operation, status=status, problem=problem))


def take(api: Api, cluster: str, group: str | None, **values: Any) -> Any:
    body = {"parameter_group": group, **({"parameters": values} if values else {})}
    return api.ask("PATCH", f"/v1/clusters/{cluster}/parameters", body)


def test_a_cluster_runs_with_its_groups_parameters_and_its_own_go_before_them(api: Api, group: str) -> None:
    born = serving(api, "born", parameter_group="small", parameters={"work_mem": "16MB"})
    assert json.loads(wished(api, "cluster.requested")[-1].body)["parameters"] == {
        "autovacuum": "off",
        "work_mem": "16MB",
    }
    sources = {one["name"]: (one["value"], one["source"]) for one in shown(api, born)["parameters"]}
    assert sources == {"autovacuum": ("off", "group"), "work_mem": ("16MB", "cluster")}
    assert shown(api, born)["group"] == {"id": group, "name": "small", "version": 1, "newest": 1, "out_of_date": False}
    # What is unset of its own leads back to the group's, and a whole set of its own leaves the group.
    changed(api, born, {"work_mem": None})
    assert last_wish(api)["values"] == {"autovacuum": "off", "work_mem": "8MB"}
    changed(api, born, {"wal_compression": "pglz"}, "PUT")
    assert wanted(api, born) == {"autovacuum": "off", "wal_compression": "pglz", "work_mem": "8MB"}
    # Later taken, and taken away, in one change with something of its own.
    late = serving(api, "late")
    assert take(api, late, group, work_mem="4MB").status_code == 202
    end(api, late)
    assert wanted(api, late) == {"autovacuum": "off", "work_mem": "4MB"}
    assert standing(api, group) == {"born": (1, "applied"), "late": (1, "applied")}
    assert take(api, late, None).status_code == 202
    assert (wanted(api, late), shown(api, late)["group"]) == ({"work_mem": "4MB"}, None)


def test_a_change_of_a_group_is_an_operation_on_each_cluster_that_has_it(api: Api, group: str) -> None:
    one, two = serving(api, "one", parameter_group=group), serving(api, "two", 3, parameter_group=group)
    serving(api, "stranger")
    before = len(wished(api, "parameters.requested"))
    plan = altered(api, group, {"work_mem": "32MB"}, "?plan=true").json
    assert [cluster["name"] for cluster in plan["clusters"]] == ["one", "two"]
    assert plan["clusters"][0]["changes"] == [{"name": "work_mem", "before": "8MB", "after": "32MB"}]
    assert (len(plan["plan"]["hosts"]), len(wished(api, "parameters.requested"))) == (2, before)
    answer = altered(api, group, {"work_mem": "32MB"}, method="PUT")
    assert (answer.status_code, answer.json["version"], answer.json["parameters"]) == (202, 2, {"work_mem": "32MB"})
    operations = {cluster["name"]: cluster["operation"] for cluster in answer.json["clusters"]}
    assert operations == {name: api.get(f"/v1/clusters/{at}")["operation"] for name, at in (("one", one), ("two", two))}
    assert standing(api, group) == {"one": (2, "applying"), "two": (2, "applying")}
    assert [json.loads(row.body)["values"] for row in wished(api, "parameters.requested")[before:]] == 2 * [
        {"work_mem": "32MB"}
    ]
    end(api, one)
    end(api, two)
    assert standing(api, group) == {"one": (2, "applied"), "two": (2, "applied")}
    # The same again has nothing to do, nor has what only says what it is for.
    assert altered(api, group, {"work_mem": "32MB", "autovacuum": None}).json["version"] == 2
    described = api.ask("PATCH", f"{GROUPS}/{group}", {"description": "of small shops"}).json
    assert (described["description"], described["version"]) == ("of small shops", 2)
    assert len(wished(api, "parameters.requested")) == before + 2


def test_a_cluster_that_is_busy_or_stopped_or_where_it_failed_is_out_of_date_until_it_is_asked_for(
    api: Api, group: str
) -> None:
    there = {name: serving(api, name, parameter_group=group) for name in ("busy", "fails", "stopped")}
    stop = api.ask("POST", f"/v1/clusters/{there['stopped']}/stop", {}).json["id"]
    api.hear(databases.ClusterStopped(cluster_id=there["stopped"], operation_id=stop, result={}))
    asked(api, there["busy"], {"wal_compression": "pglz"})
    planned = altered(api, group, {"work_mem": "32MB"}, "?plan=true").json
    assert [(one["name"], one["waits"] is None) for one in planned["clusters"]] == [
        ("busy", False), ("fails", True), ("stopped", False)
    ]  # fmt: skip
    answer = altered(api, group, {"work_mem": "32MB"}).json
    messages = {one["name"]: one["message"] for one in answer["clusters"]}
    assert "another operation is under way" in messages["busy"]
    assert "stopped" in messages["stopped"]
    end(api, there["busy"])
    end(api, there["fails"], "failed")
    assert standing(api, group) == dict.fromkeys(there, (1, "out_of_date"))
    assert wanted(api, there["fails"])["work_mem"] == "8MB"
    (why,) = (one["message"] for one in api.get(f"{GROUPS}/{group}")["clusters"] if one["name"] == "fails")
    assert why == "its engine does not start"
    # A change of its own leaves it with the group that it has; it is asked for by a word, for one or for all.
    changed(api, there["busy"], {"wal_compression": None})
    assert (wanted(api, there["busy"])["work_mem"], shown(api, there["busy"])["group"]["out_of_date"]) == ("8MB", True)
    applied = api.ask("POST", f"/v1/clusters/{there['busy']}/parameters/apply", {})
    assert applied.status_code == 202, applied.text
    end(api, there["busy"])
    assert wanted(api, there["busy"])["work_mem"] == "32MB"
    assert api.ask("PATCH", f"{GROUPS}/{group}", {}).status_code == 202
    end(api, there["fails"])
    assert standing(api, group) == {"busy": (2, "applied"), "fails": (2, "applied"), "stopped": (1, "out_of_date")}


def test_the_history_names_the_group_and_leads_back_to_what_it_had(api: Api, group: str) -> None:
    cluster = serving(api, "shop", parameter_group=group)
    altered(api, group, {"work_mem": "32MB"})
    end(api, cluster)
    newest, first = api.get(f"/v1/clusters/{cluster}/parameters/history")["versions"]
    assert (newest["group"], first["group"]["version"]) == ({"id": group, "name": "small", "version": 2}, 1)
    back = f"/v1/clusters/{cluster}/parameters/rollback"
    assert api.ask("POST", back, {"version": 1}).status_code == 202
    end(api, cluster)
    assert wanted(api, cluster) == {"autovacuum": "off", "work_mem": "8MB"}
    assert standing(api, group) == {"shop": (1, "out_of_date")}
    # Without anything is without a group. Once that is gone, what it had is the cluster's own.
    assert api.ask("POST", back, {"version": 0}).status_code == 202
    end(api, cluster)
    assert (wanted(api, cluster), shown(api, cluster)["group"]) == ({}, None)
    assert api.ask("DELETE", f"{GROUPS}/{group}").status_code == 204
    assert api.ask("POST", back, {"version": 2}).status_code == 202
    end(api, cluster)
    assert (wanted(api, cluster)["work_mem"], shown(api, cluster)["group"]) == ("32MB", None)


def test_a_group_that_clusters_have_or_would_have_again_is_not_deleted(api: Api, group: str) -> None:
    cluster = serving(api, "shop", parameter_group=group)
    refused = api.ask("DELETE", f"{GROUPS}/{group}")
    assert refused.status_code == 409
    assert "shop" in refused.json["detail"]
    take(api, cluster, None)
    assert api.ask("DELETE", f"{GROUPS}/{group}").status_code == 409
    end(api, cluster)
    again = take(api, cluster, group).json["id"]
    end(api, cluster, "failed")
    assert api.ask("DELETE", f"{GROUPS}/{group}").status_code == 204
    assert api.ask("GET", f"{GROUPS}/{group}").status_code == 404
    retry = api.ask("POST", f"/v1/operations/{again}/retry", {})
    assert (retry.status_code, "small was deleted" in retry.json["detail"]) == (409, True)


def test_what_a_group_or_a_cluster_could_not_have_is_refused_by_its_field(api: Api, group: str) -> None:
    body = {"name": "other", "datastore": "pgsql 15", "parameters": {"work_mem": 1}}
    assert api.ask("POST", GROUPS, body).json["errors"][0]["field"] == "parameters.work_mem"
    assert api.ask("POST", GROUPS, body | {"name": "small", "parameters": {}}).status_code == 409
    assert api.ask("POST", GROUPS, body | {"datastore": "redis 7.0", "parameters": {"timeout": 5}}).status_code == 409
    assert altered(api, group, {"archive_command": "x"}).json["errors"][0]["field"] == "parameters.archive_command"
    cluster = serving(api, "shop", 3, parameter_group=group)
    # What a standby needs as much of is refused as a whole, with whose it is, unless the engines may be restarted.
    (error,) = altered(api, group, {"max_connections": 200}).json["errors"]
    assert error["field"] == "parameters.max_connections"
    assert "of cluster shop" in error["reason"]
    assert api.get(f"{GROUPS}/{group}")["version"] == 1
    assert altered(api, group, {"max_connections": 200}, "?restart=now").status_code == 202
    assert last_wish(api)["restart_now"] is True
    end(api, cluster, "failed")
    # Where that has failed the cluster waits for it, and is in nobody's way.
    (late,) = altered(api, group, {"work_mem": "32MB"}, "?plan=true").json["clusters"]
    assert "ask with `?restart=now`" in late["waits"]
    assert altered(api, group, {"work_mem": "32MB"}).status_code == 202
    assert standing(api, group) == {"shop": (1, "out_of_date")}
    redis = api.ask("POST", GROUPS, {"name": "cache", "datastore": "redis 7.0"}).json["id"]
    for choice in (redis, "nobody", new_id()):
        assert take(api, cluster, choice).json["errors"][0]["field"] == "parameter_group"
    assert api.ask("PATCH", f"/v1/clusters/{cluster}/parameters", {}).json["errors"][0]["field"] == "parameters"
    plain = serving(api, "plain")
    assert api.ask("POST", f"/v1/clusters/{plain}/parameters/apply", {}).status_code == 409


def test_whose_group_it_is_and_who_may_change_it(api: Api, group: str) -> None:
    elsewhere = api.project()
    stranger = api.token("admin", elsewhere)
    assert api.ask("GET", GROUPS, token=stranger).json["parameter_groups"] == []
    for method, body in (("GET", None), ("PATCH", {}), ("PUT", {"parameters": {}}), ("DELETE", None)):
        assert api.ask(method, f"{GROUPS}/{group}", body, token=stranger).status_code == 404
    # By its name neither: it is not there for them.
    wish = {"name": "theirs", "datastore": "pgsql 15", "parameter_group": "small"}
    assert api.ask("POST", "/v1/clusters", wish, token=stranger).status_code == 422
    assert [one["name"] for one in api.get(GROUPS, token=api.reader)["parameter_groups"]] == ["small"]
    # Two projects may use the same name, and a group goes with its project.
    assert api.ask("POST", GROUPS, {"name": "small", "datastore": "pgsql 15"}, token=stranger).status_code == 201
    assert api.ask("DELETE", f"/v1/projects/{elsewhere}", token=api.admin).status_code == 204
    assert [row.id for row in api.rows("parameter_groups")] == [group]
