"""How times, sizes and states read in the console."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from services.api.web import snippets, topology, words

NODE = {"id": "1", "name": "shop-1", "status": "active", "role": "primary"}
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "just now"), (14.9, "just now"), (15, "less than a minute ago"), (61, "1 min ago"), (7300, "2 h ago"), (200_000, "2 days ago")],
)  # fmt: skip
def test_what_is_fresh_reads_the_same_for_a_while(seconds: float, text: str) -> None:
    assert words.ago(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(None, "—"), (0, "0 B"), (1023, "1023 B"), (3 << 20, "3.0 MiB"), (5 << 50, "5120.0 TiB")]
)
def test_sizes_are_in_the_largest_unit_of_which_there_is_one(count: int | None, text: str) -> None:
    assert words.size(count) == text


def test_a_state_is_a_word_beside_its_colour_and_a_strange_one_is_neutral() -> None:
    assert words.badge("DB_DOWN") == '<span class="badge bad">DB DOWN</span>'
    assert words.badge("<b>") == '<span class="badge plain">&lt;b&gt;</span>'


def test_what_goes_on_takes_until_now() -> None:
    begun = {"created_at": "2026-01-01T11:58:00Z", "finished_at": None}
    assert words.took(begun, NOW) == "2 min"
    assert words.took(begun | {"finished_at": "2026-01-01T11:58:07Z"}, NOW) == "7 s"


@pytest.mark.parametrize(
    ("role", "wanted", "may"), [("reader", "member", False), ("admin", "member", True), ("strange", "reader", False)]
)
def test_a_role_that_is_not_known_may_nothing(role: str, wanted: str, may: bool) -> None:
    assert words.may({"role": role}, wanted) == may
    assert not words.may(None, "reader")


def test_a_picture_has_the_primary_above_and_a_line_to_each_that_follows_it() -> None:
    nodes = [
        {**NODE, "id": str(number), "name": f"shop-{number}", "role": "replica" if number else "primary"}
        for number in range(4)
    ]
    drawn = topology.drawn(nodes, {})
    assert drawn is not None
    first, *others = drawn.boxes
    assert all(first.y < one.y for one in others)
    assert [line[2] for line in drawn.lines] == [one.x + topology.WIDTH // 2 for one in others]
    assert all(one.x + topology.WIDTH <= drawn.width and one.y + topology.HEIGHT <= drawn.height for one in drawn.boxes)


def test_before_there_is_a_primary_nodes_stand_in_a_row_without_lines() -> None:
    drawn = topology.drawn([{**NODE, "role": None}, {**NODE, "role": None, "name": "x" * 70}], {})
    assert drawn is not None
    assert (len({one.y for one in drawn.boxes}), drawn.lines) == (1, ())
    assert len(drawn.boxes[1].name) == topology.SHOWN_CHARACTERS
    assert topology.drawn([], {}) is None


def test_a_node_that_is_not_up_is_shown_as_what_became_of_it() -> None:
    seen = {"1": {"verdict": "OK", "facts": {"lag_seconds": 0.25}}}
    up, off = topology.drawn([NODE], seen), topology.drawn([{**NODE, "status": "off"}], seen)
    assert up is not None
    assert off is not None
    assert (up.boxes[0].state, up.boxes[0].lag, off.boxes[0].state) == ("OK", "0.2 s behind", "off")


def cluster(manager: str, url: str, address: Any = None) -> dict[str, Any]:
    where = {"primary": {"host": "10.0.0.7", "port": 5432}, "url": url, "address": address}
    return {"datastore": {"manager": manager}, "endpoint": where}


def test_snippets_lead_to_the_clusters_own_address_where_it_has_one() -> None:
    own = {"host": "10.0.0.9", "port": 5432, "url": "postgresql://dtrove@10.0.0.9:5432/postgres"}
    found = snippets.of(
        cluster(
            "pgsql", "postgresql://dtrove@10.0.0.7:5432,10.0.0.8:5432/postgres?target_session_attrs=read-write", own
        )
    )
    assert all("10.0.0.9" in one.lines and "10.0.0.7" not in one.lines for one in found)


@pytest.mark.parametrize(
    ("manager", "url"),
    [("pgsql", "postgresql://dtrove@10.0.0.7:5432,10.0.0.8:5432/postgres?target_session_attrs=read-write"),
     ("mysql", "mysql://dtrove@10.0.0.7:3306"), ("redis", "redis://dtrove@10.0.0.7:6379")],
)  # fmt: skip
def test_every_engine_has_four_snippets_with_the_user_and_without_a_password(manager: str, url: str) -> None:
    found = snippets.of(cluster(manager, url))
    assert len(found) == len({one.id for one in found}) == 4
    for one in found:
        assert "10.0.0.7" in one.lines
        assert "dtrove" in one.lines


def test_an_engine_that_nobody_here_knows_has_none_and_neither_has_a_cluster_without_an_endpoint() -> None:
    assert snippets.of(cluster("backyard", "backyard://x@y")) == []
    assert snippets.of({"datastore": {"manager": "pgsql"}, "endpoint": None}) == []
