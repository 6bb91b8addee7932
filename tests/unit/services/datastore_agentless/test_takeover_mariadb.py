"""How MariaDB's nodes change places, and what is believed of where they stand."""

from __future__ import annotations

import pytest

from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.datastores.mysql import role, standings
from services.datastore_agentless.datastores.mysql.manager import MySQLManager
from services.datastore_agentless.datastores.mysql.topology import GtidReplication
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.domain.standing import Standing
from services.datastore_agentless.hosts.base import Put, Result, Run, Script
from shared.errors import Failure, Retryable
from shared.secrets import Secret
from tests.unit.services.datastore_agentless.scripted import ScriptedHost


def node(number: int) -> Instance:
    return Instance(id=str(number), cluster_id="c", name=f"shop-{number}", addr=f"10.0.0.{number}", admin_user="dtrove",
                    admin_password=Secret("admin"), replication_password=Secret("se'cr:et\\"))  # fmt: skip


PRIMARY, REPLICA, OTHER = node(1), node(2), node(3)
MANAGER = MySQLManager(Datastore(id="d", manager_class="x", manager="x", version="10.11", image=""))
TOPOLOGY = GtidReplication(MANAGER)
FOLLOWS, WRITES, FROZEN = standings.well("10.0.0.1"), standings.well(""), standings.well("", writable=False)
IO_COLUMNS = "Master_Host\tSlave_IO_Running\tSlave_SQL_Running\tSeconds_Behind_Master\tGtid_IO_Pos\tLast_SQL_Error\n"


def well(command: Run) -> Result:
    """What a host prints where all is well."""
    return Result(stdout=command.sample)


def told(host: ScriptedHost) -> str:
    """All that was said to the database."""
    words = [one.stdin for one in host.commands if isinstance(one, Run) and one.stdin]
    return "\n".join(one.reveal() if isinstance(one, Secret) else one for one in words)


def files(host: ScriptedHost) -> list[str]:
    """What the role file said, one after the other."""
    return [str(one.content) for one in host.commands if isinstance(one, Put) and one.path == role.ROLE_FILE]


@pytest.mark.parametrize(
    ("output", "standing"),
    [
        (WRITES, Standing(writable=True, received=7, position="0-1-7")),
        (FROZEN, Standing(writable=False, received=7, position="0-1-7")),
        (FOLLOWS, Standing(writable=False, received=7, position="0-1-7", follows="10.0.0.1", streams=True, lag_seconds=0.0)),
        # Received counts, applied or not; what it has written itself does not.
        ("read_only\thas\tapplied\n1\t0-3-99\t0-1-5,1-1-80\n" + IO_COLUMNS + "10.0.0.1\tConnecting\tYes\tNULL\t0-1-9,1-1-80\t\n",
         Standing(writable=False, received=9, position="0-1-9,1-1-80", follows="10.0.0.1")),
        # After a restart its line has received nothing yet.
        ("read_only\thas\tapplied\n1\t0-1-5\t0-1-5\n" + IO_COLUMNS + "10.0.0.1\tNo\tNo\tNULL\t\t\n",
         Standing(writable=False, received=5, position="0-1-5", follows="10.0.0.1")),
        ("read_only\thas\tapplied\n0\t\t\n", Standing(writable=True)),
    ],
)  # fmt: skip
def test_a_node_s_standing_is_what_its_database_says(output: str, standing: Standing) -> None:
    host = ScriptedHost(see_where_it_stands=output)
    assert host.drive(TOPOLOGY.standing(REPLICA, PRIMARY)) == standing
    (command,) = host.commands
    assert isinstance(command, Run)
    assert not command.changes


