"""What a user sees of an operation, on a terminal of 80 columns and in a pipe."""

from __future__ import annotations

import io

from rich.console import Console

from client.commands.instances import fresh
from client.watching import Lines, Steps

LONG = "a-cluster-whose-name-is-as-long-as-a-name-may-be-which-is-63-chars-1"
STEP = {
    "service": "datastore_agentless", "step": "install packages", "host": LONG, "status": "running", "percent": 40,
    "message": "Unpacking a package\nwith quite a long sentence that goes on [1/20]", "stderr": "",
    "started_at": "2026-11-24T06:00:00.000000Z", "finished_at": "2026-11-24T06:00:12.345000Z",
}  # fmt: skip
OPERATION = {
    "id": "1", "status": "running", "percent": 40, "created_at": "2026-11-24T06:00:00.000000Z",
    "finished_at": "2026-11-24T06:00:12.500000Z", "steps": [STEP, STEP | {"step": "run", "status": "succeeded", "host": "b-1"}],
}  # fmt: skip


def rendered(width: int) -> list[str]:
    console = Console(width=width, force_terminal=True, color_system=None, file=io.StringIO())
    steps = Steps()
    steps.show(OPERATION)
    console.print(steps)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


def test_each_step_is_one_line_at_80_columns_however_long_its_host_is_called() -> None:
    lines = rendered(80)
    assert len(lines) == 3
    assert all(len(line) <= 80 for line in lines)
    first, second, summary = lines
    for words in ("▸", "install packages", "a-cluster-whose", "40%", "12.3s", "Unpacking a"):
        assert words in first
    assert second.startswith("✓ run")
    assert summary == "running, 40%, 12.5s"


def test_a_narrow_terminal_still_shows_one_line_a_step() -> None:
    assert len(rendered(40)) == 3


def test_in_a_pipe_each_change_is_one_line_and_said_once() -> None:
    file = io.StringIO()
    lines = Lines(Console(width=10_000, file=file, highlight=False))
    lines.show(OPERATION)
    lines.show(OPERATION)
    printed = file.getvalue().splitlines()
    assert len(printed) == 2
    assert printed[0].startswith("  running  install packages  " + LONG + "  40%  12.3s")


def test_output_that_the_api_cuts_at_its_beginning_is_still_printed_once() -> None:
    assert fresh("", "one\n") == "one\n"
    assert fresh("one\n", "one\ntwo\n") == "two\n"
    assert fresh("one\ntwo\n", "wo\nthree\n") == "wo\nthree\n"
    long = "x" * 2000
    assert fresh("begin" + long, long[5:] + "end") == "end"
