"""Databases and users of PostgreSQL, by the statements that go to hosts, on a server of the suite's own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.datastore_agentless.datastores.pgsql.accounts import PostgresAccounts
from services.datastore_agentless.datastores.pgsql.manager import PostgresManager
from services.datastore_agentless.domain.account import Change
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Put, Result, Run
from shared.contracts.accounts import PGSQL, AccountGrant, Accounts, Action, Privilege
from shared.secrets import Secret
from shared.verifiers import scram_sha_256
from tests.support.postgres import PLACES, PrivatePostgres
from tests.unit.services.datastore_agentless.scripted import ScriptedHost

PRIMARY = Instance(id="i", cluster_id="c", name="shop-1", addr="10.0.0.1", admin_user="dtrove")


class LocalManager(PostgresManager):
    """Finds its programs here."""

    def program(self, name: str) -> str:
        return str(PLACES[0] / name)


KEEPER = PostgresAccounts(LocalManager(Datastore("d", "pgsql", "pgsql", "15", "debian-12", ["postgresql-15"])))


class Server(ScriptedHost):
    """Runs what is asked of psql on the suite's server, and writes no file."""

    def __init__(self, postgres: PrivatePostgres) -> None:
        super().__init__()
        self.postgres = postgres

    def _answer(self, command: Any) -> Result:
        if isinstance(command, Put):
            return Result(changed=False)
        assert isinstance(command, Run)
        text = command.stdin.reveal() if isinstance(command.stdin, Secret) else str(command.stdin)
        place = {"PGHOST": "127.0.0.1", "PGPORT": str(self.postgres.port), "PGUSER": "dtrove"}
        done = subprocess.run(["sh", "-c", command.line], input=text, capture_output=True, text=True, check=False,
                              env=os.environ | place)  # fmt: skip
        return Result(code=done.returncode, stdout=done.stdout, stderr=done.stderr)

    def change(self, action: Action, **values: Any) -> None:
        self.drive(KEEPER.change(PRIMARY, Change(action=action, **values)))

    def listed(self) -> Accounts:
        found = self.drive(KEEPER.look(PRIMARY, Accounts()))
        assert isinstance(found, Accounts)
        return found

    def rows(self, statement: str, *values: Any, database: str = "postgres", user: str = "dtrove") -> list[Any]:
        connection = psycopg2.connect(host="127.0.0.1", port=self.postgres.port, user=user, dbname=database)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()


@pytest.fixture(scope="module")
def running(postgres: PrivatePostgres) -> Server:
    server = Server(postgres)
    if not server.rows("select 1 from pg_roles where rolname = 'postgres'"):
        server.rows("create role postgres superuser login")
    return server


@pytest.fixture
def server(running: Server) -> Iterator[Server]:
    """It, without the accounts of this module afterwards."""
    before = {one.name for one in running.listed().databases}
    yield running
    left = running.listed()
    for one in left.databases:
        if one.name not in before:
            running.change(Action.DELETE_DATABASE, database=one.name)
    for user in left.users:
        running.change(Action.DELETE_USER, user=user.name)


def mine(listed: Accounts) -> dict[str, tuple[AccountGrant, ...]]:
    return {one.name: one.grants for one in listed.users}


def make(server: Server, database: str = "shop", **users: str) -> None:
    """A database, and users each with a privilege on it. Twice, as after a crash: that changes nothing."""
    for _ in range(2):
        server.change(Action.CREATE_DATABASE, database=database)
        for name, privilege in users.items():
            server.change(Action.CREATE_USER, user=name, verifier=Secret(scram_sha_256("pass-word", b"salt" * 4)))
            server.change(Action.GRANT, user=name, database=database, privilege=privilege)


def may(server: Server, user: str, statement: str) -> bool:
    try:
        server.rows(statement, database="shop", user=user)
    except psycopg2.errors.InsufficientPrivilege:
        return False
    return True


def test_what_was_made_is_listed_with_what_was_granted(server: Server) -> None:
    make(server, reader="read", writer="write", owner="all")
    listed = server.listed()
    assert "shop" in [one.name for one in listed.databases]
    assert mine(listed) == {
        name: (AccountGrant(privilege=privilege, database="shop"),)
        for name, privilege in (("reader", "read"), ("writer", "write"), ("owner", "all"))
    }
    assert not listed.root
    stored = server.rows("select rolpassword from pg_authid where rolname = 'reader'")
    assert stored == [(scram_sha_256("pass-word", b"salt" * 4),)]


def test_a_privilege_holds_for_tables_that_are_made_later_too(server: Server) -> None:
    make(server, reader="read", writer="write", owner="all", other="all")
    server.rows("create table fruit (id serial primary key, name text)", database="shop", user="owner")
    server.rows("create schema more create table nuts (name text)", database="shop", user="owner")
    assert may(server, "reader", "select * from fruit, more.nuts")
    assert not may(server, "reader", "insert into fruit (name) values ('pear')")
    assert may(server, "writer", "insert into fruit (name) values ('pear')")
    assert not may(server, "writer", "create table x ()")
    assert may(server, "other", "alter table fruit add column ripe bool"), "what one of them makes is everybody's"
    server.change(Action.CREATE_USER, user="nobody_", verifier=Secret(scram_sha_256("pass-word")))
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        server.rows("select 1", database="shop", user="nobody_")


