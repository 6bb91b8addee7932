"""Rows 15 to 19: clusters of three real nodes that change their primary, by a user's wish or of themselves, while somebody writes.

What is measured is what a client sees: the time between the last write that was acknowledged and the next one.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from bench.figures import at_most, percentile
from services.datastore_agentless.datastores.base import scripts
from services.provisioner.providers.local.engine import connect
from tests.support.containers import said
from tests.support.faults import LONG, exactly
from tests.support.installation import Installation, wait_for
from tests.support.writers import Writer

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(3600)]
Figures = Callable[..., None]
Times = Callable[[int, int], int]

MANY_HOSTS_SECONDS, TAKEOVER_SECONDS, RETURN_SECONDS = 400, 120, 300
WISHES: dict[str, dict[str, Any]] = {
    "pgsql": {"datastore": "pgsql 15", "topology": {"mode": "sync"}},
    "mysql": {"datastore": "mysql 10.11", "topology": {"mode": "sync"}},
    "redis": {"datastore": "redis 7.0"},
}
PROCESS = {"pgsql": "postgres", "mysql": "mariadbd", "redis": "redis-server"}
# What is the same for all engines is tried on one of them, and by `make faults` on each.
ON_ONE = pytest.mark.parametrize("cluster", list(WISHES) if LONG else ["pgsql"], indirect=True)
# Long enough for the watch to have looked several times.
WATCHED_SECONDS = 30


@pytest.fixture(scope="module", params=WISHES)
def cluster(dtrove: Installation, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """A cluster of each datastore, with its login."""
    made, operation = dtrove.create(f"moves-{request.param}", size=3, **WISHES[request.param])
    ended = dtrove.end_of(operation, MANY_HOSTS_SECONDS)
    assert ended["status"] == "succeeded", ended["problem"]
    yield dtrove.get(f"/v1/clusters/{made}") | {
        "login": dtrove.get(f"/v1/clusters/{made}/credentials"), "datastore": request.param,
    }  # fmt: skip
    dtrove.remove(made)


def writer_of(cluster: dict[str, Any]) -> Writer:
    """Somebody who writes to it."""
    places = [cluster["endpoint"]["primary"], *cluster["endpoint"]["replicas"]]
    first = f"{places[0]['host']}:{places[0]['port']}"
    scheme = {"pgsql": "postgresql"}.get(cluster["datastore"], cluster["datastore"])
    login = cluster["login"]
    url = f"{scheme}://{login['username']}:{login['password']}@{first}/"
    return Writer(url, [one["host"] for one in places])


def settled(dtrove: Installation, cluster: dict[str, Any]) -> dict[str, Any]:
    """The cluster once it is active, and all of its nodes are."""

    def whole() -> dict[str, Any] | None:
        now: dict[str, Any] = dtrove.get(f"/v1/clusters/{cluster['id']}")
        well = now["status"] == "active" and all(one["status"] == "active" for one in now["instances"])
        open_ones = [one for one in dtrove.get(f"/v1/operations?cluster={cluster['id']}")["operations"]
                     if one["status"] in ("pending", "running")]  # fmt: skip
        return now if well and not open_ones and (now["health"] or {}).get("verdict") == "OK" else None

    return dict(wait_for(whole, RETURN_SECONDS, 0.5, f"{cluster['name']} being whole"))


def found_by_its_address(cluster: dict[str, Any], after: dict[str, Any]) -> None:
    """The cluster's own address is what it was, and whoever logs in by it is at the node that takes writes."""
    own = after["endpoint"]["address"]
    assert own == cluster["endpoint"]["address"]
    assert own["host"] not in {one["addr"] for one in after["instances"]}
    assert replace(writer_of(cluster), hosts=[own["host"]]).missing() == []


def primary_of(shown: dict[str, Any]) -> dict[str, Any]:
    return next(one for one in shown["instances"] if one["role"] == "primary")


def begun(writer: Writer) -> int:
    """How many writes were acknowledged, once some were."""
    wait_for(lambda: len(writer.acknowledged) > 20, 30, what="the first writes")
    return len(writer.acknowledged)


def goes_on(writer: Writer, seconds: float) -> None:
    """Wait until writes are acknowledged again, and some more."""
    count = len(writer.acknowledged)
    wait_for(lambda: len(writer.acknowledged) > count + 20, seconds, what="writes after it")


