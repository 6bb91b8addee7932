"""The picture of a cluster of several nodes."""

from __future__ import annotations

from io import StringIO
from typing import Any

from rich.console import Console

from client.topology import drawn


def picture(*nodes: tuple[str, str | None, str, str | None]) -> list[str]:
    names: tuple[str, ...] = ("name", "role", "status", "addr")
    instances: list[dict[str, Any]] = [dict(zip(names, node, strict=True)) for node in nodes]
    console = Console(file=StringIO(), width=200)
    console.print(drawn({"name": "shop", "instances": instances}))
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
        "├── shop-1    requested",
        "└── shop-2    requested",
    ]
