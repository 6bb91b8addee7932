"""Proofs of backups: what they are to ask, as the command line has it, and what a list says of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import typer

from client.terminal import age


def wanted_checks(checks: Iterable[str], expected: Iterable[str]) -> list[dict[str, Any]]:
    """`NAME=SQL`, or `NAME@DATABASE=SQL`, and `NAME=ANSWER`, as the API takes them. Raises typer.BadParameter."""
    found: dict[str, dict[str, Any]] = {}
    for one in checks:
        place, sql = _parted(one, "--check")
        name, _, database = place.partition("@")
        if name in found:
            raise typer.BadParameter(f"--check {name} is there twice")
        found[name] = {"name": name, "sql": sql, "database": database}
    for one in expected:
        name, answer = _parted(one, "--expect")
        if name not in found:
            raise typer.BadParameter(f"--expect {name} has no --check of that name")
        found[name]["expect"] = answer
    return list(found.values())


def proven(backup: dict[str, Any]) -> str:
    """How long ago it was last proved, or that the last proof has failed; empty where there was none."""
    if backup["verification_failed"]:
        return "failed"
    return f"{age(backup['verified']['at'])} ago" if backup["verified"] else ""


def counted(tally: dict[str, Any] | None) -> str:
    """What was counted beside a backup, as people read it; empty where nobody counts."""
    if not tally:
        return ""
    if tally["why"]:
        return f"not counted: {tally['why']}"
    each = [f"{one['name']}: {one['tables']} tables, {one['rows']} rows" for one in tally["databases"]]
    left = [(tally["changed"], "written to meanwhile"), (tally["left"], "too large or too many")]
    words = [f"{number} tables {why}" for number, why in left if number]
    return "; ".join([*(each or ["nothing"]), f"{tally['sums']} checksums", *words])


def _parted(text: str, option: str) -> tuple[str, str]:
    name, sign, rest = text.partition("=")
    if not (name and sign):
        raise typer.BadParameter(f"{option} must be NAME=..., not {text!r}")
    return name, rest