def test_a_simulated_replica_has_all_that_a_simulated_primary_had_when_it_was_frozen() -> None:
    host = ScriptedHost(**dict.fromkeys(("see_where", "take_no_more", "see_whether"), well))
    assert host.drive(TOPOLOGY.standing(PRIMARY, PRIMARY)).writable
    replica = host.drive(TOPOLOGY.standing(REPLICA, PRIMARY))
    assert (replica.writable, replica.follows, replica.streams) == (False, PRIMARY.addr, True)
    frozen = host.drive(TOPOLOGY.freeze(PRIMARY))
    assert not frozen.writable
    assert replica.received >= frozen.received > 0


def test_the_words_of_an_error_cannot_pass_for_a_position() -> None:
    error = "Error in 'x\\nGtid_IO_Pos\\t0-1-999'"
    output = "read_only\thas\tapplied\n1\t0-1-5\t0-1-5\n" + IO_COLUMNS + f"10.0.0.1\tYes\tNo\tNULL\t0-1-6\t{error}\n"
    assert standings.read(output).received == 6
    assert standings.trouble(output) == error
    with pytest.raises(Failure, match="a position that is none"):
        standings.read("read_only\thas\tapplied\n1\t0-1-5'; DROP\t0-1-5\n")


@pytest.mark.parametrize(("said", "waits"), [("1\n", "ON"), ("0\n", "OFF")])
def test_a_freeze_is_written_before_it_is_done_and_forgets_nothing_of_for_whom_commits_wait(
    said: str, waits: str
) -> None:
    host = ScriptedHost(see_whether_commits_wait=said, take_no_more=FROZEN)
    assert host.drive(TOPOLOGY.freeze(PRIMARY)).received == 7
    assert host.titles.index("write that it is frozen") < host.titles.index("take no more writes")
    (frozen,) = files(host)
    assert "read_only = ON" in frozen
    host.drive(TOPOLOGY.thaw(PRIMARY))
    thawed = files(host)[-1]
    assert "read_only" not in thawed
    for content in (frozen, thawed):
        assert f"rpl_semi_sync_master_enabled = {waits}\n" in content
    # Switched off, it would have a commit that waits acknowledged.
    assert "rpl_semi_sync_master_enabled =" not in told(host)


def test_a_freeze_cuts_off_whoever_is_logged_in_but_not_the_replicas() -> None:
    host = ScriptedHost(see_whether_commits_wait="1", take_no_more=FROZEN)
    host.drive(TOPOLOGY.freeze(PRIMARY))
    assert "KILL CONNECTION" in told(host)
    assert "'dtrove_replication'" in told(host)
    assert "lock_wait_timeout" in told(host)


def promotion(output: str = FOLLOWS, waited: str = "answer\n0\n") -> ScriptedHost:
    return ScriptedHost(see_whom_it_follows=output, see_what_it_has=output, see_that_it_has=waited)


def test_a_replica_applies_all_that_it_has_received_before_it_takes_writes() -> None:
    host = promotion()
    host.drive(TOPOLOGY.promote(REPLICA))
    assert host.titles == ["see whom it follows", "receive no more", "see what it has received", "see that it has applied it",
                           "follow nobody", "write that it takes writes", "take writes"]  # fmt: skip
    assert "MASTER_GTID_WAIT('0-1-7'" in told(host)
    # Nobody follows it yet: a commit that waited would stand still.
    assert "rpl_semi_sync_master_enabled = OFF\n" in files(host)[0]
    assert "read_only" not in files(host)[0]


def test_a_replica_that_still_applies_is_asked_again_later_and_not_promoted() -> None:
    host = promotion(waited="answer\n-1\n")
    with pytest.raises(Retryable, match="still applies"):
        host.drive(TOPOLOGY.promote(REPLICA))
    assert files(host) == []
    assert "RESET SLAVE" not in told(host)


def test_a_replica_that_cannot_apply_what_it_has_received_is_not_promoted_and_keeps_it() -> None:
    output = "read_only\thas\tapplied\n1\t0-1-5\t0-1-5\n" + IO_COLUMNS + "10.0.0.1\tNo\tNo\tNULL\t0-1-6\tError 1062\n"
    host = promotion(output, waited="answer\n-1\n")
    with pytest.raises(Failure, match="cannot apply what it has received: Error 1062"):
        host.drive(TOPOLOGY.promote(REPLICA))
    # With both threads stopped, a start throws the relay log away.
    assert "START SLAVE" not in told(host)
    assert "RESET SLAVE" not in told(host)


