"""Databases and users in datastore_agentless's own tables, on both engines, over the managers' scripts and hosts in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from services.datastore_agentless import actions
from services.datastore_agentless.domain.instance import Status
from services.datastore_agentless.domain.takeover import Kind
from services.datastore_agentless.hosts.base import CommandFailed, HostUnreachable, Put, Result, Run, Target
from services.datastore_agentless.hosts.driver import Driver
from services.datastore_agentless.hosts.simulated import SimulatedHosts, SimulatedRunner
from services.datastore_agentless.hosts.ssh import SshPool
from services.datastore_agentless.store import accounts, clusters
from services.datastore_agentless.workflows.beginning import begin
from services.datastore_agentless.workflows.change_accounts import ChangeAccounts
from services.datastore_agentless.workflows.join_node import JoinNode
from services.datastore_agentless.workflows.on_host import Hosts
from services.datastore_agentless.workflows.prepare_node import PrepareNode
from shared.contracts.accounts import AccountChange, Action
from shared.contracts.api import AccountsRequested, OperationCancelRequested, OperationRetryRequested
from shared.contracts.values import DatastoreRef
from shared.db import Database
from shared.engine import StepEngine
from shared.secrets import Secret
from tests.component.hosts.wishes import (
    REF,
    admin_user,
    cluster_status,
    gone,
    goodbye,
    manager_for,
    more,
    said,
    up,
    wish,
)
from tests.support.held import HeldClock
from tests.support.keeping import MemoryStores

REDIS = DatastoreRef(id="re", manager="redis", version="7.0", image="debian-12", packages=("redis-server",))
CANARY = "a-verifier-that-nobody-is-shown"
SHOP = AccountChange(action=Action.CREATE_DATABASE, database="shop")
ANN = AccountChange(action=Action.CREATE_USER, user="ann", sealed_password=f"sealed {CANARY}")
READS = AccountChange(action=Action.GRANT, user="ann", database="shop", privilege="read")


def unseal(token: str) -> Secret:
    assert token.startswith("sealed ")
    return Secret(token.removeprefix("sealed "))


@dataclass
class Told:
    """What hosts were told, in order, by whom it was; `away` do not answer, and `happens` once before what has a title."""

    commands: list[tuple[str, Run | Put]] = field(default_factory=list)
    away: set[str] = field(default_factory=set)
    happens: dict[str, Callable[[], object]] = field(default_factory=dict)

    def titles(self, host: str = "") -> list[str]:
        return [command.title for name, command in self.commands if host in ("", name)]


@dataclass(kw_only=True)
class ToldRunner(SimulatedRunner):
    """Writes down what it is told."""

    told: Told

    def run(self, command: Run) -> Result:
        self._note(command)
        return super().run(command)

    def put(self, command: Put) -> Result:
        self._note(command)
        return super().put(command)

    def _note(self, command: Run | Put) -> None:
        if happens := self.told.happens.pop(command.title, None):
            happens()
        if self.target.name in self.told.away:
            raise HostUnreachable(f"{self.target.name} does not answer over SSH")
        self.told.commands.append((self.target.name, command))


@dataclass(frozen=True)
class ToldHosts(Hosts):
    told: Told = field(default_factory=Told)

    def _driver(self, target: Target, **options: Any) -> Driver:
        return ToldRunner(hosts=self.simulated, told=self.told, target=target, **options)


class Stage:
    """A cluster `c` of nodes `c-0`, `c-1`, and what is asked of it."""

    def __init__(
        self, database: Database, datastore: DatastoreRef = REF, nodes: int = 2, *wanted: AccountChange
    ) -> None:
        self.database, self.clock, self.told, self.nodes = database, HeldClock(), Told(), nodes
        database.clock = self.clock
        hosts = ToldHosts(database, SshPool(), manager_for, simulated=SimulatedHosts(latency=0.0), told=self.told)
        flows = (
            PrepareNode(hosts, MemoryStores()).workflow(),
            JoinNode(hosts).workflow(),
            ChangeAccounts(hosts).workflow(),
        )
        self.engine = StepEngine(database, {flow.name: flow for flow in flows})
        event = replace(wish(nodes=nodes, datastore=datastore), accounts=wanted)
        actions.expect_cluster(database, event, admin_user, unseal)
        actions.issue_key(database, "c")
        for number in range(nodes):
            actions.prepare_node(database, up(f"c-{number}"))
        self.settle()
        self.made, self.told.commands = list(self.told.commands), []

    def change(self, *changes: AccountChange, operation: str = "do") -> AccountsRequested:
        event = AccountsRequested(cluster_id="c", operation_id=operation, project_id="p", changes=changes)
        assert actions.request_accounts(self.database, event, unseal)
        return event

    def settle(self, seconds: float = 24 * 3600) -> None:
        until = self.clock.monotonic() + seconds
        while (pause := self.engine.run_due()) is not None and self.clock.monotonic() + pause <= until:
            self.clock.advance(pause)

    def ended(self, operation: str = "do") -> dict[str, Any]:
        (event,) = [one for one in said(self.database, "operation.ended") if one["operation_id"] == operation]
        return event

    def kept(self, operation: str = "do") -> bool:
        """Whether anything is kept of what the operation is to change."""
        with self.database.read() as connection:
            return accounts.wished(connection, operation) is not None


def test_what_is_wanted_is_made_at_the_primary_and_listed_as_its_server_does(database: Database) -> None:
    stage = Stage(database)
    stage.change(SHOP, ANN, READS)
    stage.settle()
    (seen,) = said(database, "accounts.seen")
    assert (seen["cluster_id"], seen["operation_id"]) == ("c", "do")
    assert [one["name"] for one in seen["accounts"]["databases"]] == ["shop"]
    (user,) = seen["accounts"]["users"]
    assert (user["name"], user["grants"]) == ("ann", [{"privilege": "read", "database": "shop", "patterns": []}])
    assert {name for name, _ in stage.told.commands} == {"c-0"}, "replication carries it"
    stage.change(operation="look")
    stage.settle()
    assert said(database, "accounts.seen")[1]["accounts"] == seen["accounts"]
    assert not stage.kept()


def test_nothing_of_a_password_is_announced_or_shown_or_kept(database: Database) -> None:
    stage = Stage(database, REDIS)
    stage.change(ANN)
    stage.settle()
    assert [one["operation_id"] for one in said(database, "accounts.seen")] == ["do"]
    for topic in ("transcript.recorded", "operation.progressed", "accounts.seen"):
        assert CANARY not in str(said(database, topic)), topic
    shown = [
        command for _, command in stage.told.commands if isinstance(command, Run) and "ACL LIST" in str(command.stdin)
    ]
    assert not shown, "what asks for the list is a secret"
    assert not stage.kept()


def test_a_wish_that_comes_twice_is_done_once(database: Database) -> None:
    stage = Stage(database)
    event = stage.change(SHOP)
    assert actions.request_accounts(database, event, unseal)
    stage.settle()
    assert actions.request_accounts(database, event, unseal)
    stage.settle()
    assert stage.told.titles().count("create database shop") == 1


def test_each_node_of_redis_is_told_and_one_that_comes_later_too(database: Database) -> None:
    stage = Stage(database, REDIS)
    stage.change(ANN)
    stage.settle()
    assert stage.told.titles("c-1") == ["read the access list", "keep the access list"]
    stage.told.commands = []
    actions.expect_nodes(database, replace(more("c-9"), datastore=REDIS))
    actions.prepare_node(database, up("c-9"))
    stage.settle()
    assert stage.told.titles("c-9")[-2:] == ["read the access list", "keep the access list"]
    with database.read() as connection:
        assert clusters.instance(connection, "c-9").status == Status.READY


def test_a_node_that_cannot_be_told_is_a_reason_to_fail_and_a_retry_goes_on(database: Database) -> None:
    stage = Stage(database, REDIS)
    stage.told.away = {"c-1"}
    stage.change(ANN)
    stage.settle()
    ended = stage.ended()
    assert (ended["status"], ended["problem"]["message"]) == ("failed", "c-1 does not answer over SSH")
    assert said(database, "accounts.seen") == []
    assert stage.kept()
    stage.told.away = set()
    actions.retry_operation(database, OperationRetryRequested(operation_id="do", cluster_id="c"))
    stage.settle()
    assert [one["operation_id"] for one in said(database, "accounts.seen")] == ["do"]
    assert not stage.kept()


def test_a_cancel_ends_it_and_what_it_was_to_do_is_forgotten(database: Database) -> None:
    stage = Stage(database)
    stage.told.away = {"c-0"}
    stage.change(SHOP)
    stage.settle(10)
    actions.cancel_operation(database, OperationCancelRequested(operation_id="do", cluster_id="c"))
    stage.settle()
    assert stage.ended()["status"] == "cancelled"
    assert not stage.kept()


def test_nothing_is_changed_while_another_node_is_about_to_become_the_primary(database: Database) -> None:
    stage = Stage(database)
    move(stage)
    stage.change(SHOP)
    stage.settle(30)
    assert stage.told.titles() == []
    assert said(database, "accounts.seen") == []


def test_a_change_at_a_primary_that_was_replaced_meanwhile_is_made_anew_at_the_next(database: Database) -> None:
    stage = Stage(database)

    def replaced() -> None:
        with database.write() as tx:
            cluster = clusters.lock(tx, "c")
            assert cluster is not None
            cluster.primary_id = "c-1"
            clusters.save_cluster(tx, cluster)

    stage.told.happens["list databases and users"] = replaced
    stage.change(SHOP)
    stage.settle()
    assert "create database shop" in stage.told.titles("c-1")
    assert [one["operation_id"] for one in said(database, "accounts.seen")] == ["do"]


def test_a_cluster_serves_only_once_it_has_the_databases_and_users_that_it_was_wished_with(database: Database) -> None:
    stage = Stage(database, REF, 2, SHOP, ANN, READS)
    topics = [(name, command.title) for name, command in stage.made]
    assert ("c-0", "create database shop") in topics
    (active,) = said(database, "cluster.active")
    (seen,) = said(database, "accounts.seen")
    assert (active["operation_id"], seen["operation_id"]) == ("make-c", "")
    assert cluster_status(database) == "active"
    assert not stage.kept("make-c")


def test_a_cluster_whose_databases_cannot_be_made_has_failed_and_can_be_retried(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: ToldRunner, command: Run) -> Result:
        if command.title == "create database shop":
            raise CommandFailed("there is no such collation", code=1)
        return SimulatedRunner.run(_, command)

    with monkeypatch.context() as patch:
        patch.setattr(ToldRunner, "run", refused)
        stage = Stage(database, REF, 1, SHOP)
        (failed,) = said(database, "cluster.failed")
        assert failed["problem"]["message"] == "there is no such collation"
    assert said(database, "cluster.active") == []
    actions.retry_operation(database, OperationRetryRequested(operation_id="make-c", cluster_id="c"))
    stage.settle()
    assert len(said(database, "cluster.active")) == 1


def test_with_a_cluster_all_that_is_kept_of_its_accounts_goes(database: Database) -> None:
    stage = Stage(database, REF, 1)
    stage.told.away = {"c-0"}
    stage.change(ANN)
    stage.settle(10)
    actions.release_cluster(database, replace(goodbye(), instance_ids=()))
    actions.forget_instance(database, gone("c-0"))
    assert not stage.kept()
    assert cluster_status(database) == "deleted"


def move(stage: Stage) -> None:
    """A failover begins, which nobody here works on."""
    with stage.database.write() as tx:
        cluster = clusters.lock(tx, "c")
        assert cluster is not None
        assert begin(tx, cluster, "move", Kind.FAILOVER) is None
