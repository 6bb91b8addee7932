"""`dtrove instance logs`: the end of a log, and what comes after, over lines that drop."""

from __future__ import annotations

import json
from typing import Any

from client.exits import Exit
from client.logs import _harmless
from shared.contracts.base import Event
from shared.contracts.datastore_agentless import LogsRead
from shared.contracts.values import Problem
from tests.unit.client.conftest import Dtrove
from tests.unit.client.test_cli import CREATE
from tests.unit.client.world import World

GONE = Problem(step="read", message="the host does not answer", what_to_do="look at its health")


def read(wish: Any, sequence: int, text: str, **more: Any) -> LogsRead:
    return LogsRead(reading_id=wish.reading_id, cluster_id=wish.cluster_id, instance_id=wish.instance_id, sequence=sequence,
                    text=text, **more)  # fmt: skip


def test_the_last_lines_are_printed_and_what_became_of_the_file_is_told_beside(world: World, dtrove: Dtrove) -> None:
    dtrove(*CREATE, "--wait")
    asked: list[Any] = []

    def answer(wish: Any) -> list[Event]:
        asked.append(wish)
        return [read(wish, 0, "a [red]b\nc\n", notes=("there is more",), last=True)]

    world.answers["logs.requested"] = answer
    done = dtrove("instance", "logs", "shop-1", "-n", "2")
    assert (done.code, done.out, done.err) == (0, "a [red]b\nc\n", "there is more\n")
    assert (asked[0].lines, asked[0].follow) == (2, False)
    assert dtrove("instance", "logs", "shop-1", "--json").json == {
        "lines": ["a [red]b", "c"],
        "notes": ["there is more"],
    }


def test_a_follower_goes_on_after_the_last_line_he_has_seen_until_it_is_hopeless(world: World, dtrove: Dtrove) -> None:
    dtrove(*CREATE, "--wait")
    places: list[tuple[str, int]] = []

    def answer(wish: Any) -> list[Event]:
        places.append((wish.after, wish.lines))
        lines = [read(wish, 0, "a\n", place="7:2")] if len(places) == 1 else []
        return [*lines, read(wish, len(lines), "", last=True, problem=GONE)]

    world.answers["logs.requested"] = answer
    done = dtrove("instance", "logs", "shop-1", "--follow", "--json")
    assert done.code == Exit.FAILED
    assert json.loads(done.out.splitlines()[0]) == {"lines": ["a"]}
    assert "the host does not answer" in done.err
    assert places == [("", 200), ("7:2", 0), ("7:2", 0)]


def test_a_terminal_takes_no_orders_from_a_log() -> None:
    assert _harmless("\x1b]0;title\x07caf\N{LATIN SMALL LETTER E WITH ACUTE}\t[x]") == "\\x1b]0;title\\x07café\t[x]"
