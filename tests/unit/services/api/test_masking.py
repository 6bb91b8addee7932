"""What an operator is shown of a message never holds what its names call secret."""

from __future__ import annotations

import json

import pytest

from services.api.domain.masking import MASK, masked

CANARY = "canary-1b7"


@pytest.mark.parametrize("name", ["token", "TOKEN", "admin_password", "passphrase", "api_key", "private_key", "secret"])
def test_a_secret_is_masked_wherever_it_stands(name: str) -> None:
    body = {"wish": "x", name: CANARY, "in": [{"deep": {name: CANARY}}], "kept": "plain"}
    shown = masked(json.dumps(body).encode())
    assert CANARY not in json.dumps(shown)
    assert (shown["wish"], shown["kept"], shown[name]) == ("x", "plain", MASK)


@pytest.mark.parametrize(
    "body",
    [
        f'{{"token": "{CANARY}", "clus',
        f'{{"a": 1, "token": "{CANARY}',
        f"token={CANARY}&x=1",
        f'{{"token":"x\\"{CANARY}"',
    ],
)
def test_a_body_that_broke_off_is_masked_as_well(body: str) -> None:
    assert CANARY not in masked(body.encode())


def test_bytes_that_are_no_text_and_bodies_without_end_are_shown_as_far_as_they_can_be() -> None:
    assert masked(b"\xff\xfe") == "\ufffd\ufffd"
    assert len(masked(b"x" * 1_000_000)) < 100_000
    assert masked(b"[" * 50_000)
