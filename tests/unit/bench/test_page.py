from __future__ import annotations

from pathlib import Path

from bench import page
from bench.figures import Breakdown, Line, Outcome, at_most

OUTCOME = Outcome(
    (Line("warm command", 7.25, "ms", 10.0, "ssh", at_most(6, "ms")),),
    (Breakdown("create: where it goes", ("step", "DTrove"), (("  connect", 0.25),)),),
    facts={"machine_busy_before_percent": 3.2},
)
DOCUMENT = {
    "commit": "abc", "began_at": "2026-01-01T12:00:00+00:00",
    "machine": {"cores": 2, "cpu": "AMD", "memory_mb": 1000, "system": "Debian", "kernel": "6", "python": "3.11"},
}  # fmt: skip


def test_figures_replace_those_of_the_run_before_and_leave_the_rest_of_the_page(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text(f"# Benchmarks\n\nhow\n\n{page.HEADING}\n\nold figures\n")
    for _ in range(2):
        page.record({"ssh": OUTCOME}, DOCUMENT, file)
    text = file.read_text()
    assert text.startswith(
        "# Benchmarks\n\nhow\n\n## Last figures\n\n`python -m bench ssh` at abc, 2026-01-01T12:00 UTC"
    )
    assert "old figures" not in text
    assert text.count("| ssh | warm command | 7.25 ms | 10.0 ms (ssh) | 0.72 × | ≤ 6 ms | **missed** |") == 1
    assert "| connect | 0.25 |" in text
