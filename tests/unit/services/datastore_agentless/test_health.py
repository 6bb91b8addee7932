"""What four witnesses' words come to: the truth table, and what is held from one look to the next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from services.datastore_agentless.domain.health import (
    Disk,
    Engine,
    Judgement,
    Limits,
    Machine,
    Peer,
    Port,
    Provider,
    Shell,
    Statement,
    Verdict,
    judge,
    worst,
)
from services.datastore_agentless.domain.record import Record, after, in_doubt, is_slow
from shared.clock import ManualClock

MB = 1024 * 1024
ROOM = Disk(9_000 * MB, 10_000 * MB)
HOST = Machine("boot", 100.0, 0.1, 500 * MB, 1000 * MB, 0.0, {"data": ROOM, "root": ROOM, "tmp": ROOM}, True)
NOW = ManualClock().now()


@dataclass(frozen=True)
class Stands:
    writable: bool = False
    received: int = 0
    position: str = ""
    follows: str = "10.0.0.1"
    streams: bool = True
    lag_seconds: float | None = 0.0


UP, SILENT = Shell(True, machine=HOST), Shell(False, "it does not answer")
PRIMARY = Engine(True, standing=Stands(writable=True, follows="", streams=False))
GREETS, MUTE = Port(True), Port(False, "Connection refused")
RECEIVES, RECEIVES_NOT = Peer("shop-2", True), Peer("shop-3", False)
RUNS, IS_OFF, UNKNOWN = Provider("ACTIVE"), Provider("SHUTOFF"), Provider("", "the provisioner did not answer")


def of_primary(shell: Shell = UP, engine: Engine | None = PRIMARY, **more: Any) -> Statement:
    return Statement("shop-1", True, shell, engine, primary_name="shop-1", primary_addr="10.0.0.1", **more)


def of_replica(**standing: Any) -> Statement:
    engine = Engine(True, standing=Stands(**standing))
    return Statement("shop-2", False, UP, engine, primary_name="shop-1", primary_addr="10.0.0.1")


def with_disks(said: Statement, **disks: Disk) -> Statement:
    machine = replace(HOST, disks={**HOST.disks, **disks})
    return replace(said, shell=Shell(True, machine=machine))


DEAD = Engine(False, "its process does not run")
TABLE = [
    ("a primary that takes writes", of_primary(), Verdict.OK),
    ("a node of a cluster of one", of_primary(engine=Engine(True)), Verdict.OK),
    ("a replica that receives", of_replica(), Verdict.OK),
    ("no SSH, the port answers", of_primary(SILENT, None, port=GREETS), Verdict.SSH_DOWN_DB_UP),
    ("no SSH, no port, a replica receives", of_primary(SILENT, None, port=MUTE, peers=(RECEIVES, RECEIVES_NOT)), Verdict.NET_SPLIT),
    ("the same, and the provider says that it runs",
     of_primary(SILENT, None, port=MUTE, peers=(RECEIVES,), provider=RUNS), Verdict.NET_SPLIT),
    ("the same, and the provider says that it is off",
     of_primary(SILENT, None, port=MUTE, peers=(RECEIVES,), provider=IS_OFF), Verdict.HOST_DOWN),
    ("nothing, and the provider says that it is off", of_primary(SILENT, None, port=MUTE, provider=IS_OFF), Verdict.HOST_DOWN),
    ("nothing, and the provider says that it is gone",
     of_primary(SILENT, None, port=MUTE, provider=Provider("DELETED")), Verdict.HOST_DOWN),
    ("nothing, no replica receives, though the server runs",
     of_primary(SILENT, None, port=MUTE, peers=(RECEIVES_NOT,), provider=RUNS), Verdict.HOST_DOWN),
    ("nothing, no replica could be asked, the server runs", of_primary(SILENT, None, port=MUTE, provider=RUNS), Verdict.NET_SPLIT),
    ("nothing, and the provider does not say", of_primary(SILENT, None, port=MUTE, provider=UNKNOWN), Verdict.HOST_DOWN),
    ("no SSH, and a datastore without a port", of_primary(SILENT, None, provider=IS_OFF), Verdict.HOST_DOWN),
    ("SSH works, the engine is dead", of_primary(engine=DEAD, port=MUTE), Verdict.DB_DOWN),
    ("SSH works, the engine hangs, its port greets", of_primary(engine=Engine(False, "it took too long"), port=GREETS), Verdict.DB_DOWN),
    ("a primary that takes no writes", of_primary(engine=Engine(True, standing=Stands())), Verdict.REPLICATION_BROKEN),
    ("a replica that takes writes", of_replica(writable=True), Verdict.REPLICATION_BROKEN),
    ("a replica that follows nobody", of_replica(follows="", streams=False), Verdict.REPLICATION_BROKEN),
    ("a replica that follows another", of_replica(follows="10.0.0.9"), Verdict.REPLICATION_BROKEN),
    ("a replica that receives nothing", of_replica(streams=False), Verdict.REPLICATION_BROKEN),
    ("a replica that is behind", of_replica(lag_seconds=31.0), Verdict.LAGGING),
    ("a replica that is behind, but not much", of_replica(lag_seconds=30.0), Verdict.OK),
    ("a replica of which nobody knows how far it is behind", of_replica(lag_seconds=None), Verdict.OK),
    ("another host key", of_primary(Shell(False, "another key", wrong_key=True), None), Verdict.IDENTITY_MISMATCH),
    ("the data's disk nearly full", with_disks(of_primary(), data=Disk(499 * MB, 10_000 * MB)), Verdict.DISK_FULL),
    ("the data's disk with less than 256 MB", with_disks(of_primary(), data=Disk(255 * MB, 2_000 * MB)), Verdict.DISK_FULL),
    ("the data's disk with just enough", with_disks(of_primary(), data=Disk(256 * MB, 2_000 * MB)), Verdict.OK),
    ("a small disk of data, half of it free", with_disks(of_primary(), data=Disk(100 * MB, 200 * MB)), Verdict.OK),
    ("a small disk for temporary files", with_disks(of_primary(), tmp=Disk(40 * MB, 50 * MB)), Verdict.OK),
    ("a disk for temporary files that is full", with_disks(of_primary(), tmp=Disk(0, 50 * MB)), Verdict.DISK_FULL),
    ("a replica that is behind, its disk full", with_disks(of_replica(lag_seconds=99.0), data=Disk(0, 1)), Verdict.DISK_FULL),
    ("an engine that died while the disk gets full", with_disks(of_primary(engine=DEAD), data=Disk(200 * MB, 10_000 * MB)), Verdict.DB_DOWN),
    ("an engine that died of a full disk", with_disks(of_primary(engine=DEAD), data=Disk(0, 10_000 * MB)), Verdict.DISK_FULL),
]  # fmt: skip


@pytest.mark.parametrize(("said", "verdict"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_truth_table(said: Statement, verdict: Verdict) -> None:
    found, sentence, evidence = judge(said)
    assert found == verdict, sentence
    assert sentence.startswith(said.name)
    assert evidence["ssh"]


def test_each_verdict_has_a_row_in_the_table() -> None:
    assert {row[2] for row in TABLE} == set(Verdict)


def test_a_full_disk_is_named_with_what_is_left() -> None:
    _, sentence, _ = judge(with_disks(of_primary(), tmp=Disk(1 * MB, 50 * MB)))
    assert sentence == "shop-1 has only 1 MB (2.0 %) free on its disk for temporary files"


def test_a_dead_engine_s_sentence_names_the_disk_that_gets_full_as_well() -> None:
    _, sentence, _ = judge(with_disks(of_primary(engine=DEAD), data=Disk(200 * MB, 10_000 * MB)))
    assert "its process does not run; besides, it has only 200 MB" in sentence


def test_the_evidence_holds_the_words_of_those_who_were_asked_and_of_nobody_else() -> None:
    _, _, evidence = judge(of_primary(SILENT, None, port=MUTE, peers=(RECEIVES, RECEIVES_NOT), provider=UNKNOWN))
    assert evidence == {
        "ssh": "it does not answer",
        "port": "Connection refused",
        "peers": "shop-2 receives from it, shop-3 receives nothing from it",
        "provider": "the provisioner did not answer",
    }
    assert judge(of_primary())[2] == {"ssh": "answers", "database": "answers"}


def test_how_far_a_replica_may_be_behind_can_be_said() -> None:
    assert judge(of_replica(lag_seconds=6.0), Limits(lag_seconds=5.0))[0] == Verdict.LAGGING


def test_the_worst_verdict_is_found_and_an_unknown_one_is_worse_than_all() -> None:
    assert worst(["OK", "HOST_DOWN", "DB_DOWN"]) == "HOST_DOWN"
    assert worst(["IDENTITY_MISMATCH", "ON_FIRE"]) == "ON_FIRE"
    assert worst([]) == "OK"


def held(verdict: Verdict = Verdict.OK, **values: Any) -> Record:
    return Record("i", "c", str(verdict), "words", **{"since": NOW, "seen_at": NOW, **values})


def seen(known: Record | None, verdict: Verdict, seconds: float) -> Record:
    return after(known, Judgement(verdict, "new words"), "i", "c", NOW + timedelta(seconds=seconds))


def test_a_change_for_the_worse_counts_only_when_it_was_seen_twice() -> None:
    once = seen(held(), Verdict.DB_DOWN, 10)
    assert (once.verdict, once.suspicion, once.message) == ("OK", "DB_DOWN", "words")
    # Nobody has seen it well at that moment: what is held grows old.
    assert once.seen_at == NOW
    twice = seen(once, Verdict.HOST_DOWN, 11)
    assert (twice.verdict, twice.suspicion, twice.message) == ("HOST_DOWN", "", "new words")
    assert twice.since == twice.seen_at == NOW + timedelta(seconds=11)


def test_a_change_for_the_better_counts_at_once_and_a_false_alarm_leaves_no_trace() -> None:
    better = seen(held(Verdict.HOST_DOWN), Verdict.LAGGING, 10)
    assert (better.verdict, better.since) == ("LAGGING", NOW + timedelta(seconds=10))
    again = seen(seen(held(), Verdict.DB_DOWN, 10), Verdict.OK, 11)
    assert (again.verdict, again.suspicion, again.since) == ("OK", "", NOW)
    assert again.seen_at == NOW + timedelta(seconds=11)


def test_what_was_seen_first_is_believed() -> None:
    assert seen(None, Verdict.DB_DOWN, 0).verdict == "DB_DOWN"


def test_a_node_is_in_doubt_while_it_is_suspected_and_for_a_minute_after_it_got_worse() -> None:
    assert not in_doubt(held(), NOW)
    assert in_doubt(held(suspicion="DB_DOWN"), NOW)
    assert in_doubt(held(Verdict.DB_DOWN), NOW + timedelta(seconds=59))
    assert not in_doubt(held(Verdict.DB_DOWN), NOW + timedelta(seconds=61))


def test_only_a_node_that_does_not_answer_is_slow() -> None:
    assert is_slow(held(Verdict.HOST_DOWN))
    assert is_slow(held(suspicion="NET_SPLIT"))
    assert not is_slow(held(Verdict.DISK_FULL))
