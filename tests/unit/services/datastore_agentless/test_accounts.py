"""What servers are told of databases and users, and what follows from that."""

from __future__ import annotations

import re
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.datastore_agentless.datastores.base.accounts import AccountKeeper
from services.datastore_agentless.datastores.mysql import grants
from services.datastore_agentless.datastores.mysql.manager import MySQLManager
from services.datastore_agentless.datastores.pgsql.manager import PostgresManager
from services.datastore_agentless.datastores.redis.manager import RedisManager
from services.datastore_agentless.domain.account import Change, after
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Put, Result, Run
from shared.contracts.accounts import MYSQL, PGSQL, REDIS, AccountDatabase, AccountGrant, Accounts, AccountUser, Action
from shared.errors import Failure
from shared.secrets import Secret
from shared.verifiers import scram_sha_256
from tests.unit.services.datastore_agentless.scripted import ScriptedHost

NODE = Instance(
    id="i", cluster_id="c", name="shop-1", addr="10.0.0.1", admin_user="boss", admin_password=Secret("admin")
)
CANARY = Secret("what-a-server-keeps-of-a-password")
ENTRIES = {"pgsql": ["postgresql-15"], "mysql": ["mariadb-server"], "redis": ["redis-server"]}
MANAGERS = {"pgsql": PostgresManager, "mysql": MySQLManager, "redis": RedisManager}
VERSIONS = {"pgsql": "15", "mysql": "10.11", "redis": "7.0"}
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=90)


def keeper(engine: str) -> AccountKeeper:
    found = MANAGERS[engine](Datastore("d", engine, engine, VERSIONS[engine], "debian-12", ENTRIES[engine])).accounts
    assert found is not None
    return found


def test_a_verifier_is_what_rfc_7677_has_as_its_example() -> None:
    salt = bytes.fromhex("5b6d99689d12358eeca04b141236fa81")
    assert scram_sha_256("pencil", salt) == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )
    assert scram_sha_256("pencil") != scram_sha_256("pencil"), "each has a salt of its own"


@pytest.mark.parametrize("engine", MANAGERS)
@pytest.mark.parametrize("action", [Action.CREATE_USER, Action.CHANGE_PASSWORD, Action.DELETE_USER, Action.GRANT])
@pytest.mark.parametrize("name", ["boss", "dtrove_replication", "new\nline", "of the server"])
def test_a_name_that_is_not_the_user_s_to_take_comes_to_no_server(engine: str, action: Action, name: str) -> None:
    user = {"pgsql": "postgres", "mysql": "root", "redis": "default"}[engine] if name == "of the server" else name
    host = ScriptedHost()
    with pytest.raises(Failure, match="a name was refused"):
        host.drive(keeper(engine).change(NODE, Change(action=action, user=user, verifier=CANARY)))
    assert host.commands == []


@pytest.mark.parametrize("engine", MANAGERS)
def test_what_is_kept_of_a_password_is_handed_over_as_a_secret_on_a_line_of_its_own_or_hidden(engine: str) -> None:
    for action in (Action.CREATE_USER, Action.CHANGE_PASSWORD, Action.ENABLE_ROOT):
        host = ScriptedHost()
        with pytest.raises(CommandFailed) if engine != "redis" else nullcontext():
            host.drive(
                keeper(engine).change(
                    NODE, Change(action=action, user="" if "root" in action else "ann", verifier=CANARY)
                )
            )
        told = [one for one in host.commands if isinstance(one, Run) and CANARY.reveal() in _input(one)]
        assert told
        for command in told:
            assert isinstance(command.stdin, Secret)
            assert command.hides or f"'{CANARY.reveal()}'" in _input(command).splitlines()
    assert CANARY.reveal() not in host.lines


