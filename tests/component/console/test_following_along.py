"""Logs and events in the console, as they come, and from where they were when a line broke."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from shared.contracts import datastore_agentless as databases
from shared.contracts.values import Problem
from tests.component.api.test_scaling import wished
from tests.component.console.scene import NASTY, Scene, made
from tests.component.console.test_looking_on import message
from tests.support.api import Api
from tests.support.browser import Browser, found
from tests.support.installation import wait_for


@pytest.fixture
def scene(api: Api) -> Scene:
    return made(api)


def read(api: Api, sequence: int, text: str, **more: Any) -> None:
    """datastore_agentless has read something of what was asked for last."""
    wish = json.loads(wished(api, "logs.requested")[-1].body)
    told = {name: wish[name] for name in ("reading_id", "cluster_id", "instance_id")}
    api.hear(databases.LogsRead(**told, sequence=sequence, text=text, place=f"7:{sequence}", **more))


def begun(stream: Iterator[bytes]) -> None:
    """Both streams have begun: the console's own and, told as a sign of life, the API's."""
    assert next(stream).startswith(b"retry:")
    assert next(stream).startswith(b":")


def test_a_nodes_log_is_followed_and_each_piece_says_where_it_ends(api: Api, scene: Scene, member: Browser) -> None:
    path = f"/instances/{scene.replica}/logs"
    assert f'sse-connect="{path}/live"' in member.get(path).text
    answer = member.client.get(f"{path}/live")
    assert answer.mimetype == "text/event-stream"
    stream = iter(answer.response)
    begun(stream)
    read(api, 0, f"one\n{NASTY}\n", notes=["there was more"])
    assert message(stream) == "event: note\ndata: <p>there was more</p>\n\n"
    piece = message(stream)
    assert piece.startswith("id: 7:0\nevent: lines\ndata: <div>one\ndata: &lt;script&gt;")
    read(api, 1, "", last=True, problem=Problem(step="read", message="nobody answers", what_to_do="look"))
    rest = b"".join(stream).decode()
    assert "nobody answers look" in rest
    assert rest.endswith("event: over\ndata:\n\n")
    assert [one.subject for one in api.rows("audit") if one.action == "logs.read"] == [scene.replica]


def test_a_browser_that_comes_back_gets_what_came_since(api: Api, scene: Scene, member: Browser) -> None:
    answer = member.client.get(f"/instances/{scene.replica}/logs/live", headers={"Last-Event-ID": "7:42"})
    begun(iter(answer.response))
    assert json.loads(wished(api, "logs.requested")[-1].body)["after"] == "7:42"
    answer.close()


def test_the_last_lines_of_a_log_are_there_without_script(api: Api, scene: Scene, member: Browser) -> None:
    got: list[Any] = []
    path = f"/instances/{scene.replica}/logs/last"
    asking = threading.Thread(target=lambda: got.append(member.client.get(path, headers={"Accept": "text/html"})))
    asking.start()
    wait_for(lambda: bool(wished(api, "logs.requested")), 10, what="a wish")
    read(api, 0, f"first\n{NASTY}\n", last=True, notes=["there was more"])
    asking.join(15)
    assert got[0].status_code == 200, got[0].text
    for words in ("first\n&lt;script&gt;", "there was more"):
        assert words in got[0].text


def test_logs_are_for_members(scene: Scene, api: Api, open_browser: Any) -> None:
    browser = open_browser(api.reader)
    assert "the role member" in browser.get(f"/instances/{scene.replica}/logs").text
    assert browser.get(f"/instances/{scene.replica}/logs/live").status_code == 403
    assert f"/instances/{scene.replica}" not in browser.get(f"/clusters/{scene.cluster}").text
    stranger = open_browser(api.token("admin", api.project()))
    for place in ("", "/live", "/last"):
        assert stranger.get(f"/instances/{scene.replica}/logs{place}").status_code == 404


def test_events_are_shown_newest_first_and_come_by_themselves(api: Api, scene: Scene, member: Browser) -> None:
    page = member.get("/events").text
    shown = re.findall(r"<strong>([a-z_.]+)</strong>", page)
    assert shown == [one["type"] for one in api.get("/v1/events?latest=25")["events"]][::-1]
    live = found(r'sse-connect="(/events/live\?since=\d+)"', page)
    known = int(live.rpartition("=")[2])
    assert known == max(row.id for row in api.rows("events"))
    with member.client.get(live) as answer:
        stream = iter(answer.response)
        begun(stream)
        api.create("another")
        piece = message(stream)
    assert piece.startswith(f"id: {known + 1}\nevent: happened\ndata: <li>")
    assert "cluster.requested" in piece
    api.create("yet-another")
    with member.client.get(live, headers={"Last-Event-ID": str(known + 1)}) as answer:
        stream = iter(answer.response)
        begun(stream)
        assert message(stream).startswith(f"id: {known + 2}\n")


def test_another_projects_events_are_not_among_them(api: Api, scene: Scene, open_browser: Any) -> None:
    text = open_browser(api.token("reader", api.project())).get("/events").text
    assert "Nothing has happened before you came" in text
    assert "<li>" not in text.partition('class="events"')[2]


def test_what_clusters_can_be_made_of_is_shown(member: Browser) -> None:
    text = member.get("/datastores").text
    for words in ("pgsql - 15", "async, sync", "no: one node only", "medium", "2048 MB"):
        assert words in text
