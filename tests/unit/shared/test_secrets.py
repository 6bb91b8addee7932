"""Secrets do not show, and open only with their keys."""

from __future__ import annotations

import copy
import json
import logging
import os
import pickle
import stat
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from shared.errors import Failure
from shared.secrets import Keyring, KeyringFile, Secret, generate_password, new_key, read_keyring, write_keyring

CANARY = "canary-7d1f"


def test_a_secret_prints_as_stars_everywhere() -> None:
    secret = Secret(CANARY)
    for text in (str(secret), repr(secret), f"{secret}", "%s" % secret, repr([secret]), json.dumps({"a": str(secret)})):  # noqa: UP031
        assert CANARY not in text
        assert "***" in text


@dataclass
class Login:
    user: str
    password: Secret


def test_a_secret_stays_hidden_in_what_is_made_of_it(caplog: pytest.LogCaptureFixture) -> None:
    login = Login("me", Secret(CANARY))
    logging.getLogger("test").warning("%s %r %s", login, asdict(login), f"{login.password:>10}")
    assert CANARY not in repr(login) + str(asdict(login)) + caplog.text
    assert "***" in repr(login)


def test_a_secret_is_no_json_and_cannot_be_pickled_but_copies_are_secrets() -> None:
    secret = Secret(CANARY)
    with pytest.raises(TypeError):
        json.dumps({"password": secret})
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="pickled"):
            pickle.dumps(Login("me", secret), protocol)
    assert copy.copy(secret) is secret
    assert copy.deepcopy(Login("me", secret)).password is secret


def test_a_keyring_does_not_show_its_keys() -> None:
    key = new_key()
    assert key not in repr(Keyring((key,)))
    assert key not in Keyring((key,)).newest


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


@pytest.mark.parametrize("content", ["", "not a key\n"])
def test_a_damaged_keyring_is_refused_with_a_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keyring"
    path.write_text(content)
    with pytest.raises(Failure, match="keyring") as caught:
        read_keyring(path)
    assert caught.value.what_to_do


def test_a_changed_keyring_file_is_used_without_a_restart(tmp_path: Path) -> None:
    old, new = new_key(), new_key()
    path = tmp_path / "keyring"
    write_keyring(path, Keyring((old,)))
    file = KeyringFile(path)
    token = file.seal(Secret(CANARY))
    write_keyring(path, Keyring((new, old)))
    assert file.open(token).reveal() == CANARY
    assert Keyring((new,)).open(file.seal(Secret(CANARY))).reveal() == CANARY


def test_a_keyring_file_that_goes_away_or_breaks_leaves_the_last_good_one_in_use(tmp_path: Path) -> None:
    path = tmp_path / "keyring"
    write_keyring(path, Keyring((new_key(),)))
    file = KeyringFile(path)
    token = file.seal(Secret(CANARY))
    path.write_text("broken")
    os.utime(path, ns=(1, 1))
    assert file.open(token).reveal() == CANARY
    path.unlink()
    assert file.open(token).reveal() == CANARY


def test_a_keyring_file_that_goes_away_before_it_was_needed_is_known_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "keyring"
    with pytest.raises(Failure, match="no keyring at"):
        KeyringFile.opened(path)
    write_keyring(path, Keyring((new_key(),)))
    file = KeyringFile.opened(path)
    path.unlink()
    assert file.open(file.seal(Secret(CANARY))).reveal() == CANARY


def test_resealing_leaves_alone_what_the_newest_key_has_sealed() -> None:
    both = Keyring((new_key(), new_key()))
    token = both.seal(Secret(CANARY))
    assert both.reseal(token) == token


def test_passwords_are_long_random_and_safe_in_a_url() -> None:
    made = {generate_password().reveal() for _ in range(50)}
    assert len(made) == 50
    assert all(len(word) == 24 and word.isalnum() for word in made)
