"""An S3 that stumbles: what passes is tried again part by part, what does not is said at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.datastore_agentless.backup_stores.s3.place import S3Place
from services.datastore_agentless.backup_stores.s3.store import S3Store
from services.datastore_agentless.hosts.base import CommandFailed
from shared.errors import Failure, NotFound, Retryable
from shared.secrets import Secret
from tests.contract.backups import KEY, MB, Node, S3Shelf
from tests.support.proxy import UploadProxy
from tests.support.s3 import S3


@pytest.fixture
def line(s3: S3) -> Iterator[UploadProxy]:
    made = UploadProxy(s3.port)
    yield made
    made.close()


@pytest.fixture
def shelf(s3: S3, line: UploadProxy) -> S3Shelf:
    return S3Shelf(s3, f"http://127.0.0.1:{line.port}")


@pytest.mark.fault(21)
def test_a_store_that_is_busy_is_asked_again(s3: S3, shelf: S3Shelf, node: Node) -> None:
    busy = s3.order("PUT", "503 Slow Down", "SlowDown", times=2)
    parts = node.store(shelf.store)
    lost = s3.order("GET", "500 Internal Server Error", "InternalError", times=2)
    assert node.receive(shelf.store, parts) == node.data.read_bytes()
    assert (busy.struck, lost.struck) == (2, 2)


@pytest.mark.fault(21)
def test_a_line_that_was_too_slow_for_the_store_is_tried_again(s3: S3, shelf: S3Shelf, node: Node) -> None:
    slow = s3.order("PUT", "400 Bad Request", "RequestTimeout")
    assert node.receive(shelf.store, node.store(shelf.store)) == node.data.read_bytes()
    assert slow.struck == 1


@pytest.mark.fault(21)
@pytest.mark.parametrize("mute", [False, True], ids=["reset", "silent"])
def test_an_upload_that_breaks_in_mid_part_is_tried_again(
    line: UploadProxy, shelf: S3Shelf, node: Node, mute: bool
) -> None:
    node.manner = replace(node.manner, silence=5)
    line.after, line.times, line.mute = 2 * MB, 2, mute
    assert node.receive(shelf.store, node.store(shelf.store)) == node.data.read_bytes()
    assert line.struck == 2


@pytest.mark.fault(21)
def test_a_download_that_breaks_in_mid_part_is_tried_again(line: UploadProxy, shelf: S3Shelf, node: Node) -> None:
    parts = node.store(shelf.store)
    way = shelf.store.fetching(KEY, parts)
    line.cut_after(2 * MB, reset=True)
    assert node.fetch(way) == node.data.read_bytes()
    assert line.cuts == 1


@pytest.mark.fault(21)
def test_a_url_that_has_expired_is_told_at_once(s3: S3, shelf: S3Shelf, node: Node) -> None:
    s3.order("PUT", "403 Forbidden", "AccessDenied", message="Request has expired", times=9)
    with pytest.raises(CommandFailed, match=r"the store refuses part [123]: 403 AccessDenied, Request has expired"):
        node.send(shelf.store, shelf.store.begin(KEY, 12 * MB))
    assert node.left_behind() == []


@pytest.mark.fault(21)
def test_a_store_that_stays_away_is_given_up(s3: S3, shelf: S3Shelf, node: Node) -> None:
    node.manner = replace(node.manner, patience=2)
    s3.order("PUT", "503 Slow Down", "SlowDown", times=99)
    with pytest.raises(CommandFailed, match=r"the store did not take or give part [123] within 2 s"):
        node.send(shelf.store, shelf.store.begin(KEY, 12 * MB))


def test_a_stream_for_which_there_are_too_few_places_is_told_so(shelf: S3Shelf, node: Node) -> None:
    way = shelf.store.begin(KEY, 12 * MB)
    few = replace(way, urls=Secret("\n".join(way.urls.reveal().splitlines()[:2])))
    with pytest.raises(CommandFailed, match="no place is left for part 3"):
        node.send(shelf.store, few)


def test_a_part_that_changed_on_its_way_keeps_a_backup_from_being_finished(shelf: S3Shelf, node: Node) -> None:
    way = shelf.store.begin(KEY, 12 * MB)
    first, *rest = node.send(shelf.store, way).parts
    with pytest.raises(Failure, match=r"part 1 .* is not as the node has sent it"):
        shelf.store.finish(KEY, way.token, (replace(first, tag="0" * 32), *rest), b"{}")


def test_a_store_that_does_not_answer_may_do_so_later(line: UploadProxy, shelf: S3Shelf) -> None:
    line.refuse()
    with pytest.raises(Retryable, match="the store s3 does not answer"):
        shelf.store.reach()
    line.accept()
    shelf.store.reach()


def test_a_bucket_that_is_not_there_is_named(s3: S3) -> None:
    store = S3Store("s3", S3Place("elsewhere", "", s3.url, "us-east-1", True, "one", Secret("two")))
    with pytest.raises((Failure, NotFound), match="NoSuchBucket"):
        store.reach()


def test_nobody_can_write_without_credentials(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    store = S3Store("s3", S3Place("backups", "", s3.url, "us-east-1", True))
    with pytest.raises(Failure, match="has no credentials"):
        store.reach()
