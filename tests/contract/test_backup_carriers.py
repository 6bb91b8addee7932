"""Carriers: they go on after whatever happens to the line or to who started them, and say what they cannot do."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from services.datastore_agentless.backup_stores.base import Sending
from services.datastore_agentless.hosts.base import CommandFailed, Target
from services.datastore_agentless.hosts.prefix import fill
from shared.errors import Failure
from tests.component.hosts.sshd import Sshd
from tests.contract.backups import KEY, MB, LocalShelf, Node
from tests.support.installation import ROOT, wait_for
from tests.support.proxy import UploadProxy


@pytest.fixture
def shelf(tmp_path: Path, node: Node) -> LocalShelf:
    return LocalShelf(tmp_path / "store", node)


@pytest.fixture
def way(shelf: LocalShelf) -> Sending:
    return shelf.store.begin(KEY, 12 * MB)


@pytest.fixture
def line(sshd: Sshd) -> Iterator[UploadProxy]:
    made = UploadProxy(sshd.port)
    yield made
    made.close()


def comes_back(shelf: LocalShelf, node: Node, way: Sending, target: Target | None = None) -> bool:
    sent = node.send(shelf.store, way, target=target)
    shelf.store.finish(KEY, way.token, sent.parts, b"{}")
    return node.receive(shelf.store, sent.parts, target=target) == node.data.read_bytes()


def test_a_session_that_is_cut_in_the_middle_of_a_part_is_begun_anew(
    shelf: LocalShelf, node: Node, way: Sending, line: UploadProxy
) -> None:
    line.cut_after(7 * MB, reset=True)
    sent = node.send(shelf.store, way, target=replace(node.target, port=line.port))
    shelf.store.finish(KEY, way.token, sent.parts, b"{}")
    assert line.accepted == 2
    line.after, line.times = 7 * MB, 1
    assert node.receive(shelf.store, sent.parts, replace(node.target, port=line.port)) == node.data.read_bytes()
    assert line.struck == 1
    assert line.accepted == 4


def test_a_successor_goes_on_where_a_carrier_has_ended(shelf: LocalShelf, node: Node, way: Sending) -> None:
    node.write(30)
    with ThreadPoolExecutor(1) as beside:
        with shelf.store.carried(node.target, KEY, way):
            # Which no carrier brings to its end, for the block does not last.
            sending = beside.submit(node.run_send, way)
            wait_for(lambda: len(shelf.holds()) >= 2, 60, what="a part in the store")
        assert not sending.done()
        with shelf.store.carried(node.target, KEY, way):
            sent = sending.result(120)
    shelf.store.finish(KEY, way.token, sent.parts, b"{}")
    assert node.receive(shelf.store, sent.parts) == node.data.read_bytes()


def test_a_carrier_ends_with_whoever_has_started_it(tmp_path: Path, node: Node) -> None:
    code = (
        "import signal, sys; from pathlib import Path; from services.datastore_agentless.hosts.base import Target\n"
        "from services.datastore_agentless.backup_stores.local.carrying import Errand, carrying\n"
        "from shared.secrets import Secret\n"
        "port, user, known_host, passphrase, folder = sys.argv[1:]\n"
        "target = Target('node-1', '127.0.0.1', int(port), user, Secret(sys.stdin.read()), known_host, Secret(passphrase))\n"
        "with carrying(target, Errand(Path(folder), folder + '/spool', 3, 1)): print('up', flush=True); signal.pause()\n"
    )
    target = node.target
    command = [
        sys.executable,
        "-c",
        code,
        str(target.port),
        target.user,
        target.known_host,
        target.passphrase.reveal(),
        str(tmp_path),
    ]
    parent = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdin
    assert parent.stdout
    parent.stdin.write(target.private_key.reveal())
    parent.stdin.close()
    assert parent.stdout.readline() == "up\n"
    carrier = children(parent.pid)[0]
    ssh = wait_for(lambda: children(carrier), 60, what="a session")[0]
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    wait_for(
        lambda: not Path(f"/proc/{carrier}").exists() and not Path(f"/proc/{ssh}").exists(), what="the carrier's end"
    )


def children(pid: int) -> list[int]:
    done = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(one) for one in done.stdout.split()]


def test_a_host_that_is_another_than_the_pinned_one_gets_nothing(
    shelf: LocalShelf, node: Node, way: Sending, tmp_path: Path
) -> None:
    other = Sshd(tmp_path / "other")
    other.directory.mkdir()
    other.change_key()
    with pytest.raises(Failure, match="shows another host key than the pinned one"):
        node.send(shelf.store, way, target=replace(node.target, known_host=other.host_key))
    assert shelf.holds() == []
    assert node.left_behind() == []


def test_a_store_that_cannot_keep_a_part_ends_the_sending(shelf: LocalShelf, node: Node, way: Sending) -> None:
    shutil.rmtree(shelf.folder / KEY)
    with pytest.raises(Failure, match=r"part [123] cannot be kept"):
        node.send(shelf.store, way)


def test_a_job_does_not_wait_for_ever_for_a_carrier(node: Node, way: Sending) -> None:
    node.manner = replace(node.manner, patience=2)
    # Parts wait side by side, and any of them may give up first.
    with pytest.raises(CommandFailed, match=r"nobody has fetched part [123] within 2 s"):
        node.run_send(way)
    assert node.left_behind() == []


def test_a_carrier_goes_through_the_jump_host(shelf: LocalShelf, node: Node, way: Sending) -> None:
    # What is no address of this machine's is reached from there alone.
    assert comes_back(
        shelf, node, way, replace(node.target, addr="localhost", jump=replace(node.target, name="the jump host"))
    )


@pytest.mark.parametrize("rest", ['bash -c "$*"', '"$@"'], ids=["joins its arguments", "keeps its arguments"])
def test_a_carrier_works_behind_a_prefix(
    shelf: LocalShelf, node: Node, way: Sending, tmp_path: Path, rest: str
) -> None:
    program = tmp_path / "vzctl"
    program.write_text(f"#!/bin/bash\necho x >> {tmp_path}/calls\nshift 2\nexec {rest}\n")
    program.chmod(0o755)
    prefix = fill(f"{program} exec %(local_id)s ", {"local_id": "ct 101; echo '$x'"}, "root")
    assert comes_back(shelf, node, way, replace(node.target, prefix=prefix))
    assert (tmp_path / "calls").read_text() == "x\nx\n"


def test_a_shell_that_cannot_be_had_is_no_matter_of_patience(shelf: LocalShelf, node: Node, way: Sending) -> None:
    with pytest.raises(Failure, match="cannot be carried from"):
        node.send(shelf.store, way, target=replace(node.target, prefix="/no/such/program "))


def test_a_session_that_still_writes_leaves_nothing_on_a_node_whose_job_has_ended(
    shelf: LocalShelf, node: Node, way: Sending
) -> None:
    busy = "import os, sys\nwhile True:\n try: os.close(os.open(sys.argv[1], os.O_CREAT))\n except OSError: pass"
    with subprocess.Popen([sys.executable, "-c", busy, f"{way.spool}/.new.1"]) as writer:
        try:
            for _ in range(5):
                node.send(shelf.store, way)
                assert node.left_behind() == []
        finally:
            writer.kill()
