"""What an operator is shown of a message never holds what its names call secret."""

from __future__ import annotations

import json

import pytest

from services.api.domain.masking import MASK, is_secret_parameter, masked

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


@pytest.mark.parametrize("name", ["requirepass", "masterauth", "MASTERAUTH", "ssl_passphrase", "admin_password", "api_key",
                                  "wsrep_sst_auth", "report-password", "tls-key-file-pass"])  # fmt: skip
def test_a_parameter_that_is_a_secret_is_known_by_its_name(name: str) -> None:
    assert is_secret_parameter(name)


@pytest.mark.parametrize("name", ["maxmemory", "password_encryption", "authentication_timeout", "max_connections",
                                  "ssl_key_file", "default_authentication_plugin", "passive"])  # fmt: skip
def test_other_parameters_are_none(name: str) -> None:
    assert not is_secret_parameter(name)