def test_a_grant_takes_the_place_of_another_one_and_can_be_taken_away(server: Server) -> None:
    make(server, ann="all")
    held = psycopg2.connect(host="127.0.0.1", port=server.postgres.port, user="ann", dbname="shop")
    server.change(Action.GRANT, user="ann", database="shop", privilege="read")
    with pytest.raises(psycopg2.OperationalError), held.cursor() as cursor:
        cursor.execute("create table x ()")
    assert mine(server.listed())["ann"] == (AccountGrant(privilege="read", database="shop"),)
    assert not may(server, "ann", "create table x ()")
    for _ in range(2):
        server.change(Action.REVOKE, user="ann", database="shop")
    assert mine(server.listed())["ann"] == ()
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        server.rows("select 1", database="shop", user="ann")


def test_a_user_who_goes_leaves_what_was_his_to_the_administrator_and_nobody_connected(server: Server) -> None:
    make(server, ann="all")
    server.rows("create database hers owner ann")
    server.rows("create table mine (x int)", database="hers", user="ann")
    held = psycopg2.connect(host="127.0.0.1", port=server.postgres.port, user="ann", dbname="shop")
    for _ in range(2):
        server.change(Action.DELETE_USER, user="ann")
    with pytest.raises(psycopg2.OperationalError), held.cursor() as cursor:
        cursor.execute("select 1")
    assert server.rows("select tableowner from pg_tables where tablename = 'mine'", database="hers") == [("dtrove",)]
    assert "ann" not in mine(server.listed())


def test_a_database_goes_with_its_roles_whoever_is_connected(server: Server) -> None:
    make(server, ann="all")
    psycopg2.connect(host="127.0.0.1", port=server.postgres.port, user="ann", dbname="shop")
    for _ in range(2):
        server.change(Action.DELETE_DATABASE, database="shop")
    assert "shop" not in [one.name for one in server.listed().databases]
    assert server.rows("select rolname from pg_roles where rolname like 'dtrove_%%_%%'") == []
    assert mine(server.listed())["ann"] == ()


def test_a_database_that_was_made_by_hand_is_listed_and_can_be_granted(server: Server) -> None:
    server.rows("create database shop")
    server.rows("create table old (x int)", database="shop")
    server.change(Action.CREATE_USER, user="ann", verifier=Secret(scram_sha_256("pass-word")))
    server.change(Action.GRANT, user="ann", database="shop", privilege="read")
    assert may(server, "ann", "select * from old")
    assert mine(server.listed())["ann"] == (AccountGrant(privilege="read", database="shop"),)


def test_the_superuser_has_a_password_while_it_is_enabled(server: Server) -> None:
    verifier = Secret(scram_sha_256("pass-word"))
    server.change(Action.ENABLE_ROOT, verifier=verifier)
    assert server.listed().root
    server.change(Action.DISABLE_ROOT)
    assert not server.listed().root


def test_what_is_not_there_is_no_good_end(server: Server) -> None:
    make(server, ann="read")
    for action, values in (
        (Action.CHANGE_PASSWORD, {"user": "bob", "verifier": Secret(scram_sha_256("pass-word"))}),
        (Action.GRANT, {"user": "bob", "database": "shop", "privilege": "read"}),
        (Action.GRANT, {"user": "ann", "database": "nowhere", "privilege": "read"}),
    ):  # fmt: skip
        with pytest.raises(CommandFailed):
            server.change(action, **values)


NAMES = st.text(st.sampled_from("a'\"\\ %;:$`{}()=.,-?&#é漢🙂Z"), min_size=1, max_size=12).filter(
    lambda name: not PGSQL.objection_to_user(name) and not PGSQL.objection_to_database(name)
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(database=NAMES, user=NAMES, privilege=st.sampled_from([Privilege.READ, Privilege.WRITE, Privilege.ALL]))
def test_a_name_of_any_signs_means_that_name_and_nothing_else(
    server: Server, database: str, user: str, privilege: Privilege
) -> None:
    before = server.listed()
    server.change(Action.CREATE_DATABASE, database=database)
    server.change(Action.CREATE_USER, user=user, verifier=Secret(scram_sha_256("pass-word")))
    server.change(Action.GRANT, user=user, database=database, privilege=privilege)
    listed = server.listed()
    assert {one.name for one in listed.databases} == {*(one.name for one in before.databases), database}
    assert mine(listed)[user] == (AccountGrant(privilege=privilege, database=database),)
    server.change(Action.REVOKE, user=user, database=database)
    server.change(Action.DELETE_USER, user=user)
    server.change(Action.DELETE_DATABASE, database=database)
    assert server.listed() == before
