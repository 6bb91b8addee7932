"""`dtrove secrets rotate`: a new key, everything sealed with it, and the old ones gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from client.exits import Exit
from shared.errors import Failure
from shared.secrets import Keyring, new_key, read_keyring, write_keyring
from tests.unit.client.conftest import Done
from tests.unit.client.world import World

Dtrove = Callable[..., Done]


def tokens(world: World) -> list[str]:
    with world.database.read() as connection:
        rows = connection.exec_driver_sql("select body from idempotency where body is not null")
        return [row[0] for row in rows]


def test_after_rotate_and_drop_old_all_is_readable_and_nothing_opens_with_the_old_key(
    world: World, dtrove: Dtrove
) -> None:
    dtrove("cluster", "create", "shop", "--datastore", "pgsql 15", "--wait")
    old = read_keyring(world.home / "keyring")
    before = tokens(world)
    done = dtrove("secrets", "rotate", "--drop-old", "--json")
    assert done.code == 0
    assert done.json["keys"] == 1
    assert done.json["resealed"]["api"] >= 1
    assert done.json["resealed"]["datastore_agentless"] == 2
    (key,) = read_keyring(world.home / "keyring").keys
    assert key not in old.keys
    after = tokens(world)
    assert before
    assert len(after) >= len(before)
    for token in after:
        assert world.keyring.open(token)
        with pytest.raises(Failure):
            old.open(token)
    assert dtrove("cluster", "credentials", "shop").code == 0


def test_a_rotation_alone_keeps_the_old_keys(world: World, dtrove: Dtrove) -> None:
    old = read_keyring(world.home / "keyring").keys
    done = dtrove("secrets", "rotate")
    assert read_keyring(world.home / "keyring").keys[1:] == old
    assert "holds 2 keys" in done.out


def test_without_the_api_no_key_is_made(world: World, dtrove: Dtrove, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DTROVE_URL", "http://127.0.0.1:9")
    before = read_keyring(world.home / "keyring")
    assert dtrove("secrets", "rotate", "--drop-old").code == Exit.UNAVAILABLE
    assert read_keyring(world.home / "keyring") == before


def test_no_key_is_dropped_while_a_service_reads_another_keyring(
    world: World, dtrove: Dtrove, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "other-keyring"
    write_keyring(other, Keyring((new_key(),)))
    monkeypatch.setenv("DTROVE_KEYRING", str(other))
    done = dtrove("secrets", "rotate", "--drop-old")
    assert done.code == Exit.FAILED
    assert "api" in done.err
    assert "does not read this keyring file" in done.err
    assert len(read_keyring(other).keys) == 2


def test_only_an_administrator_may_rotate(world: World, dtrove: Dtrove, monkeypatch: pytest.MonkeyPatch) -> None:
    token = dtrove("token", "create", "robot", "--json").json["token"]
    monkeypatch.setenv("DTROVE_TOKEN", token)
    before = read_keyring(world.home / "keyring")
    assert dtrove("secrets", "rotate").code == Exit.NOT_ALLOWED
    assert read_keyring(world.home / "keyring") == before
