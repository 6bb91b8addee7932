"""A look at a cluster: whom is asked, in which order, and what is made of how it fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from services.datastore_agentless.datastores.base import BaseManager, probing
from services.datastore_agentless.datastores.base.counting import Counting
from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.health import Limits, Verdict
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.domain.record import Record
from services.datastore_agentless.domain.standing import Standing
from services.datastore_agentless.hosts.base import (
    CommandFailed,
    HostKeyChanged,
    HostUnreachable,
    Put,
    Result,
    Run,
    Script,
    Target,
)
from services.datastore_agentless.hosts.simulated import SimulatedHosts
from services.datastore_agentless.hosts.ssh import SshPool
from services.datastore_agentless.hosts.transcript import Transcript
from services.datastore_agentless.store.watches import Watched
from services.datastore_agentless.watching import Hands, Looker
from services.datastore_agentless.workflows.on_host import Hosts
from shared.clock import ManualClock
from shared.errors import Unavailable, Unsupported
from shared.secrets import Secret
from tests.unit.services.datastore_agentless.scripted import ScriptedHost

ENTRY = Datastore("d", "engine", "engine", "1", "debian-12")


class Replication:
    """Of a topology, what a look needs."""

    def standing(self, node: Instance, primary: Instance) -> Script:
        answer = yield Run("stand", title=f"where {node.name} stands", changes=False)
        return EVERYWHERE.get(node.name) or Standing(node.id == primary.id, 100, follows="" if node.id == primary.id else primary.addr,
                                                     streams=node.id != primary.id, lag_seconds=float(answer.text or 0))  # fmt: skip


EVERYWHERE: dict[str, Standing] = {}


class Commits(Counting):
    """One number."""

    def beside(self, asking: Run) -> Run:
        return replace(asking, title=f"{asking.title}, and count")

    def read(self, told: str) -> dict[str, float]:
        return {"commits_total": 7.0}


class EngineManager(BaseManager):
    """A datastore of the tests' own."""

    process, port, hello = "engined", 7000, b"hi"
    counting = Commits()  # type: ignore[assignment]

    @property
    def topology(self) -> Any:
        return Replication()

    def question(self, instance: Instance) -> Run:
        return Run("ask", title="log in and ask", changes=False)


