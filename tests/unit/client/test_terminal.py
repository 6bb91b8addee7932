"""Tables at 80 columns and in a pipe."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from client.commands import clusters, operations
from client.terminal import Column, age, show, show_list, table

NAME = "a-cluster-whose-name-is-as-long-as-a-name-may-be-which-is-63-ch"
ID = "6f1c0f0e-6f2b-4a5e-9b0a-0c5a4a3d2f10"


def rendered(columns: tuple[Column, ...], row: list[str], width: int = 80) -> list[str]:
    console = Console(width=width, force_terminal=True, color_system=None, file=io.StringIO())
    console.print(table(columns, [row], width))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_only_the_name_of_a_cluster_is_cut_at_80_columns() -> None:
    _, line = rendered(clusters.COLUMNS, [NAME, "building", "mysql - 10.11", "medium", "1", "10.190.177.200:5432"])
    assert len(line) <= 80
    for words in ("building", "mysql - 10.11", "medium", "10.190.177.200:5432", "…"):
        assert words in line


def test_the_id_of_an_operation_is_whole_at_80_columns() -> None:
    _, line = rendered(operations.COLUMNS, ["create_cluster", "cancelling", NAME, "59m", ID])
    assert len(line) <= 80
    assert line.endswith(ID)
    assert line.startswith("create_cluster  cancelling  a-clust")


def test_in_a_pipe_nothing_is_cut_and_square_brackets_stay(capsys: pytest.CaptureFixture[str]) -> None:
    show_list([{"name": NAME * 4, "message": "E: [red]"}], False, (Column("name", cut=True), Column("message")), "none")
    show({"message": "E: [red]", "none": None, "nested": {"a": 1}, "many": [{"id": 1, "name": "x"}]}, False)
    printed = capsys.readouterr().out.splitlines()
    assert printed[1] == f"{NAME * 4}  E: [red]"
    assert [line.rstrip() for line in printed[2:]] == ["message   E: [red]", "nested a  1", "many      1 x"]


@pytest.mark.parametrize(("seconds", "words"), [(5, "5s"), (119, "119s"), (121, "2m"), (7300, "2h"), (200_000, "2d")])
def test_an_age_is_short(seconds: int, words: str) -> None:
    assert age((datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()) == words
