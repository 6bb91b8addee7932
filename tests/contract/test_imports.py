"""What every backup store keeps to for an import: a node gets an export back as it was sent, sealed or plain, and hears what was counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.datastore_agentless.backup_stores import transfer
from services.datastore_agentless.backup_stores.base import BackupStore
from services.datastore_agentless.backup_stores.transfer import Opening, Sent
from shared.errors import Failure
from shared.secrets import Secret
from tests.contract.backups import HASTY, KEY, MB, Node, Shelf
from tests.contract.test_exports import export

LOGIN = Secret("AUTH \"a\" 'b c'")


def imported(store: BackupStore, node: Node, sent: Sent, load: str, opening: Opening) -> tuple[str, ...]:
    """Have the node load what lies in the store."""
    way = store.fetching(KEY, sent.parts)
    identity = node.key.identity if opening.sealed else transfer.NONE
    script = transfer.receive(way, load, identity, "import", manner=HASTY, title="load the export", opening=opening)
    with store.carried(node.target, KEY, way) as check:
        said: tuple[str, ...] = node.run(script, check=check)
    return said


@pytest.mark.parametrize("sealed", [True, False])
def test_an_export_comes_in_as_it_was_sent_whether_it_is_sealed_or_not(shelf: Shelf, node: Node, sealed: bool) -> None:
    sent = export(shelf.store, node, node.key.recipient if sealed else "")
    load = f"cat > {node.back}; printf 'say %s\\n' '{{\"table\": \"a  b\"}}' >&4"
    assert imported(shelf.store, node, sent, load, Opening(sealed)) == ('{"table": "a  b"}',)
    assert node.back.read_bytes() == node.data.read_bytes()
    assert node.left_behind() == []


def test_the_login_reaches_what_loads_and_no_list_of_arguments(shelf: Shelf, node: Node, tmp_path: Path) -> None:
    node.data.write_bytes(b"all of it")
    sent = export(shelf.store, node)
    load = f"cat > {node.back}; printf '%s' \"$login\" > {tmp_path}/login; ps ax -o args > {tmp_path}/seen || true"
    imported(shelf.store, node, sent, load, Opening(sealed=False, login=LOGIN))
    assert (tmp_path / "login").read_text() == LOGIN.reveal()
    assert LOGIN.reveal() not in (tmp_path / "seen").read_text()


def test_an_engine_that_refuses_the_stream_fails_the_import_and_nothing_is_left(shelf: Shelf, node: Node) -> None:
    sent = export(shelf.store, node)
    with pytest.raises(Failure, match="ended with code 3"):
        imported(
            shelf.store,
            node,
            sent,
            f"head -c {MB} > /dev/null; echo 'ERROR: no such type' >&2; exit 3",
            Opening(sealed=False),
        )
    assert node.left_behind() == []


def test_a_part_that_is_not_as_it_was_fails_the_import(shelf: Shelf, node: Node) -> None:
    sent = export(shelf.store, node)
    shelf.corrupt(sent.parts, 2)
    with pytest.raises(Failure, match="not as it was stored"):
        imported(shelf.store, node, sent, "cat > /dev/null", Opening(sealed=False))