def test_who_was_promoted_before_the_crash_only_takes_writes() -> None:
    host = promotion(FROZEN)
    host.drive(TOPOLOGY.promote(REPLICA))
    assert host.titles == ["see whom it follows", "write that it takes writes", "take writes"]


def test_a_former_primary_follows_from_behind_its_own_last_transaction() -> None:
    host = ScriptedHost(see_whom_it_follows=FROZEN)
    host.drive(TOPOLOGY.demote(PRIMARY, REPLICA))
    assert files(host) == [role.READ_ONLY]
    assert host.titles[0] == "write that it only reads"
    said = told(host)
    assert said.index("gtid_slave_pos = @@GLOBAL.gtid_current_pos") < said.index(
        "CHANGE MASTER TO MASTER_HOST = '10.0.0.2'"
    )
    assert "rpl_semi_sync_master_enabled = OFF" in said
    assert "cr:et" not in host.lines


def test_a_replica_follows_another_primary_from_where_it_is() -> None:
    host = ScriptedHost(see_whom_it_follows=FOLLOWS)
    host.drive(TOPOLOGY.follow(OTHER, REPLICA))
    said = told(host)
    assert said.index("STOP SLAVE") < said.index("MASTER_HOST = '10.0.0.2'") < said.index("START SLAVE")
    assert "MASTER_PASSWORD = 'se''cr:et\\\\'" in said
    assert "gtid_slave_pos =" not in said
    assert "cr:et" not in host.lines


@pytest.mark.parametrize("script", [TOPOLOGY.follow(OTHER, PRIMARY), TOPOLOGY.demote(OTHER, PRIMARY)])
def test_who_follows_already_only_goes_on(script: Script) -> None:
    host = ScriptedHost(see_whom_it_follows=FOLLOWS)
    host.drive(script)
    assert host.titles == ["write that it only reads", "see whom it follows", "begin to follow"]


def test_a_reset_node_is_read_only_before_it_is_stopped_and_keeps_its_data() -> None:
    host = ScriptedHost()
    host.drive(TOPOLOGY.reset(PRIMARY))
    assert files(host) == [role.READ_ONLY]
    assert host.titles[:2] == ["write that it only reads", "stop mariadb"]
    assert host.titles[-1] == "forget the copy of before"
    last = host.commands[-1]
    assert isinstance(last, Run)
    assert last.line.split() == ["rm", "-f", "/var/lib/mysql/dtrove-copied-at", "&&", "rm", "-rf", "/var/lib/mysql.copy",
                                 "/var/lib/mysql.copy-failed"]  # fmt: skip


def test_a_primary_that_is_a_copy_itself_has_others_copied_whatever_its_log_says() -> None:
    log = "dtrove-bin.000001\t256\tGtid_list\t1\t285\t[]\n"
    for copied, needed in (("yes", True), ("no", False)):
        host = ScriptedHost(see_how_far_back="dtrove-bin.000001\t330\n", see_what_came=log, see_whether_the_data=copied)
        assert host.drive(TOPOLOGY.copying.needed(PRIMARY)) is needed


def test_letting_a_replica_in_takes_the_right_to_write_to_one_from_everybody_who_logs_in_from_elsewhere() -> None:
    host = ScriptedHost()
    host.drive(TOPOLOGY.admit(PRIMARY, REPLICA))
    assert "REVOKE READ_ONLY ADMIN" in told(host)
    assert "account.Host <> 'localhost'" in told(host)


def test_the_topology_is_the_one_of_mariadb_s_packages() -> None:
    manager: BaseManager = MANAGER
    assert isinstance(manager.topology, GtidReplication)
