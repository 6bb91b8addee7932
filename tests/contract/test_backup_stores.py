"""What every backup store keeps to: parts go from a node to it and come back, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.datastore_agentless.backup_stores.base import BackupStore
from services.datastore_agentless.backup_stores.local import LocalStore
from tests.component.hosts.sshd import Sshd
from tests.contract.backups import KEY, MB, Node


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = Sshd(tmp_path_factory.mktemp("sshd")).start()
    yield server
    server.stop()


@pytest.fixture
def node(sshd: Sshd, tmp_path: Path) -> Iterator[Node]:
    made = Node(sshd, tmp_path / "node")
    made.folder.mkdir()
    made.write(12)
    yield made
    made.pool.close()


@pytest.fixture(params=["local"])
def store(request: pytest.FixtureRequest, tmp_path: Path, node: Node) -> BackupStore:
    return LocalStore("local", tmp_path / "store", part_bytes=5 * MB, spools=str(node.spools))


def stored(store: BackupStore, node: Node) -> tuple:
    way = store.begin(KEY, 12 * MB)
    sent = node.send(store, way)
    store.finish(KEY, way.token, sent.parts, b"{}")
    return sent.parts


def test_a_stream_comes_back_as_it_went(store: BackupStore, node: Node) -> None:
    way = store.begin(KEY, 12 * MB)
    sent = node.send(store, way)
    store.finish(KEY, way.token, sent.parts, b'{"a": 1}')
    assert sent.size_bytes == 12 * MB
    assert [part.number for part in sent.parts] == [1, 2, 3]
    assert node.receive(store, sent.parts) == node.data.read_bytes()
    assert store.manifest(KEY) == b'{"a": 1}'
    assert node.left_behind() == []
