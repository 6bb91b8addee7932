"""What every backup store keeps to: parts go from a node to it and come back, whole or not at all."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from services.datastore_agentless.backup_stores import transfer
from services.datastore_agentless.backup_stores.base import Damaged, Part
from services.datastore_agentless.backup_stores.local import LocalStore
from services.datastore_agentless.domain.backup import Taken
from services.datastore_agentless.hosts.base import CommandFailed, Target
from services.datastore_agentless.hosts.simulated import SimulatedHosts, SimulatedRunner
from services.datastore_agentless.hosts.transcript import Transcript
from shared.errors import Cancelled, Failure, NotFound
from shared.secrets import Secret
from tests.contract.backups import KEY, MB, AgeKey, Node, Shelf


def test_a_stream_comes_back_as_it_went(shelf: Shelf, node: Node) -> None:
    store = shelf.store
    way = store.begin(KEY, 12 * MB)
    sent = node.send(store, way)
    store.finish(KEY, way.token, sent.parts, b'{"a": 1}')
    assert sent.size_bytes == 12 * MB
    assert [part.number for part in sent.parts] == [1, 2, 3]
    assert node.receive(store, sent.parts) == node.data.read_bytes()
    assert store.manifest(KEY) == b'{"a": 1}'
    assert node.left_behind() == []


def test_an_empty_stream_is_a_backup_as_well(shelf: Shelf, node: Node) -> None:
    node.data.write_bytes(b"")
    assert node.receive(shelf.store, node.store(shelf.store)) == b""


def test_what_runs_again_reads_what_it_has_done_already(shelf: Shelf, node: Node) -> None:
    store = shelf.store
    way = store.begin(KEY, 12 * MB)
    sent = node.send(store, way, task="once")
    again = store.begin(KEY, 12 * MB, way.token)
    assert node.send(store, again, task="once") == sent
    for _ in range(2):
        store.finish(KEY, again.token, sent.parts, b"{}")
    assert node.receive(store, sent.parts) == node.data.read_bytes()


@pytest.mark.fault(21)
def test_a_dump_that_fails_in_the_middle_is_never_finished(shelf: Shelf, node: Node) -> None:
    store = shelf.store
    way = store.begin(KEY, 12 * MB)
    with pytest.raises(CommandFailed, match="ended with code 7"):
        node.send(store, way, f"head -c {7 * MB} {node.data}; exit 7")
    assert node.left_behind() == []
    with pytest.raises(Failure):
        store.finish(KEY, way.token, (Part(1, 5 * MB, "0" * 64, "x"), Part(2, 2 * MB, "0" * 64, "y")), b"{}")
    store.abandon(KEY, way.token)
    with pytest.raises(NotFound):
        store.manifest(KEY)
    assert shelf.holds() == []


def test_every_command_of_a_dump_counts(shelf: Shelf, node: Node) -> None:
    way = shelf.store.begin(KEY, 12 * MB)
    with pytest.raises(CommandFailed):
        node.send(shelf.store, way, f"false | cat; cat {node.data}")


def test_a_try_after_a_failure_sends_everything_anew(shelf: Shelf, node: Node) -> None:
    store = shelf.store
    way = store.begin(KEY, 12 * MB)
    with pytest.raises(CommandFailed):
        node.send(store, way, f"cat {node.data}; exit 1", task="twice")
    sent = node.send(store, store.begin(KEY, 12 * MB, way.token), task="twice")
    store.finish(KEY, way.token, sent.parts, b"{}")
    assert node.receive(store, sent.parts) == node.data.read_bytes()


@pytest.mark.fault(22)
def test_whoever_is_not_told_the_key_gets_nothing(shelf: Shelf, node: Node) -> None:
    parts = node.store(shelf.store)
    with pytest.raises(CommandFailed) as raised:
        node.receive(shelf.store, parts, identity=AgeKey.make().identity)
    assert "no identity matched" in raised.value.stderr
    assert node.left_behind() == []


@pytest.mark.fault(22)
def test_a_part_that_was_changed_in_the_store_is_named(shelf: Shelf, node: Node) -> None:
    parts = node.store(shelf.store)
    shelf.corrupt(parts, 2)
    with pytest.raises(Damaged, match="part 2 is not as it was stored: its SHA-256 is another"):
        node.receive(shelf.store, parts)
    assert node.left_behind() == []


@pytest.mark.fault(22)
def test_a_backup_of_which_something_is_missing_is_not_fetched(shelf: Shelf, node: Node) -> None:
    parts = node.store(shelf.store)
    shelf.lose(parts, 2)
    with pytest.raises(Damaged, match="missing") as raised:
        shelf.store.fetching(KEY, parts)
    assert raised.value.key == KEY


@pytest.mark.fault(22)
def test_a_place_in_which_there_is_nothing_at_all_says_nothing_of_a_backup(shelf: Shelf, node: Node) -> None:
    parts = node.store(shelf.store)
    shelf.vanish()
    with pytest.raises(Failure) as raised:
        shelf.store.fetching(KEY, parts)
    assert not isinstance(raised.value, Damaged)


def test_several_backups_come_back_one_after_the_other_each_by_itself(shelf: Shelf, node: Node) -> None:
    store, chain, wholes = shelf.store, list[tuple[str, tuple[Part, ...]]](), list[bytes]()
    for number, megabytes in enumerate((12, 1, 7)):
        node.write(megabytes)
        wholes.append(node.data.read_bytes())
        chain.append((f"project/cluster/backup-{number}", node.store(store, f"project/cluster/backup-{number}")))
    way = store.fetching_all(chain)
    assert [one.count for one in way.streams] == [3, 1, 2]
    with store.carried(node.target, chain[-1][0], way) as check:
        node.fetch(way, f'cat > {node.folder}/back-"$1"; cp {node.folder}/back-"$1" {node.back}', check=check)
    assert [Path(node.folder, f"back-{number}").read_bytes() for number in (1, 2, 3)] == wholes
    assert node.left_behind() == []


@pytest.mark.fault(22)
def test_a_chain_with_a_damaged_part_is_not_fetched_any_further_and_the_backup_is_named(
    shelf: Shelf, node: Node
) -> None:
    store = shelf.store
    chain = [(key, node.store(store, key)) for key in (KEY, "project/cluster/upon")]
    shelf.corrupt(chain[0][1], 2)
    way = store.fetching_all(chain)
    with (
        store.carried(node.target, chain[-1][0], way) as check,
        pytest.raises(Damaged, match=f"part 2 of {KEY} is not as it was stored") as raised,
    ):
        node.fetch(way, check=check)
    assert raised.value.key == KEY
    assert node.left_behind() == []
    shelf.lose(chain[0][1], 2)
    with pytest.raises(Failure, match=f"{KEY} .*missing|missing.* {KEY}|{KEY} is missing"):
        store.fetching_all(chain)


@pytest.mark.fault(21)
def test_a_part_that_never_came_keeps_a_backup_from_being_finished(shelf: Shelf, node: Node) -> None:
    store = shelf.store
    way = store.begin(KEY, 12 * MB)
    sent = node.send(store, way)
    more = (*sent.parts, Part(4, 5, "0" * 64, "x"))
    with pytest.raises(Failure, match=r"part 4 .* is missing"):
        store.finish(KEY, way.token, more, b"{}")


def test_what_the_data_remember_of_a_backup_is_told_beside_its_stream(shelf: Shelf, node: Node) -> None:
    way = shelf.store.begin(KEY, 12 * MB)
    sent = node.send(shelf.store, way, f"cat {node.data}; echo taken some-name 900 >&7")
    assert (sent.taken, sent.size_bytes) == (Taken("some-name", "900"), 12 * MB)


def test_a_load_that_fails_fails_the_whole(shelf: Shelf, node: Node) -> None:
    way = shelf.store.fetching(KEY, node.store(shelf.store))
    with shelf.store.carried(node.target, KEY, way) as check, pytest.raises(CommandFailed, match="ended with code 9"):
        node.fetch(way, "head -c 10 > /dev/null; exit 9", check=check)
    assert node.left_behind() == []


def test_a_load_that_has_enough_early_is_no_failure(shelf: Shelf, node: Node) -> None:
    way = shelf.store.fetching(KEY, node.store(shelf.store))
    with shelf.store.carried(node.target, KEY, way) as check:
        assert node.fetch(way, f"head -c 10 > {node.back}", check=check) == node.data.read_bytes()[:10]


def test_a_transfer_that_is_cancelled_leaves_nothing_on_the_node(shelf: Shelf, node: Node) -> None:
    way = shelf.store.begin(KEY, 12 * MB)
    heard: list[str] = []

    def check() -> None:
        if heard:
            raise Cancelled("enough")

    script = transfer.send(way, f"cat {node.data}; sleep 600", node.key.recipient, "send", manner=node.manner)
    with shelf.store.carried(node.target, KEY, way), pytest.raises(Cancelled):
        node.run(script, check=check, on_progress=lambda title, percent: heard.append(title))
    assert node.left_behind() == []


def test_a_backup_that_was_removed_is_gone_however_often(shelf: Shelf, node: Node) -> None:
    node.store(shelf.store)
    assert shelf.holds() != []
    for _ in range(2):
        shelf.store.remove(KEY)
    assert shelf.holds() == []
    with pytest.raises(NotFound):
        shelf.store.manifest(KEY)


def test_a_backup_that_is_whole_is_not_written_over(shelf: Shelf, node: Node) -> None:
    parts = node.store(shelf.store)
    with pytest.raises(Failure, match="is whole already"):
        shelf.store.begin(KEY, 12 * MB)
    assert node.receive(shelf.store, parts) == node.data.read_bytes()


def test_what_was_begun_and_abandoned_leaves_nothing_in_the_store(shelf: Shelf, node: Node) -> None:
    way = shelf.store.begin(KEY, 12 * MB)
    node.send(shelf.store, way)
    for _ in range(2):
        shelf.store.abandon(KEY, way.token)
    assert shelf.holds() == []


def test_a_beginning_whose_token_was_lost_leaves_nothing_behind(shelf: Shelf, node: Node) -> None:
    shelf.store.begin(KEY, 12 * MB)
    way = shelf.store.begin(KEY, 12 * MB)
    shelf.store.abandon(KEY, way.token)
    assert shelf.holds() == []


def test_a_store_that_answers_is_reached(shelf: Shelf) -> None:
    shelf.store.reach()
    assert shelf.holds() == []


def test_no_secret_shows_in_arguments_files_or_what_is_recorded(shelf: Shelf, node: Node, tmp_path: Path) -> None:
    store = shelf.store
    way = store.begin(KEY, 12 * MB)
    spy = f"until ps -A -o args= | grep -q '^age -'; do :; done; ps -A -o args= >> {tmp_path}/ps; env >> {tmp_path}/env"
    transcript = Transcript("node-1")
    sent = node.send(store, way, f"{spy}; cat {node.data}", transcript=transcript)
    store.finish(KEY, way.token, sent.parts, b"{}")
    back = store.fetching(KEY, sent.parts)
    with store.carried(node.target, KEY, back) as check:
        node.fetch(back, f"{spy}; cat > {node.back}", check=check, transcript=transcript)
    private = next(line for line in node.key.identity.reveal().splitlines() if line.startswith("AGE-SECRET-KEY"))
    secrets = [private, node.sshd.key.passphrase.reveal(), *way.urls.reveal().split(), *back.urls.reveal().split()[:1]]
    jobs = Path(node.folder, "dtrove")
    shown = (tmp_path / "ps").read_text() + (tmp_path / "env").read_text() + repr(transcript.entries)
    assert "age -r" in shown
    assert "age -d" in shown
    for secret in secrets:
        assert secret not in shown
        assert subprocess.run(["grep", "-rqF", "-e", secret, jobs], check=False).returncode == 1


def test_progress_tells_how_much_has_gone(shelf: Shelf, node: Node) -> None:
    told: list[tuple[str, int | None]] = []
    parts = node.store(shelf.store)
    node.receive(shelf.store, parts, on_progress=lambda title, percent: told.append((title, percent)))
    assert told[-1] == ("fetched 12 MB", 99)


def test_a_simulated_host_has_a_backup_of_no_parts(shelf: Shelf, node: Node) -> None:
    target = Target("node-1", "node-1.invalid", 22, "root", Secret("x"), "ssh-ed25519 AAAA")
    runner = SimulatedRunner(
        target=target, task_id="t", epoch=1, transcript=Transcript("node-1"), hosts=SimulatedHosts()
    )
    way = shelf.store.begin(KEY, MB)
    with shelf.store.carried(target, KEY, way):
        sent = runner.execute(transfer.send(way, "dump", "age1x", "send"))
    shelf.store.finish(KEY, way.token, sent.parts, b"{}")
    back = shelf.store.fetching(KEY, sent.parts)
    with shelf.store.carried(target, KEY, back):
        runner.execute(transfer.receive(back, "load", node.key.identity, "receive"))
    assert sent == transfer.Sent((), 0)


def test_no_key_leads_out_of_the_folder_of_a_store(tmp_path: Path) -> None:
    store = LocalStore("local", tmp_path / "store")
    for key in ("../out", "/etc", "a/../../b", "", "a//b", "a\nb", ".hidden"):
        with pytest.raises(Failure, match="is no key of a backup"):
            store.remove(key)