def test_a_switchover_moves_the_writes_and_loses_none(
    dtrove: Installation, cluster: dict[str, Any], times: Times, figure: Figures
) -> None:
    gaps, lost = [], 0
    rounds = times(1, 5)
    for _ in range(rounds):
        wanted = next(one for one in settled(dtrove, cluster)["instances"] if one["role"] == "replica")
        with writer_of(cluster).writing() as writer:
            begun(writer)
            asked = dtrove.ask("POST", f"/v1/clusters/{cluster['id']}/switchover", {"instance": wanted["id"]})
            assert asked.status_code == 202, asked.text
            ended = dtrove.end_of(asked.json()["id"], TAKEOVER_SECONDS)
            assert ended["status"] == "succeeded", ended["problem"]
            goes_on(writer, 30)
        after = settled(dtrove, cluster)
        assert primary_of(after)["id"] == wanted["id"]
        assert after["endpoint"]["primary"]["host"] == wanted["addr"]
        found_by_its_address(cluster, after)
        assert len(after["endpoint"]["replicas"]) == 2
        assert set(ended["result"]["evidence"]) >= {"check", "catch_up"}
        gaps.append(writer.longest_gap)
        lost += len(writer.missing())
    assert lost == 0
    name = cluster["datastore"]
    figure(16, f"{name}: gap of writes at a switchover, p95", rounds, percentile(gaps, 95), "s", at_most(5, "s"))


@pytest.mark.fault(15)
def test_a_primary_whose_engine_is_killed_is_started_again_without_a_failover(
    dtrove: Installation, cluster: dict[str, Any], times: Times, figure: Figures
) -> None:
    gaps, lost = [], 0
    rounds = times(1, 8)
    for _ in range(rounds):
        primary = primary_of(settled(dtrove, cluster))
        with writer_of(cluster).writing() as writer:
            begun(writer)
            kill = f"{scripts.RUNNING}pkill -9 mysqld_safe; kill -9 $(pids {PROCESS[cluster['datastore']]})"
            said(container_of(dtrove, primary), kill)
            goes_on(writer, 90)
        assert primary_of(settled(dtrove, cluster))["id"] == primary["id"]
        gaps.append(writer.longest_gap)
        # Redis keeps on disk what is a second old.
        lost += len(writer.missing()) if cluster["datastore"] != "redis" else 0
    assert lost == 0
    name = cluster["datastore"]
    figure(
        15, f"{name}: gap of writes at kill -9 of the engine, p95", rounds, percentile(gaps, 95), "s", at_most(20, "s")
    )


@pytest.mark.fault(16)
def test_a_primary_whose_server_goes_off_is_fenced_and_replaced_and_comes_back_as_a_replica(
    dtrove: Installation, cluster: dict[str, Any], times: Times, figure: Figures
) -> None:
    rounds, name = times(1, 5), cluster["datastore"]
    gaps, lost = zip(*(pull_the_plug(dtrove, cluster) for _ in range(rounds)), strict=True)
    figure(
        16, f"{name}: gap of writes when the server goes off, p95", rounds, percentile(gaps, 95), "s", at_most(30, "s")
    )
    if name != "redis":
        figure(16, f"{name}: acknowledged writes lost, synchronous", rounds, sum(lost), "", exactly(0))


@ON_ONE
@pytest.mark.fault(19)
def test_a_failover_goes_on_from_where_it_was_though_workers_are_killed_between_its_steps(
    dtrove: Installation, cluster: dict[str, Any], times: Times, figure: Figures
) -> None:
    rounds = times(1, 3)
    gaps = [pull_the_plug(dtrove, cluster, killing=True)[0] for _ in range(rounds)]
    figure(
        19,
        f"{cluster['datastore']}: gap of writes with workers killed before and after the promotion",
        rounds,
        max(gaps),
        "s",
    )


@ON_ONE
@pytest.mark.fault(17)
def test_a_primary_that_only_dtrove_cannot_reach_is_not_replaced(
    dtrove: Installation, cluster: dict[str, Any], times: Times, figure: Figures
) -> None:
    before = settled(dtrove, cluster)
    primary, known = primary_of(before), failovers(dtrove, cluster)
    false_ones, rounds = 0, times(1, 4)
    for _ in range(rounds):
        gateway = said(container_of(dtrove, primary), "ip route show default").split()[2]
        in_network_of(dtrove, primary, "iptables", "-I", "INPUT", "-s", gateway, "-j", "DROP")
        try:
            verdict = lambda: health_of(dtrove, cluster, primary)["verdict"] == "NET_SPLIT"  # noqa: E731
            wait_for(verdict, 60, 0.5, "the verdict that only the way to it is cut")
            with pytest.raises(AssertionError, match="did not happen"):
                wait_for(
                    lambda known=known: failovers(dtrove, cluster) != known, WATCHED_SECONDS, 1, "a false failover"
                )
            refused = dtrove.ask("POST", f"/v1/clusters/{cluster['id']}/failover", {})
            ended = dtrove.end_of(refused.json()["id"], TAKEOVER_SECONDS)
            assert (ended["status"], "receive" in ended["problem"]["message"]) == ("failed", True), ended
            known = failovers(dtrove, cluster)
        finally:
            in_network_of(dtrove, primary, "iptables", "-F", "INPUT")
        false_ones += primary_of(settled(dtrove, cluster))["id"] != primary["id"]
    assert false_ones == 0
    figure(17, f"{cluster['datastore']}: false failovers", rounds, false_ones, "", exactly(0))