def test_what_a_server_does_not_show_afterwards_is_no_good_end() -> None:
    for engine in ("pgsql", "mysql"):
        with pytest.raises(CommandFailed, match="the server does not show it"):
            ScriptedHost().drive(keeper(engine).change(NODE, Change(action=Action.REVOKE, user="ann", database="shop")))
    shows = ScriptedHost(let_ann=Result(stdout="OK\nuser default off\nuser ann on ~*\n"), see_what="OK\nOK\nOK\nOK\n",
                         read="user default off\nuser ann on\n")  # fmt: skip
    with pytest.raises(CommandFailed, match=r"user ann may .*other.* afterwards"):
        shows.drive(
            keeper("redis").change(NODE, Change(action=Action.GRANT, user="ann", privilege="read", patterns=("*",)))
        )


@given(NAMES)
def test_a_name_in_a_statement_of_mariadb_s_is_one_literal_that_means_it(name: str) -> None:
    assert re.fullmatch(r"'([^'\\]|''|\\\\)*'", grants.text(name), re.DOTALL)
    assert grants.text(name)[1:-1].replace("''", "'").replace("\\\\", "\\") == name
    assert re.fullmatch(r"`([^`]|``)*`", grants.identifier(name), re.DOTALL)
    assert not re.search(r"(?<!\\)(\\\\)*[_%]", grants.escaped(name)), "no name is a pattern"
    assert grants.unescaped(grants.escaped(name)) == name


@given(NAMES, st.sampled_from([PGSQL, MYSQL, REDIS]))
def test_a_name_that_is_let_through_fits_into_a_line_and_a_path(name: str, dialect: object) -> None:
    for objection in (dialect.objection_to_user, dialect.objection_to_database):  # type: ignore[attr-defined]
        if not objection(name):
            assert name
            assert len(name.encode()) <= 4 * 80
            assert len(name.splitlines()) == 1
            assert "/" not in name
            assert "\0" not in name


def test_replicas_of_redis_are_told_only_what_they_do_not_know() -> None:
    carried = Secret("user default off\nuser ann on #aa ~shop:* -@all +get\nuser bob on #bb ~* +@all")
    there = (
        "user default off\nuser boss on #xx ~* +@all\nuser eve on #ee ~* +@all\nuser ann on #aa ~shop:* +get -@all\n"
    )
    host = ScriptedHost(read_the_access_list=there, let_in=there)
    host.drive(keeper("redis").tell(NODE, (), carried))
    (told,) = [one for one in host.commands if isinstance(one, Run) and one.title.startswith("let in")]
    assert [line.split()[1] for line in _input(told).splitlines()[1:-1]] == ["DELUSER", "SETUSER"]
    files = [one for one in host.commands if isinstance(one, Put)]
    assert all(isinstance(one.content, Secret) for one in files)
    calm = ScriptedHost(read_the_access_list=there)
    calm.drive(
        keeper("redis").tell(
            NODE, (), Secret("user default off\nuser ann on #aa ~shop:* -@all +get\nuser eve on #ee ~* +@all")
        )
    )
    assert calm.titles == ["read the access list", "keep the access list"]


def test_what_a_server_lists_follows_from_what_was_changed() -> None:
    ann = {"user": "ann", "host": "%"}
    shop = Change(action=Action.CREATE_DATABASE, database="shop")
    made = after(Accounts(), [
        shop, shop, Change(action=Action.CREATE_USER, **ann), Change(action=Action.GRANT, **ann, database="shop", privilege="read"),
        Change(action=Action.GRANT, **ann, database="shop", privilege="write"), Change(action=Action.ENABLE_ROOT),
    ])  # fmt: skip
    granted = AccountUser(name="ann", host="%", grants=(AccountGrant(privilege="write", database="shop"),))
    assert made == Accounts(databases=(AccountDatabase(name="shop"),), users=(granted,), root=True)
    without = after(made, [Change(action=Action.DELETE_DATABASE, database="shop"), Change(action=Action.DISABLE_ROOT)])
    assert without == Accounts(users=(AccountUser(name="ann", host="%"),))
    assert after(without, [Change(action=Action.DELETE_USER, **ann)]) == Accounts()


def _input(command: Run) -> str:
    return command.stdin.reveal() if isinstance(command.stdin, Secret) else str(command.stdin)
