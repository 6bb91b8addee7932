"""Keystone's roles become DTrove's by rules in oslo.policy's language."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.api.identity.keystone import Identity
from services.api.identity.policy import Policy
from services.api.identity.policy_file import parse_policy_file


def somebody(*roles: str, project: str = "p" * 32) -> Identity:
    return Identity("u", "ann", project, "shop", "default", "Default", roles, datetime(2030, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(("roles", "role"), [
    (("admin",), "admin"), (("member",), "member"), (("reader",), "reader"), (("reader", "member"), "member"),
    (("Member",), "member"), (("creator", "heat_stack_owner"), ""), ((), ""),
])  # fmt: skip
def test_the_highest_role_that_the_defaults_give_counts(roles: tuple[str, ...], role: str) -> None:
    assert Policy().role_of(somebody(*roles)) == role


def test_a_file_says_otherwise_and_leaves_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(f'member: "role:dba or project_id:{"7" * 32}"\n')
    rules = Policy(parse_policy_file(file))
    assert rules.role_of(somebody("dba")) == "member"
    assert rules.role_of(somebody("member")) == ""
    assert rules.role_of(somebody(project="7" * 32)) == "member"
    assert rules.role_of(somebody("admin")) == "admin"
    assert rules.role_of(somebody("reader")) == "reader"


@pytest.mark.parametrize(("text", "words"), [
    ("- member\n", "must map names to rules"), ("owner: 'role:x'\n", "a rule for owner"), ("member: {a: b}\n", "must map"),
    ("member: 'x\n", "cannot be read"),
])  # fmt: skip
def test_a_file_that_is_none_is_refused_with_a_sentence(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=words):
        parse_policy_file(file)


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        parse_policy_file("/nowhere/policy.yaml")