@ON_ONE
@pytest.mark.fault(18)
def test_a_primary_that_is_cut_off_from_everybody_is_switched_off_before_another_takes_writes(
    dtrove: Installation, cluster: dict[str, Any], figure: Figures
) -> None:
    primary = primary_of(settled(dtrove, cluster))
    host = container_of(dtrove, primary)
    known = failovers(dtrove, cluster)
    in_network_of(dtrove, primary, "ip", "link", "set", "eth0", "down")
    wait_for(
        lambda: primary_of(dtrove.get(f"/v1/clusters/{cluster['id']}"))["id"] != primary["id"],
        150,
        0.2,
        "a new primary",
    )
    (failover,) = [one for one in failovers(dtrove, cluster) if one not in known]
    steps = {one["step"]: one for one in (dtrove.operation(failover) or {})["steps"]}
    both = moment(steps["see_off"]["finished_at"]) - moment(steps["promote"]["started_at"])
    assert both < 0
    after = settled(dtrove, cluster)
    assert next(one for one in after["instances"] if one["id"] == primary["id"])["role"] == "replica"
    host.reload()
    # It was off while nobody but it could have written: since then it has started anew, as a replica.
    assert host.attrs["State"]["StartedAt"] > steps["promote"]["started_at"]
    figure(18, f"{cluster['datastore']}: milliseconds with two primaries", 1, 1000 * max(0.0, both), "ms", exactly(0))


def pull_the_plug(dtrove: Installation, cluster: dict[str, Any], *, killing: bool = False) -> tuple[float, int]:
    """The primary's server goes off while somebody writes; `killing`: and DTrove's workers are killed meanwhile.

    Returns the gap of writes in seconds, and how many acknowledged ones are lost: none, but in Redis's one mode.
    """
    primary = primary_of(settled(dtrove, cluster))
    before = failovers(dtrove, cluster)
    with writer_of(cluster).writing() as writer:
        begun(writer)
        container_of(dtrove, primary).kill()
        if killing:
            kill_between(dtrove, cluster, before)
        goes_on(writer, 120)
    after = settled(dtrove, cluster)
    assert primary_of(after)["id"] != primary["id"]
    assert next(one for one in after["instances"] if one["id"] == primary["id"])["role"] == "replica"
    found_by_its_address(cluster, after)
    (failover,) = [one for one in failovers(dtrove, cluster) if one not in before]
    evidence = (dtrove.operation(failover) or {})["result"]["evidence"]
    assert evidence["fence"] == {"instance": primary["id"], "provider": "SHUTOFF"}
    assert {one["name"] for one in evidence["choose"].values()} == names_of(after) - {primary["name"]}
    lost = len(writer.missing())
    assert lost == 0 or cluster["datastore"] == "redis"
    return writer.longest_gap, lost


def container_of(dtrove: Installation, node: dict[str, Any]) -> Any:
    """The host of a node."""
    return connect(dtrove.home).containers.get(f"dtrove-{node['id']}")


def in_network_of(dtrove: Installation, node: dict[str, Any], *command: str) -> None:
    """Run a command of this machine within a host's network."""
    host = container_of(dtrove, node)
    host.reload()
    subprocess.run(["nsenter", "--net", "--target", str(host.attrs["State"]["Pid"]), *command], check=True, timeout=20)


def failovers(dtrove: Installation, cluster: dict[str, Any]) -> list[str]:
    """The cluster's failovers so far."""
    found = dtrove.get(f"/v1/operations?cluster={cluster['id']}&limit=100")["operations"]
    return [one["id"] for one in found if one["kind"] == "failover"]


def kill_between(dtrove: Installation, cluster: dict[str, Any], before: list[str]) -> None:
    """Kill the provisioner before its fence, and datastore_agentless before, in and after the promotion."""
    (operation,) = wait_for(
        lambda: [one for one in failovers(dtrove, cluster) if one not in before], 60, 0.05, "a failover"
    )
    for step, service in (
        ("power_off", "provisioner"),
        ("promote", "datastore_agentless"),
        ("rewire", "datastore_agentless"),
    ):
        dtrove.step_begins(operation, step)
        dtrove.kill(service)


def health_of(dtrove: Installation, cluster: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """How a node is, as the API shows it."""
    shown = dtrove.get(f"/v1/clusters/{cluster['id']}")["health"]
    return next((one for one in (shown or {"nodes": []})["nodes"] if one["instance"] == node["id"]), {"verdict": ""})


def moment(text: str) -> float:
    """Seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


def names_of(shown: dict[str, Any]) -> set[str]:
    return {one["name"] for one in shown["instances"]}
