"""Secrets do not show, and open only with their keys."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from shared.errors import Failure
from shared.secrets import Keyring, Secret, generate_password, new_key, read_keyring, write_keyring

CANARY = "canary-7d1f"


def test_a_secret_prints_as_stars_everywhere() -> None:
    secret = Secret(CANARY)
    for text in (str(secret), repr(secret), f"{secret}", "%s" % secret, repr([secret]), json.dumps({"a": str(secret)})):  # noqa: UP031
        assert CANARY not in text
        assert "***" in text


def test_an_empty_secret_is_false() -> None:
    assert not Secret("")


def test_what_a_keyring_seals_only_its_keys_open() -> None:
    ring, other = Keyring((new_key(),)), Keyring((new_key(),))
    token = ring.seal(Secret(CANARY))
    assert CANARY not in token
    assert ring.open(token).reveal() == CANARY
    with pytest.raises(Failure, match="keyring"):
        other.open(token)


def test_after_a_rotation_old_secrets_open_and_resealed_ones_need_the_new_key_only() -> None:
    old, new = new_key(), new_key()
    token = Keyring((old,)).seal(Secret(CANARY))
    both = Keyring((new, old))
    assert both.open(token).reveal() == CANARY
    assert Keyring((new,)).open(both.reseal(token)).reveal() == CANARY


def test_a_keyring_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keyring"
    ring = Keyring((new_key(), new_key()))
    write_keyring(path, ring)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_keyring(path) == ring


def test_a_missing_keyring_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        read_keyring(tmp_path / "none")
    assert "dtrove init" in caught.value.what_to_do


def test_passwords_are_long_random_and_safe_in_a_url() -> None:
    made = {generate_password().reveal() for _ in range(50)}
    assert len(made) == 50
    assert all(len(word) == 24 and word.isalnum() for word in made)
