"""A Swift that stumbles, changes its key or lists late: what passes is tried again, what does not is said at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
import requests

from services.datastore_agentless.backup_stores.swift.store import LARGEST_PART, MOST_PARTS, URL_SECONDS
from services.datastore_agentless.hosts.base import CommandFailed
from shared.errors import Failure, Retryable
from tests.contract.backups import KEY, MB, Node, SwiftShelf, shelf_in
from tests.support.proxy import UploadProxy
from tests.support.swift import ACCOUNT_KEY, CONTAINER_KEY, PASSWORD, Swift


@pytest.fixture
def line(swift: Swift) -> Iterator[UploadProxy]:
    made = UploadProxy(swift.port)
    yield made
    made.close()


@pytest.fixture
def shelf(swift: Swift, line: UploadProxy) -> SwiftShelf:
    return shelf_in(swift, line.port)


@pytest.mark.fault(21)
@pytest.mark.parametrize("status", [408, 429, 498, 500, 503])
def test_a_swift_that_is_busy_is_asked_again(swift: Swift, shelf: SwiftShelf, node: Node, status: int) -> None:
    busy = swift.order("PUT", status, times=2)
    parts = node.store(shelf.store)
    lost = swift.order("GET", status)
    assert node.receive(shelf.store, parts) == node.data.read_bytes()
    assert (busy.struck, lost.struck) == (2, 1)


@pytest.mark.fault(21)
def test_an_upload_to_a_swift_that_breaks_in_mid_part_is_tried_again(
    line: UploadProxy, shelf: SwiftShelf, node: Node
) -> None:
    line.after, line.times = 2 * MB, 2
    assert node.receive(shelf.store, node.store(shelf.store)) == node.data.read_bytes()
    assert line.struck == 2


@pytest.mark.fault(21)
def test_a_url_of_yesterday_writes_nothing_and_the_node_says_why(swift: Swift, shelf: SwiftShelf, node: Node) -> None:
    way = shelf.store.begin(KEY, 12 * MB)
    swift.ahead = URL_SECONDS + 1
    with pytest.raises(CommandFailed, match=r"the store refuses part [123]: 401 401 Unauthorized: Temp URL invalid"):
        node.send(shelf.store, way)
    assert shelf.holds() == []
    assert node.left_behind() == []


def test_a_url_is_good_for_its_part_and_its_method_alone(shelf: SwiftShelf) -> None:
    first, second, *_ = shelf.store.begin(KEY, 12 * MB).urls.reveal().splitlines()
    other = f"{second.partition('?')[0]}?{first.partition('?')[2]}"
    assert requests.put(other, data=b"x", timeout=30).status_code == 401
    assert requests.delete(first, timeout=30).status_code == 401
    assert requests.put(first, data=b"x", timeout=30).status_code == 201
    assert requests.get(first, timeout=30).status_code == 401


def test_a_full_project_is_told_in_the_words_of_swift(swift: Swift, shelf: SwiftShelf, node: Node) -> None:
    swift.order("PUT", 413, "<html><h1>Request Entity Too Large</h1><p>Upload exceeds quota.</p></html>", times=9)
    with pytest.raises(CommandFailed, match=r"part [123]: 413 .*Upload exceeds quota"):
        node.send(shelf.store, shelf.store.begin(KEY, 12 * MB))


def test_the_container_is_made_and_gets_a_key_that_nobody_else_has_chosen(swift: Swift, shelf: SwiftShelf) -> None:
    shelf.store.reach()
    key = swift.containers["backups"].meta[CONTAINER_KEY]
    assert len(key) == 64
    shelf.store.reach()
    assert swift.containers["backups"].meta[CONTAINER_KEY] == key


def test_the_key_of_the_account_serves_where_the_container_has_none(
    swift: Swift, shelf: SwiftShelf, node: Node
) -> None:
    swift.account[ACCOUNT_KEY] = "the account's own"
    assert node.receive(shelf.store, node.store(shelf.store)) == node.data.read_bytes()
    assert CONTAINER_KEY not in swift.containers["backups"].meta


def test_a_key_that_was_changed_is_noticed(swift: Swift, shelf: SwiftShelf, node: Node) -> None:
    parts = node.store(shelf.store)
    swift.containers["backups"].meta[CONTAINER_KEY] = "another"
    assert node.receive(shelf.store, parts) == node.data.read_bytes()


def test_nodes_may_find_swift_elsewhere_than_its_catalogue_says(swift: Swift, line: UploadProxy, node: Node) -> None:
    place = replace(shelf_in(swift).store.place, endpoint=f"http://127.0.0.1:{line.port}/")
    parts = node.store(SwiftShelf(place).store)
    assert node.receive(SwiftShelf(place).store, parts) == node.data.read_bytes()
    assert line.received > 12 * MB


def test_a_token_that_is_good_no_more_is_renewed(swift: Swift, shelf: SwiftShelf) -> None:
    shelf.store.reach()
    swift.forget_tokens()
    shelf.store.reach()


@pytest.mark.fault(22)
def test_a_listing_that_is_late_hides_no_part(swift: Swift, shelf: SwiftShelf, node: Node) -> None:
    way = shelf.store.begin(KEY, 12 * MB)
    sent = node.send(shelf.store, way)
    swift.lags = set(shelf.holds())
    shelf.store.finish(KEY, way.token, sent.parts, b"{}")
    assert node.receive(shelf.store, sent.parts) == node.data.read_bytes()
    shelf.store.remove(KEY)
    assert swift.objects == {}


@pytest.mark.fault(22)
def test_a_part_that_changed_on_its_way_to_a_swift_keeps_a_backup_from_being_finished(
    shelf: SwiftShelf, node: Node
) -> None:
    way = shelf.store.begin(KEY, 12 * MB)
    first, *rest = node.send(shelf.store, way).parts
    with pytest.raises(Failure, match=r"part 1 .* is not as the node has sent it"):
        shelf.store.finish(KEY, way.token, (replace(first, tag="0" * 32), *rest), b"{}")


@pytest.mark.fault(21)
def test_what_an_earlier_beginning_still_sends_is_no_part_of_a_later_one(shelf: SwiftShelf, node: Node) -> None:
    early = shelf.store.begin(KEY, 12 * MB)
    parts = node.store(shelf.store)
    assert requests.put(early.urls.reveal().splitlines()[0], data=b"late", timeout=30).status_code == 201
    assert node.receive(shelf.store, parts) == node.data.read_bytes()
    shelf.store.remove(KEY)
    assert shelf.holds() == []


def test_more_parts_of_an_earlier_try_are_not_kept(shelf: SwiftShelf, node: Node) -> None:
    way = shelf.store.begin(KEY, 12 * MB)
    sent = node.send(shelf.store, way)
    shelf.behind.put(f"d trove/{KEY}/{way.token}/part-000004", b"of yesterday")
    shelf.store.finish(KEY, way.token, sent.parts, b"{}")
    kept = {"part-000001", "part-000002", "part-000003", "backup.zst.age", "manifest.json"}
    assert {name.rpartition("/")[2] for name in shelf.holds()} == kept


def test_whoever_heard_nothing_of_the_end_cannot_give_a_whole_backup_up(shelf: SwiftShelf, node: Node) -> None:
    way = shelf.store.begin(KEY, 12 * MB)
    sent = node.send(shelf.store, way)
    shelf.store.finish(KEY, way.token, sent.parts, b"{}")
    shelf.store.abandon(KEY, way.token)
    assert node.receive(shelf.store, sent.parts) == node.data.read_bytes()


def test_a_backup_whose_name_begins_like_another_s_is_left_alone(shelf: SwiftShelf, node: Node) -> None:
    node.store(shelf.store)
    parts = node.store(shelf.store, f"{KEY}-2")
    shelf.store.remove(KEY)
    assert len(shelf.holds()) == len(parts) + 2


def test_what_is_larger_than_swift_puts_together_is_not_begun(shelf: SwiftShelf) -> None:
    with pytest.raises(Failure, match="more than the store swift takes"):
        shelf.store.begin(KEY, MOST_PARTS * LARGEST_PART)
    assert len(shelf.store.begin(KEY, 3_000_000 * MB).urls.reveal().splitlines()) <= MOST_PARTS


def test_a_swift_that_does_not_answer_may_do_so_later(line: UploadProxy, shelf: SwiftShelf) -> None:
    line.refuse()
    with pytest.raises(Retryable, match="the store swift does not answer"):
        shelf.store.reach()
    line.accept()
    shelf.store.reach()


def test_a_wrong_password_is_said_and_not_shown(swift: Swift) -> None:
    with pytest.raises(Failure, match="does not let DTrove in") as raised:
        shelf_in(swift, OS_PASSWORD="wrong-canary").store.reach()
    assert "canary" not in raised.value.message
    assert "OS_PASSWORD" in raised.value.what_to_do


def test_a_cloud_without_an_object_store_in_that_region_is_named(swift: Swift) -> None:
    with pytest.raises(Failure, match=r"names no object store: .* in elsewhere region not found"):
        shelf_in(swift, OS_REGION_NAME="elsewhere").store.reach()


def test_what_swift_holds_against_a_request_is_told(swift: Swift, shelf: SwiftShelf) -> None:
    swift.order("PUT", 403, "<html><h1>Forbidden</h1><p>Access was denied to this resource.</p></html>", ".reach")
    with pytest.raises(Failure, match=r"403 Forbidden Access was denied to this resource\.") as raised:
        shelf.store.reach()
    assert "role" in raised.value.what_to_do


def test_neither_the_password_nor_a_key_lies_in_the_store(swift: Swift, shelf: SwiftShelf, node: Node) -> None:
    node.store(shelf.store)
    key = swift.containers["backups"].meta[CONTAINER_KEY]
    kept = b"".join(one.body for one in swift.objects.values())
    assert PASSWORD.encode() not in kept
    assert key.encode() not in kept
    listed = json.loads(next(one.body for one in swift.objects.values() if one.segments))
    assert [sorted(one) for one in listed] == 3 * [["bytes", "hash", "name"]]
