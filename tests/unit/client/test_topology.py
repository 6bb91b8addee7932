"""The picture of a cluster of several nodes."""

from __future__ import annotations

from io import StringIO
from typing import Any

from rich.console import Console

from client.topology import drawn


def picture(*nodes: tuple[str, str | None, str, str | None]) -> list[str]:
    return drawing(*nodes)


def drawing(*nodes: tuple[str, str | None, str, str | None], seen: list[dict[str, Any]] | None = None) -> list[str]:
    names: tuple[str, ...] = ("name", "role", "status", "addr")
    instances: list[dict[str, Any]] = [{"id": node[0], **dict(zip(names, node, strict=True))} for node in nodes]
    console = Console(file=StringIO(), width=200)
    health = None if seen is None else {"nodes": seen}
    console.print(drawn({"name": "shop", "instances": instances, "health": health}))
    assert isinstance(console.file, StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_those_who_follow_stand_below_the_primary() -> None:
    assert picture(
        ("shop-1", "replica", "active", "10.0.0.1"),
        ("shop-2", "primary", "active", "10.0.0.12"),
        ("shop-3", "replica", "building", None),
    ) == [
        "shop-2  primary  active    10.0.0.12",
        "├── shop-1  replica  active    10.0.0.1",
        "└── shop-3  replica  building",
    ]


def test_before_there_is_a_primary_all_stand_below_the_cluster() -> None:
    assert picture(("shop-1", None, "requested", None), ("shop-2", None, "requested", None)) == [
        "shop",
        "├── shop-1  requested",
        "└── shop-2  requested",
    ]


def test_each_node_shows_its_verdict_how_old_that_is_and_how_far_it_is_behind() -> None:
    seen = [
        {"instance": "shop-1", "verdict": "OK", "age_seconds": 3.4, "facts": {"lag_seconds": None}},
        {"instance": "shop-2", "verdict": "LAGGING", "age_seconds": 250.0, "facts": {"lag_seconds": 31.25}},
    ]
    assert drawing(
        ("shop-1", "primary", "active", "10.0.0.1"),
        ("shop-2", "replica", "active", "10.0.0.2"),
        ("shop-3", "replica", "building", None),
        seen=seen,
    ) == [
        "shop-1  primary  active    10.0.0.1  OK, seen 3s ago",
        "├── shop-2  replica  active    10.0.0.2  LAGGING, seen 4m ago  lag 31.2 s",
        "└── shop-3  replica  building",
    ]
