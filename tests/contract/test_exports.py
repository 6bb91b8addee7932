"""What every backup store keeps to for whoever reads without DTrove: all parts are one file, which the usual tools open."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
import requests

from services.datastore_agentless.backup_stores import transfer
from services.datastore_agentless.backup_stores.base import BackupStore
from services.datastore_agentless.backup_stores.transfer import Matter, Sent
from shared.errors import Failure
from tests.contract.backups import HASTY, KEY, MB, Node, Shelf

EXPORT = Matter("export", summed=True)
NAME = "shop-1.sql.zst"


def export(store: BackupStore, node: Node, recipient: str = "", before: str = "") -> Sent:
    """Have the node's data in the store, as an export."""
    way = store.begin(KEY, 12 * MB)
    script = transfer.send(way, f"{before}cat {node.data}", recipient, "export", manner=HASTY, matter=EXPORT)
    with store.carried(node.target, KEY, way) as check:
        sent: Sent = node.run(script, check=check)
    store.finish(KEY, way.token, sent.parts, b"{}")
    return sent


def content(store: BackupStore, sent: Sent) -> bytes:
    """What who has no DTrove gets."""
    found = store.content(KEY, sent.parts, NAME)
    if not found.url:
        return b"".join(Path(name).read_bytes() for name in found.files)
    answer = requests.get(found.url.reveal(), timeout=30)
    # A store may say it once more, in the newer form.
    assert answer.headers["Content-Disposition"].partition("; filename*=")[0] == f'attachment; filename="{NAME}"'
    part = requests.get(found.url.reveal(), headers={"Range": "bytes=5-9"}, timeout=30)
    assert (part.status_code, part.content) == (206, answer.content[5:10])
    return answer.content


def test_an_export_is_one_file_that_zstd_opens_and_whose_sum_is_told(shelf: Shelf, node: Node) -> None:
    sent = export(shelf.store, node)
    got = content(shelf.store, sent)
    assert len(sent.parts) > 1
    assert hashlib.sha256(got).hexdigest() == sent.sha256
    assert subprocess.run(["zstd", "-dc"], input=got, capture_output=True, check=True).stdout == node.data.read_bytes()
    assert node.left_behind() == []


def test_one_that_is_encrypted_is_opened_by_its_key_alone(shelf: Shelf, node: Node, tmp_path: Path) -> None:
    got = content(shelf.store, export(shelf.store, node, node.key.recipient))
    key = tmp_path / "shop-1.key"
    key.write_text(node.key.identity.reveal())
    opened = subprocess.run(["age", "-d", "-i", str(key)], input=got, capture_output=True, check=True).stdout
    assert (
        subprocess.run(["zstd", "-dc"], input=opened, capture_output=True, check=True).stdout == node.data.read_bytes()
    )


def test_what_the_engine_says_beside_its_data_is_heard_and_is_not_among_them(shelf: Shelf, node: Node) -> None:
    node.data.write_bytes(b"all of it")
    before = "printf 'say %s\\n' '{\"table\": \"a  b\"}' >&7; "
    sent = export(shelf.store, node, before=before)
    assert sent.said == ('{"table": "a  b"}',)
    packed = content(shelf.store, sent)
    assert subprocess.run(["zstd", "-dc"], input=packed, capture_output=True, check=True).stdout == b"all of it"


def test_a_backup_says_no_sum(shelf: Shelf, node: Node) -> None:
    way = shelf.store.begin(KEY, 12 * MB)
    assert node.send(shelf.store, way).sha256 == ""


def test_an_export_that_fails_in_the_middle_leaves_nothing_on_its_node(shelf: Shelf, node: Node) -> None:
    way = shelf.store.begin(KEY, 12 * MB)
    script = transfer.send(way, f"head -c {7 * MB} {node.data}; exit 7", "", "export", manner=HASTY, matter=EXPORT)
    with shelf.store.carried(node.target, KEY, way) as check, pytest.raises(Failure, match="ended with code 7"):
        node.run(script, check=check)
    assert node.left_behind() == []


def test_an_export_of_which_something_is_missing_is_not_handed_out(shelf: Shelf, node: Node) -> None:
    sent = export(shelf.store, node)
    shelf.lose(sent.parts, 1)
    with pytest.raises(Failure, match="missing"):
        shelf.store.content(KEY, sent.parts, NAME)
