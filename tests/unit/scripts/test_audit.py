"""An audit that could not ask claims nothing."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.audit import CLEAN, NOT_ASKED, WEAK, Audit, read

GOOD: dict[str, Any] = {"name": "good", "version": "1", "vulns": []}
UNKNOWN: dict[str, Any] = {"name": "odd", "skip_reason": "not found"}
BAD: dict[str, Any] = {
    "name": "bad",
    "version": "2",
    "vulns": [{"id": "GHSA-x", "fix_versions": ["3"]}, {"id": "GHSA-y"}],
}


@pytest.mark.parametrize(
    ("packages", "code", "words"),
    [
        ([GOOD, GOOD], CLEAN, "no known weakness in 2 dependencies"),
        ([GOOD, UNKNOWN], CLEAN, "1 are unknown"),
        ([UNKNOWN, UNKNOWN], NOT_ASKED, "NOT audited"),
        ([], NOT_ASKED, "NOT audited"),
        ([GOOD, UNKNOWN, BAD], WEAK, "bad 2: GHSA-x, mended in 3"),
        ([BAD], WEAK, "GHSA-y, mended in no release yet"),
    ],
)
def test_what_it_says_is_what_was_found_out(packages: list[dict[str, Any]], code: int, words: str) -> None:
    found = read({"dependencies": packages})
    assert found.code == code
    assert words in found.words()


def test_a_service_that_does_not_answer_is_no_clean_bill() -> None:
    found = Audit(0, 0, (), "no answer within 120 s")
    assert found.code == NOT_ASKED
    assert "no answer within 120 s" in found.words()
