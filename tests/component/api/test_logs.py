"""Logs over HTTP, from the server that DTrove runs: a wish goes out, lines come back, and none of them stays."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from shared.contracts import datastore_agentless as databases
from tests.component.api.test_following import create, messages
from tests.component.api.test_scaling import nodes
from tests.support.api import Api
from tests.support.installation import wait_for
from tests.support.served import Served


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = Served(tmp_path_factory.mktemp("served"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def instance(served: Served) -> str:
    cluster, _ = create(served, "logged")
    return str(served.ask("GET", f"/v1/clusters/{cluster}/instances").json()["instances"][0]["id"])


def query(served: Served, sql: str) -> list[Any]:
    with closing(sqlite3.connect(served.log.parent / "served.sqlite", timeout=10)) as connection:
        return connection.execute(sql).fetchall()


def wishes(served: Served) -> list[dict[str, Any]]:
    bodies = query(served, "select body from outbox where routing_key = 'logs.requested' order by id")
    return [json.loads(body) for (body,) in bodies]


def wish_after(served: Served, known: int) -> dict[str, Any]:
    wait_for(lambda: len(wishes(served)) > known, 10, what="a wish")
    return wishes(served)[known]


def tell(served: Served, wish: dict[str, Any], sequence: int, text: str, **more: Any) -> None:
    served.tell(kind="LogsRead", reading_id=wish["reading_id"], cluster_id=wish["cluster_id"], instance_id=wish["instance_id"],
                sequence=sequence, text=text, place=f"7:{sequence}", **more)  # fmt: skip


def test_the_last_lines_are_answered_as_soon_as_they_have_come(served: Served, instance: str) -> None:
    known, got = len(wishes(served)), list[Any]()
    asking = threading.Thread(target=lambda: got.append(served.ask("GET", f"/v1/instances/{instance}/logs?lines=2")))
    asking.start()
    wish = wish_after(served, known)
    assert (wish["instance_id"], wish["lines"], wish["follow"]) == (instance, 2, False)
    tell(served, wish, 0, "a\nb\n", last=True, notes=["there was more"])
    asking.join(10)
    assert got[0].json() == {"lines": ["a", "b"], "notes": ["there was more"]}
    assert query(served, "select * from readings") == query(served, "select * from reading_pieces") == []
    # Whoever reads is written down.
    assert query(served, "select subject from audit where action = 'logs.read'") == [(instance,)]


def test_a_log_that_cannot_be_read_is_409_with_the_reason(served: Served, instance: str) -> None:
    known, got = len(wishes(served)), list[Any]()
    asking = threading.Thread(target=lambda: got.append(served.ask("GET", f"/v1/instances/{instance}/logs")))
    asking.start()
    problem = {"step": "read", "message": "nobody answers", "what_to_do": "look"}
    tell(served, wish_after(served, known), 0, "", last=True, problem=problem)
    asking.join(10)
    assert (got[0].status_code, got[0].json()["detail"]) == (409, "the log could not be read: nobody answers; look")


def test_a_follower_sees_lines_at_once_in_order_and_asks_on_while_he_is_there(served: Served, instance: str) -> None:
    known = len(wishes(served))
    with served.ask("GET", f"/v1/instances/{instance}/logs?follow=true&lines=5", stream=True) as answer:
        stream = messages(answer)
        wish = wish_after(served, known)
        tell(served, wish, 0, "a\n")
        assert next(stream) == {"id": "7:0", "event": "lines", "data": '{"lines": ["a"]}'}
        # What overtakes waits for what it has overtaken.
        tell(served, wish, 2, "c\n", notes=["rotated"])
        tell(served, wish, 1, "b\n")
        assert [next(stream)["data"] for _ in range(3)] == [
            '{"lines": ["b"]}', '{"message": "rotated"}', '{"lines": ["c"]}',
        ]  # fmt: skip
        again = wish_after(served, known + 1)
        assert (again["reading_id"], again["goes_on"]) == (wish["reading_id"], True)
        tell(served, wish, 3, "", last=True)
        assert next(stream)["event"] == "end"
        assert list(stream) == []
    assert query(served, "select * from readings") == []


def test_lines_for_one_who_is_gone_are_not_kept(served: Served, instance: str) -> None:
    known = len(wishes(served))
    headers = {"Last-Event-ID": "7:12345"}
    with served.ask("GET", f"/v1/instances/{instance}/logs?follow=true", stream=True, headers=headers) as answer:
        wish = wish_after(served, known)
        assert wish["after"] == "7:12345"
        tell(served, wish, 0, "a\n")
        next(messages(answer))
    sequence = iter(range(1, 1000))

    def gone() -> bool:
        # A server notices at the next line that nobody listens.
        tell(served, wish, next(sequence), "to nobody\n")
        return query(served, "select * from readings") == []

    wait_for(gone, 15, what="the end of the reading")
    tell(served, wish, 1000, "late\n")
    assert query(served, "select * from reading_pieces") == []


def test_logs_are_for_members_of_the_project_and_the_question_has_limits(api: Api) -> None:
    cluster, _ = api.create()
    (node,) = nodes(api, cluster).values()
    path = f"/v1/instances/{node}/logs"
    assert api.ask("GET", path, token=api.reader).status_code == 403
    assert api.ask("GET", path, token=api.token("admin", api.project())).status_code == 404
    for bad in ("lines=-1", "lines=2001", "lines=x", "follow=perhaps", "tail=5"):
        assert api.ask("GET", f"{path}?{bad}").status_code == 422, bad
    assert api.ask("GET", f"{path}?follow=true", headers={"Last-Event-ID": "1"}).status_code == 422
    assert api.rows("readings") == []
    api.hear(databases.LogsRead(reading_id="unknown", cluster_id=cluster, instance_id=node, sequence=0, text="x\n"))
    assert api.rows("reading_pieces") == []
