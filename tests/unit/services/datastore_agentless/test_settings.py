"""What datastore_agentless may be told, and what it says to what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.datastore_agentless.domain.key import Key
from services.datastore_agentless.settings import (
    BUILT_IN,
    Jump,
    Settings,
    parse_host_key,
    parse_jump,
    parse_jump_key,
    parse_managers,
    parse_prefix,
)
from shared.config import problems_of

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKBMcuFPYIqFmbjVgOhhPVX8NXoJTdu9YtVKFMxGLdUy"


def test_managers_are_pairs_as_in_the_seed_written_as_text_or_as_a_list() -> None:
    assert parse_managers(str(list(BUILT_IN))) == BUILT_IN
    assert parse_managers([list(pair) for pair in BUILT_IN]) == BUILT_IN


@pytest.mark.parametrize(
    "raw", ["mysql", "{'a': 'b'}", "[('a', 'b', 'c')]", "[('no.such.Manager', 'x')]", "__import__('os')"]
)
def test_what_is_no_list_of_managers_is_refused(raw: str) -> None:
    with pytest.raises(ValueError):
        parse_managers(raw)


def test_a_class_that_is_no_manager_is_refused() -> None:
    with pytest.raises(ValueError, match="is no datastore manager"):
        parse_managers("[('pathlib.Path', 'path')]")


@pytest.mark.parametrize(
    ("raw", "jump"),
    [
        ("gate", Jump("root", "gate", 22)),
        ("me@gate:2222", Jump("me", "gate", 2222)),
        ("me@[2001:db8::1]:22", Jump("me", "2001:db8::1", 22)),
    ],
)
def test_a_jump_host_is_user_host_and_port(raw: str, jump: Jump) -> None:
    assert parse_jump(raw) == jump


@pytest.mark.parametrize("raw", ["me@", "gate:port", "gate:99999", "a b", "me@gate:22:22"])
def test_what_is_no_jump_host_is_refused(raw: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        parse_jump(raw)


def test_a_jump_key_must_open_without_a_passphrase(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(Key.create("gate").private.reveal())
    with pytest.raises(ValueError, match="without a passphrase"):
        parse_jump_key(str(path))
    with pytest.raises(ValueError, match="cannot be read"):
        parse_jump_key(str(tmp_path / "none"))


def test_a_host_key_is_an_ed25519_one() -> None:
    assert parse_host_key(HOST_KEY) == HOST_KEY
    with pytest.raises(ValueError, match="no public host key"):
        parse_host_key("ssh-rsa AAAA")


def test_a_jump_host_wants_its_key_and_its_identity() -> None:
    problems = "\n".join(problems_of([Settings], {"DTROVE_SSH_JUMP": "me@gate"}))
    assert "DTROVE_SSH_JUMP_KEY_FILE: is not set" in problems
    assert "DTROVE_SSH_JUMP_HOST_KEY: is not set" in problems


def test_a_prefix_names_only_what_an_instance_has_and_no_secret() -> None:
    assert parse_prefix("sudo vzctl exec %(local_id)s ") == "sudo vzctl exec %(local_id)s "
    for wrong in ("exec %(nothing)s", "exec %(admin_password)s", "exec %s", "100%"):
        with pytest.raises(ValueError):
            parse_prefix(wrong)


def test_half_a_key_of_an_s3_is_of_no_use(tmp_path: Path) -> None:
    for given, missing in (("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"), ("SECRET_ACCESS_KEY", "ACCESS_KEY_ID")):
        problems = problems_of([Settings], {"DTROVE_HOME": str(tmp_path), f"DTROVE_S3_{given}": "half"})
        assert f"DTROVE_S3_{missing}: is not set: the other half of an S3's key is of no use alone" in problems


def test_a_store_in_a_swift_wants_somebody_to_be(tmp_path: Path) -> None:
    given = {"DTROVE_HOME": str(tmp_path), "DTROVE_BACKUP_STORES": "far=swift://backups"}
    assert (
        "OS_PASSWORD: is not set: the backup store far needs it, or OS_APPLICATION_CREDENTIAL_ID, or OS_CLOUD"
        in problems_of([Settings], given)
    )
    for mended in ({"OS_CLOUD": "mine"}, {"DTROVE_BACKUP_STORES": "far=swift://backups?cloud=mine"}):
        assert not [one for one in problems_of([Settings], given | mended) if "OS_" in one]


def test_the_authority_of_a_cloud_is_looked_for_where_a_store_is_in_one(tmp_path: Path) -> None:
    given = {"DTROVE_HOME": str(tmp_path), "OS_CACERT": str(tmp_path / "none.pem")}
    assert not [one for one in problems_of([Settings], given) if "OS_CACERT" in one]
    given["DTROVE_BACKUP_STORES"] = "far=swift://backups?cloud=mine"
    assert [one for one in problems_of([Settings], given) if "OS_CACERT" in one and "cannot be read" in one]
