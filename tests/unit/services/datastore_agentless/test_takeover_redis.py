"""How Redis's nodes are told to change places, and what is believed of where they stand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.datastore_agentless.datastores.redis.manager import RedisManager
from services.datastore_agentless.datastores.redis.topology import RedisReplication
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.domain.standing import Standing
from services.datastore_agentless.hosts.base import CommandFailed, Put, Result, Run
from shared.errors import Retryable
from shared.secrets import Secret
from tests.unit.services.datastore_agentless.scripted import ScriptedHost


def node(number: int) -> Instance:
    return Instance(id=f"n{number}", cluster_id="c", name=f"shop-{number}", addr=f"10.0.0.{number}", admin_user="dtrove",
                    admin_password=Secret("admin"), replication_password=Secret("w'o:rd"))  # fmt: skip


FORMER, CHOSEN = node(1), node(2)
REDIS = RedisReplication(RedisManager(Datastore("d", "redis", "redis", "7.0", "debian-12", ["redis-server"])))
UP = (
    "role:slave\r\nmaster_host:10.0.0.1\r\nmaster_link_status:up\r\nmaster_last_io_seconds_ago:{age}\r\n"
    "slave_repl_offset:70\r\nmaster_replid:ab\r\n"
)
DOWN = (
    "role:slave\nmaster_host:10.0.0.1\nmaster_link_status:down\nmaster_last_io_seconds_ago:-1\n"
    "master_link_down_since_seconds:{age}\nslave_repl_offset:70\nmaster_replid:ab\n"
)
LEADS = "role:master\r\nmaster_repl_offset:70\r\nmaster_replid:ab\r\n"
END = "min-replicas-to-write\n{number}\n"


@pytest.mark.parametrize(
    ("told", "standing"),
    [
        (LEADS + END.format(number=0), Standing(True, 70, "ab:70")),
        (LEADS + END.format(number=1), Standing(True, 70, "ab:70")),
        (LEADS + END.format(number=100), Standing(False, 70, "ab:70")),
        (UP.format(age=1) + END.format(number=0), Standing(False, 70, "ab:70", "10.0.0.1", True, 1.0)),
        (UP.format(age=40) + END.format(number=0), Standing(False, 70, "ab:70", "10.0.0.1", False, 40.0)),
        (DOWN.format(age=9) + END.format(number=0), Standing(False, 70, "ab:70", "10.0.0.1", False, 9.0)),
        (DOWN.format(age=-1) + END.format(number=0), Standing(False, 70, "ab:70", "10.0.0.1", False, None)),
    ],
)
def test_a_node_stands_where_redis_says_and_a_silent_primary_does_not_stream(told: str, standing: Standing) -> None:
    host = ScriptedHost(see_where_it_stands=f"OK\n{told}")
    assert host.drive(REDIS.standing(CHOSEN, FORMER)) == standing
    assert all(isinstance(one, Run) and not one.changes for one in host.commands)


@pytest.mark.parametrize("answer", [Result(code=1), Result(stdout="NOAUTH Authentication required.\n")])
def test_a_redis_that_does_not_say_where_it_stands_is_not_believed_to_stand_anywhere(answer: Result) -> None:
    with pytest.raises(CommandFailed):
        ScriptedHost(see_where_it_stands=answer).drive(REDIS.standing(CHOSEN, FORMER))


def test_a_primary_is_frozen_for_its_next_start_first_then_now_and_its_stream_stands_still() -> None:
    host = ScriptedHost(refuse_writes="OK\n" * 5, see_where_it_was_frozen=LEADS + END.format(number=100))
    assert host.drive(REDIS.freeze(FORMER)) == Standing(False, 70, "ab:70")
    written, asked, _ = host.commands
    assert isinstance(written, Put)
    assert "min-replicas-to-write 100\n" in str(written.content)
    assert isinstance(asked, Run)
    words = _told(asked)
    assert words.index("CONFIG SET min-replicas-to-write 100") < words.index("CLIENT PAUSE")


def test_a_primary_that_refuses_to_be_frozen_is_not_taken_for_frozen() -> None:
    with pytest.raises(CommandFailed, match="shop-1 is not frozen: ERR"):
        ScriptedHost(refuse_writes="OK\nERR unknown\nOK\n").drive(REDIS.freeze(FORMER))


def test_a_former_primary_stays_frozen_until_it_follows() -> None:
    host = ScriptedHost(**{"follow_shop-2": "OK\nERR no\n"})
    with pytest.raises(CommandFailed, match="shop-1 does not follow shop-2"):
        host.drive(REDIS.demote(FORMER, CHOSEN))
    assert host.titles[-1] == "follow shop-2"
    host = ScriptedHost()
    host.drive(REDIS.demote(FORMER, CHOSEN))
    assert host.titles.index("follow shop-2") < host.titles.index("end what a freeze has set")


def test_one_that_still_reads_its_data_is_asked_again() -> None:
    with pytest.raises(Retryable, match="still reads its data"):
        ScriptedHost(**{"follow_shop-2": "OK\nLOADING Redis is loading\n"}).drive(REDIS.join(FORMER, CHOSEN, CHOSEN))


def test_what_a_user_wants_replicas_for_is_wanted_again_after_a_freeze() -> None:
    host = ScriptedHost()
    host.drive(REDIS.thaw(replace(FORMER, parameters={"min-replicas-to-write": "1"})))
    assert "CONFIG SET min-replicas-to-write 1\n" in _told(host.commands[-1])
    host = ScriptedHost()
    host.drive(REDIS.promote(CHOSEN))
    assert "CONFIG SET min-replicas-to-write 0\n" in _told(host.commands[-1])


def test_data_that_may_have_parted_take_no_write_when_they_are_started() -> None:
    host = ScriptedHost()
    host.drive(REDIS.reset(FORMER))
    assert host.titles.index("write that it is frozen") < host.titles.index("start redis-server")
    assert "see that redis-server is gone" in host.titles


def test_whom_it_follows_and_whether_it_is_frozen_goes_before_all_that_a_user_has_set() -> None:
    text = REDIS.manager.render_config_file(replace(FORMER, parameters={"min-replicas-to-write": "0"}))
    assert text.index("include /etc/redis/dtrove-role.conf") > text.index("min-replicas-to-write 0")


def _told(command: object) -> str:
    stdin = getattr(command, "stdin", None)
    assert isinstance(stdin, Secret)
    return stdin.reveal()
