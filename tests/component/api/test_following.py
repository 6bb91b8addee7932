"""Followers are told at once, over real HTTP from the server that DTrove runs."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from services.api.domain.limits import BODY_BYTES
from tests.support.api import open_database
from tests.support.served import MEMBER, Served


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = Served(tmp_path_factory.mktemp("served"))
    yield made
    made.stop()


def messages(answer: requests.Response) -> Iterator[dict[str, str]]:
    """The server-sent events of an answer, fields by name."""
    fields: dict[str, str] = {}
    for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
        if not line:
            if "data" in fields:
                yield fields
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value


def create(served: Served, name: str) -> tuple[str, str]:
    answer = served.ask("POST", "/v1/clusters", json={"name": name, "datastore": "pgsql 15"})
    assert answer.status_code == 202, answer.text
    return answer.json()["id"], answer.headers["Location"].rpartition("/")[2]


def progress(cluster: str, operation: str, step: str, sequence: int) -> dict[str, Any]:
    return {"kind": "OperationProgressed", "operation_id": operation, "cluster_id": cluster, "service": "provisioner",
            "step": step, "status": "running", "sequence": sequence, "host": "n-1"}  # fmt: skip


def test_a_follower_sees_each_step_as_it_happens_and_the_end_ends_the_stream(served: Served) -> None:
    cluster, operation = create(served, "live")
    with served.ask("GET", f"/v1/operations/{operation}?follow=true", stream=True) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        stream = messages(answer)
        assert json.loads(next(stream)["data"])["status"] == "pending"
        delays = []
        for number in range(5):
            began = time.monotonic()
            served.tell(**progress(cluster, operation, f"step{number}", number + 1))
            shown = json.loads(next(stream)["data"])
            delays.append(time.monotonic() - began)
            assert [step["step"] for step in shown["steps"]][-1] == f"step{number}"
        # A look once a second would take half of one on the average.
        assert sorted(delays)[2] < 0.25, delays
        served.tell(kind="ClusterFailed", cluster_id=cluster, operation_id=operation,
                    problem={"step": "x", "message": "no"})  # fmt: skip
        assert json.loads(next(stream)["data"])["status"] == "failed"
        assert list(stream) == []


def test_the_feed_goes_on_after_the_last_event_that_was_seen(served: Served) -> None:
    create(served, "first")
    last = served.ask("GET", "/v1/events?limit=100").json()["events"][-1]
    cluster, _ = create(served, "second")
    headers = {"Last-Event-ID": str(last["id"])}
    with served.ask("GET", "/v1/events?follow=true", headers=headers, stream=True) as answer:
        stream = messages(answer)
        first = next(stream)
        assert (first["event"], json.loads(first["data"])["data"]["cluster_id"]) == ("cluster.requested", cluster)
        assert int(first["id"]) > last["id"]
        served.ask("DELETE", f"/v1/clusters/{cluster}")
        assert next(stream)["event"] == "cluster.delete_requested"


def test_a_change_that_another_replica_heard_of_is_found_within_seconds(served: Served) -> None:
    _, operation = create(served, "elsewhere")
    database = open_database(f"sqlite:///{served.log.parent}/served.sqlite")
    with served.ask("GET", f"/v1/operations/{operation}?follow=true", stream=True) as answer:
        stream = messages(answer)
        next(stream)
        with database.write() as tx:
            tx.connection.exec_driver_sql("update operations set status = 'running' where id = ?", (operation,))
        assert json.loads(next(stream)["data"])["status"] == "running"


def test_a_stream_ends_with_its_token(served: Served) -> None:
    _, operation = create(served, "revoked")
    token = served.ask("POST", "/token").json()
    headers = {"Authorization": f"Bearer {token['token']}"}
    with served.ask("GET", f"/v1/operations/{operation}?follow=true", headers=headers, stream=True) as answer:
        stream = messages(answer)
        next(stream)
        assert served.ask("DELETE", f"/token/{token['id']}").status_code == 200
        assert list(stream) == []


def test_many_followers_do_not_keep_others_waiting(served: Served) -> None:
    _, operation = create(served, "crowd")
    crowd = [served.ask("GET", f"/v1/operations/{operation}?follow=true", stream=True) for _ in range(40)]
    try:
        assert served.ask("GET", "/v1/clusters").status_code == 200
    finally:
        for one in crowd:
            one.close()


def exchange(served: Served, head: str, *pieces: bytes) -> tuple[int, dict[str, Any]]:
    """Speak HTTP by hand; the status and the JSON of the answer."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as line:
        line.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        try:
            for piece in pieces:
                line.sendall(piece)
        except OSError:
            # The server has answered and hung up before all was said.
            pass
        answer = b""
        try:
            while piece := line.recv(65536):
                answer += piece
        except OSError:
            pass
    status, _, body = answer.partition(b"\r\n\r\n")
    return int(status.split()[1]), json.loads(body or b"{}")


HEAD = f"POST /v1/clusters HTTP/1.1\nHost: x\nAuthorization: Bearer {MEMBER}\nContent-Type: application/json\nConnection: close\n"


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def test_a_body_in_chunks_is_read_like_any_other(served: Served) -> None:
    body = json.dumps({"name": "chunked", "datastore": "pgsql 15"}).encode()
    pieces = (chunk(body[:7]), chunk(body[7:]), b"0\r\n\r\n")
    status, answer = exchange(served, f"{HEAD}Transfer-Encoding: chunked", *pieces)
    assert (status, answer["name"]) == (202, "chunked")


def test_an_endless_body_in_chunks_is_refused_without_reading_it_all(served: Served) -> None:
    pieces = [chunk(b"x" * 65536)] * (4 * BODY_BYTES // 65536)
    status, answer = exchange(served, f"{HEAD}Transfer-Encoding: chunked", *pieces)
    assert (status, answer["title"]) == (413, "The body is too large")


def test_a_body_that_says_it_is_too_large_is_refused_unread(served: Served) -> None:
    status, answer = exchange(served, f"{HEAD}Content-Length: {10**9}")
    assert (status, answer["status"]) == (413, 413)


@pytest.mark.parametrize("length", ["-1", "ten", "1e3"])
def test_what_is_no_http_is_refused_by_the_server_itself(served: Served, length: str) -> None:
    status, answer = exchange(served, f"{HEAD}Content-Length: {length}", b"{}")
    assert (status, answer["status"]) == (400, 400)
    assert "digits" in answer["detail"]


def test_a_very_long_path_is_refused_as_a_problem(served: Served) -> None:
    answer = served.ask("GET", "/v1/clusters/" + "a" * 20_000)
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")


def test_the_next_request_on_a_connection_is_served_after_one_that_was_refused(served: Served) -> None:
    for _ in range(3):
        refused = served.ask("POST", "/v1/clusters", data=b"{", headers={"Content-Type": "application/json"})
        assert refused.status_code == 400
        assert served.ask("GET", "/v1/clusters").status_code == 200