@dataclass
class FakeHosts:
    """Hosts that answer from a script, or raise what is said of them; who was looked at, command by command."""

    troubles: dict[str, Exception | Callable[[], ScriptedHost]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def look(self, instance: Instance, script: Script, seconds: float) -> Any:
        trouble = self.troubles.get(instance.name)
        if isinstance(trouble, Exception):
            raise trouble
        host = trouble() if trouble else well()
        try:
            return host.drive(script)
        finally:
            self.asked += [(instance.name, title) for title in host.titles]


def well() -> ScriptedHost:
    return ScriptedHost(look_how_it_is=probing.SAMPLE)


@pytest.fixture(autouse=True)
def _nothing_is_special() -> None:
    EVERYWHERE.clear()


@dataclass
class Witnesses:
    """The looker under test with all that it asks."""

    hosts: FakeHosts = field(default_factory=FakeHosts)
    ports: dict[str, str] = field(default_factory=dict)
    servers: dict[str, tuple[str, str] | Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def look(self, nodes: int = 3, before: dict[str, Record] | None = None) -> dict[str, Any]:
        there = tuple(
            Instance(f"i{number}", "c", f"shop-{number}", addr=f"10.0.0.{number}") for number in range(1, nodes + 1)
        )
        cluster = Cluster("c", "p", "o", "shop", "d", nodes, 512, 1, primary_id="i1")
        looker = Looker(self.hosts, EngineManager, self.server_status, Limits(), self.greets)  # type: ignore[arg-type]
        return looker.look(Watched(cluster, there, there[0], ENTRY, before or {}), Hands(8, 8))

    def greets(self, host: str, port: int, hello: bytes | None, seconds: float) -> str:
        assert (port, hello) == (7000, b"hi")
        self.asked.append(f"port of {host}")
        return self.ports.get(host, "Connection refused")

    def server_status(self, instance_id: str) -> tuple[str, str]:
        self.asked.append(f"provider of {instance_id}")
        said = self.servers.get(instance_id, ("ACTIVE", ""))
        if isinstance(said, Exception):
            raise said
        return said


def verdicts(found: dict[str, Any]) -> list[Verdict]:
    return [found[one].verdict for one in sorted(found)]


def test_nodes_that_answer_are_asked_over_ssh_and_nobody_else_is() -> None:
    said = Witnesses()
    assert verdicts(said.look()) == [Verdict.OK] * 3
    assert said.asked == []
    assert sorted(said.hosts.asked)[0:2] == [("shop-1", "look how it is"), ("shop-1", "where shop-1 stands, and count")]


def test_a_node_that_is_alone_is_logged_in_to() -> None:
    said = Witnesses()
    assert verdicts(said.look(1)) == [Verdict.OK]
    assert said.hosts.asked == [("shop-1", "look how it is"), ("shop-1", "see whether it answers, and count")]


def test_what_is_suspected_is_asked_plainly_so_that_counting_makes_no_node_ill() -> None:
    now = ManualClock().now()
    before = {
        "i1": Record("i1", "c", "OK", "", now, now, suspicion="DB_DOWN"),
        "i2": Record("i2", "c", "DB_DOWN", "", now, now),
        "i3": Record("i3", "c", "LAGGING", "", now, now),
    }
    said = Witnesses()
    found = said.look(before=before)
    asked = {name: title for name, title in said.hosts.asked if title.startswith("where")}
    assert [title.endswith("count") for _, title in sorted(asked.items())] == [False, False, True]
    assert [dict(found[one].numbers) for one in sorted(found)] == [{}, {}, {"commits_total": 7.0}]


def test_what_a_probe_has_found_is_among_the_facts() -> None:
    EVERYWHERE["shop-2"] = Standing(False, 58, "0/58", "10.0.0.1", True, 1.5)
    found = Witnesses().look()["i2"].facts
    assert found["role"] == "replica"
    assert (found["lag_seconds"], found["behind"], found["position"]) == (1.5, 42, "0/58")
    assert (found["disk_free_percent"], found["tmp_mb"], found["memory_mb"]) == (90.0, 9765, 1953)
    assert "lag_seconds" not in Witnesses().look()["i1"].facts


def test_a_primary_that_only_its_replicas_see_is_split_off() -> None:
    said = Witnesses(FakeHosts({"shop-1": HostUnreachable("no answer")}))
    found = said.look()
    assert verdicts(found) == [Verdict.NET_SPLIT, Verdict.OK, Verdict.OK]
    assert found["i1"].evidence == {
        "ssh": "no answer", "port": "Connection refused", "provider": "ACTIVE",
        "peers": "shop-2 receives from it, shop-3 receives from it",
    }  # fmt: skip


def test_a_primary_that_nobody_sees_any_more_is_down() -> None:
    for name in ("shop-2", "shop-3"):
        EVERYWHERE[name] = Standing(False, 100, "", "10.0.0.1", streams=False)
    said = Witnesses(
        FakeHosts({"shop-1": HostUnreachable("no answer")}), servers={"i1": Unavailable("nobody is there")}
    )
    found = said.look()
    assert verdicts(found) == [Verdict.HOST_DOWN, Verdict.REPLICATION_BROKEN, Verdict.REPLICATION_BROKEN]
    assert found["i1"].evidence["provider"] == "nobody is there"


def test_a_replica_is_no_witness_for_another_replica() -> None:
    found = Witnesses(FakeHosts({"shop-2": HostUnreachable("no answer")}), servers={"i2": ("SHUTOFF", "")}).look()
    assert verdicts(found) == [Verdict.OK, Verdict.HOST_DOWN, Verdict.OK]
    assert "peers" not in found["i2"].evidence


def test_where_the_port_answers_the_provider_is_not_asked() -> None:
    said = Witnesses(FakeHosts({"shop-1": HostUnreachable("no answer")}), {"10.0.0.1": ""})
    assert verdicts(said.look()) == [Verdict.SSH_DOWN_DB_UP, Verdict.OK, Verdict.OK]
    assert said.asked == ["port of 10.0.0.1"]


def test_a_probe_that_does_not_end_is_a_host_that_does_not_answer() -> None:
    hangs = CommandFailed("a command on shop-1 did not end within 5 s", code=124)
    assert Witnesses(FakeHosts({"shop-1": hangs})).look()["i1"].verdict == Verdict.NET_SPLIT


def test_an_engine_whose_process_is_gone_is_asked_nothing_more() -> None:
    dead = lambda: ScriptedHost(look_how_it_is=probing.SAMPLE.replace('"process":true', '"process":false'))  # noqa: E731
    said = Witnesses(FakeHosts({"shop-1": dead}))
    found = said.look()
    assert found["i1"].verdict == Verdict.DB_DOWN
    assert found["i1"].message == "shop-1 is up, and its database does not answer: its process engined does not run"
    assert ("shop-1", "where shop-1 stands") not in said.hosts.asked
    assert said.asked == ["port of 10.0.0.1"]


def test_an_engine_that_does_not_say_where_it_stands_is_down_in_its_own_words() -> None:
    refuses = lambda: ScriptedHost(look_how_it_is=probing.SAMPLE,  # noqa: E731
                                   where=Result(code=2, stderr="hint\nthe database system is starting up\n"))  # fmt: skip
    found = Witnesses(FakeHosts({"shop-2": refuses})).look()
    assert verdicts(found) == [Verdict.OK, Verdict.DB_DOWN, Verdict.OK]
    assert found["i2"].message.endswith("the database system is starting up")


def test_a_host_with_another_key_is_asked_nothing_and_nor_is_anybody_about_it() -> None:
    said = Witnesses(FakeHosts({"shop-1": HostKeyChanged("another key", expected="a", seen="b")}))
    assert said.look()["i1"].verdict == Verdict.IDENTITY_MISMATCH
    assert said.asked == []


def test_a_mistake_of_ours_is_no_verdict() -> None:
    found = Witnesses(FakeHosts({"shop-2": Unsupported("this is no look")})).look()
    assert sorted(found) == ["i1", "i3"]


def test_a_simulated_host_is_looked_at_whatever_epoch_it_has_seen_and_keeps_its_own() -> None:
    simulated = SimulatedHosts(latency=0.0)
    hosts = Hosts(None, SshPool(), EngineManager, simulated=simulated)  # type: ignore[arg-type]
    node = Instance("i1", "c", "shop-1", addr="sim-1.invalid", user="root")
    simulated.host("sim-1.invalid").epochs["s"] = 7
    driver = hosts._driver(
        target=_target(node), task_id="", epoch=0, subject="s", transcript=_transcript(), look_seconds=5.0
    )
    assert driver.execute(probing.probe(EngineManager(ENTRY), node)).process is True
    assert simulated.host("sim-1.invalid").epochs == {"s": 7}


def test_a_look_refuses_what_may_change_something_and_gives_no_command_more_than_its_time() -> None:
    simulated, clock = SimulatedHosts(latency=0.0), ManualClock()
    hosts = Hosts(None, SshPool(), EngineManager, simulated=simulated)  # type: ignore[arg-type]
    driver = hosts._driver(target=_target(Instance("i", "c", "n", addr="n.invalid")), task_id="", epoch=0, clock=clock,
                           transcript=_transcript(), look_seconds=5.0)  # fmt: skip
    ran: list[Run] = []
    driver.run = lambda command: ran.append(command) or Result()  # type: ignore[method-assign, assignment, func-returns-value]

    def script(command: Any) -> Script:
        yield command

    for changing in (Run("rm x"), Put("/etc/x", "")):
        with pytest.raises(Unsupported):
            driver.execute(script(changing))
    assert ran == []
    driver.execute(script(Run("true", changes=False, timeout=30.0)))
    assert [one.timeout for one in ran] == [5.0]


def _target(node: Instance) -> Target:
    return Target(node.name, node.addr, 22, "root", Secret(""), "ssh-ed25519 AAAA")


def _transcript() -> Transcript:
    return Transcript(host="n")


def test_a_node_that_is_suspected_is_asked_at_its_port_whatever_ssh_says_and_shows_that_only_in_doubt() -> None:
    now = ManualClock().now()
    before = {
        "i1": Record("i1", "c", "OK", "", now, now, suspicion="HOST_DOWN"),
        "i2": Record("i2", "c", "OK", "", now, now),
    }
    said = Witnesses(ports={"10.0.0.1": ""})
    found = said.look(before=before)
    assert said.asked == ["port of 10.0.0.1"]
    assert "port" not in found["i1"].evidence
    said = Witnesses(FakeHosts({"shop-1": HostUnreachable("no answer")}))
    assert said.look(before=before)["i1"].evidence["port"] == "Connection refused"
    assert said.asked == ["port of 10.0.0.1", "provider of i1"]
