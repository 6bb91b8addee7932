"""Databases, users and the superuser on the command line."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any

import pytest

from client.exits import Exit
from shared.contracts.accounts import AccountDatabase, AccountGrant, Accounts, AccountUser
from shared.contracts.base import Event, utcnow
from shared.contracts.datastore_agentless import AccountsSeen, DatastoreRegistered
from tests.unit.client.conftest import Done
from tests.unit.client.world import World

Dtrove = Callable[..., Done]
THERE = Accounts(
    databases=(AccountDatabase(name="shop", character_set="UTF8", collate="C.UTF-8"),),
    users=(AccountUser(name="ann", grants=(AccountGrant(privilege="read", database="shop"),)),),
)


class Server:
    """A server that lists what it is told to, and the changes that it was asked for."""

    def __init__(self, world: World) -> None:
        self.world, self.lists = world, Accounts()
        self.changes: list[Any] = []
        world.answers["accounts.requested"] = self.answer

    def answer(self, wish: Any) -> list[Event]:
        self.changes.append(wish.changes)
        return [
            AccountsSeen(
                cluster_id=wish.cluster_id, operation_id=wish.operation_id, accounts=self.lists, seen_at=utcnow()
            )
        ]

    @property
    def last(self) -> list[tuple[str, str, str, str]]:
        return [(one.action, one.database, one.user, one.privilege) for one in self.changes[-1]]


@pytest.fixture
def server(world: World, dtrove: Dtrove) -> Server:
    """Of a cluster that serves."""
    world.hear(DatastoreRegistered(id="pg", manager="pgsql", version="16", image="debian-12", packages=("postgresql",),
                                   name="pgsql - 16", min_ram_mb=256, dialect="pgsql"))  # fmt: skip
    assert dtrove("cluster", "create", "orders", "--datastore", "pgsql 16", "--wait").code == 0
    return Server(world)


def test_a_password_that_is_made_is_shown_once(server: Server, dtrove: Dtrove) -> None:
    server.lists = THERE
    assert dtrove("database", "create", "orders", "shop", "--collate", "C.UTF-8", "--wait").code == 0
    assert server.last == [("create_database", "shop", "", "")]
    done = dtrove("user", "create", "orders", "bob", "--database", "shop:read", "--wait", "--json")
    assert done.code == 0, done.err
    assert len(done.json["password"]) == 24
    assert server.last == [("create_user", "", "bob", ""), ("grant", "shop", "bob", "read")]
    shown = dtrove("user", "password", "orders", "ann", "--wait")
    assert "password" in shown.out
    assert "ann" in shown.out


def test_a_password_is_read_from_standard_input_and_shown_nowhere(
    server: Server, dtrove: Dtrove, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("hush hush hush\n"))
    done = dtrove("user", "create", "orders", "ann", "--password-stdin", "--wait")
    assert done.code == 0, done.err
    assert "hush" not in done.out + done.err
    monkeypatch.setattr(sys, "stdin", io.StringIO("short\n"))
    refused = dtrove("user", "create", "orders", "ann", "--password-stdin")
    assert refused.code == Exit.REFUSED
    assert "8 to 128 printable ASCII" in refused.err


def test_what_was_made_by_hand_is_shown_once_the_server_was_asked(server: Server, dtrove: Dtrove) -> None:
    before = dtrove("user", "list", "orders")
    assert "see what it has with --refresh" in before.err
    server.lists = THERE
    assert "read shop" in dtrove("user", "list", "orders", "--refresh").out
    assert server.last == []
    assert dtrove("database", "list", "orders", "--json").json[0]["name"] == "shop"


def test_grants_are_given_and_taken(server: Server, dtrove: Dtrove) -> None:
    server.lists = THERE
    dtrove("user", "list", "orders", "--refresh")
    assert dtrove("user", "grant", "orders", "ann", "shop", "--privilege", "write", "--wait").code == 0
    assert server.last == [("grant", "shop", "ann", "write")]
    assert dtrove("user", "revoke", "orders", "ann", "shop", "--wait").code == 0
    assert server.last == [("revoke", "shop", "ann", "")]
    assert dtrove("user", "revoke", "orders", "bob", "shop").code == Exit.NOT_FOUND


@pytest.mark.parametrize("words", [("database", "delete", "orders", "shop"), ("user", "delete", "orders", "ann")])
def test_what_is_deleted_is_asked_for_first(
    server: Server, dtrove: Dtrove, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    server.lists = THERE
    dtrove("user", "list", "orders", "--refresh")
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    assert dtrove(*words).code == 1
    assert len(server.changes) == 1
    assert dtrove(*words, "--yes", "--wait").code == 0
    assert len(server.changes) == 2


def test_the_superuser_is_let_in_and_no_more(server: Server, dtrove: Dtrove) -> None:
    server.lists = Accounts(root=True)
    done = dtrove("cluster", "root", "enable", "orders", "--wait", "--json")
    assert (done.json["username"], len(done.json["password"])) == ("postgres", 24)
    assert dtrove("cluster", "root", "show", "orders", "--json").json["enabled"]
    server.lists = Accounts()
    assert dtrove("cluster", "root", "disable", "orders", "--wait").code == 0
    assert not dtrove("cluster", "root", "show", "orders", "--json").json["enabled"]
