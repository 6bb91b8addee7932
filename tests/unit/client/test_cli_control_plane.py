"""`dtrove control-plane`: what it asks for, what it says, and what it ends with."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pyrage import x25519

from client import installation
from client.exits import Exit
from client.local.control_plane import marks
from shared.db import Sealed, migrate
from tests.unit.client.conftest import Dtrove

SERVICES = ("api", "provisioner", "datastore_agentless", "scheduler")
PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installation as it is between two runs."""
    for name in ("AMQP_URI", "DTROVE_KEYRING", "DTROVE_URL", "DTROVE_TOKEN", "DTROVE_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    before = Sealed.keyring
    made = tmp_path / "home"
    monkeypatch.setenv("DTROVE_HOME", str(made))
    installation.init(made)
    for service in SERVICES:
        migrate.upgrade(service, f"sqlite:///{made}/{service}.sqlite")
    yield made
    Sealed.keyring = before


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, Path]:
    """A public key, and the file that `age-keygen` would make of the private one."""
    identity = x25519.Identity.generate()
    (tmp_path / "identity").write_text(f"# created: today\n{identity}\n")
    return str(identity.to_public()), tmp_path / "identity"


def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """From now on, another machine's."""
    monkeypatch.setenv("DTROVE_HOME", str(tmp_path / "elsewhere"))
    return tmp_path / "elsewhere"


def test_a_copy_to_a_recipient_is_restored_by_the_private_half_and_goes_on_at_a_word(
    home: Path, pair: tuple[str, Path], dtrove: Dtrove, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public, identity = pair
    done = dtrove("control-plane", "backup", str(tmp_path), "--recipient", public, "--json")
    assert done.code == 0, done.err
    file = Path(done.json["file"])
    assert file.stat().st_size == done.json["bytes"]
    assert set(done.json["databases"]) == set(SERVICES)
    assert done.json["online"] is False

    there = elsewhere(tmp_path, monkeypatch)
    done = dtrove("control-plane", "restore", str(file), "--identity", str(identity), "--check")
    assert (done.code, "can be restored here" in done.out) == (0, True)
    assert not (there / "keyring").exists()
    done = dtrove("control-plane", "restore", str(file), "--identity", str(identity))
    assert done.code == 0, done.err
    assert "dtrove control-plane resume" in done.out
    assert (there / "keyring").read_bytes() == (home / "keyring").read_bytes()
    assert dtrove("control-plane", "resume", "--json").json == {"tasks": 0, "messages": 0}
    assert marks.read(there, marks.HELD) is None


def test_a_passphrase_comes_from_a_file_or_from_standard_input_and_must_be_long(
    home: Path, dtrove: Dtrove, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, archive = tmp_path / "passphrase", str(tmp_path / "copy.age")
    file.write_text("short\n")
    done = dtrove("control-plane", "backup", archive, "--passphrase-file", str(file))
    assert done.code == Exit.FAILED
    assert "fewer than 12 characters" in done.err
    assert "short\n" not in done.err
    file.write_text(f"{PASSPHRASE}\n")
    assert dtrove("control-plane", "backup", archive, "--passphrase-file", str(file)).code == 0
    elsewhere(tmp_path, monkeypatch)
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSPHRASE}\n"))
    done = dtrove("control-plane", "restore", archive, "--passphrase-file", "-", "--json")
    assert done.code == 0, done.err
    assert done.json["held"] == {"tasks": 0, "messages": 0}
    assert done.json["aside"] == []


def test_what_is_wrong_is_said_with_what_to_do(
    home: Path, pair: tuple[str, Path], dtrove: Dtrove, tmp_path: Path
) -> None:
    public, identity = pair
    done = dtrove("control-plane", "backup", str(tmp_path / "a.age"), "-r", "age1nonsense")
    assert (done.code, "is no public key of age's" in done.err) == (Exit.FAILED, True)
    done = dtrove("control-plane", "restore")
    assert (done.code, "no archive is named" in done.err) == (Exit.FAILED, True)
    done = dtrove("control-plane", "restore", str(tmp_path / "none"), "-i", str(identity), "--force")
    assert (done.code, "there is no file" in done.err) == (Exit.FAILED, True)
    assert (home / "keyring").exists()
    (tmp_path / "empty").write_text("# nothing\n")
    done = dtrove("control-plane", "restore", str(tmp_path / "none"), "-i", str(tmp_path / "empty"))
    assert (done.code, "holds no private key" in done.err) == (Exit.FAILED, True)
    assert dtrove("control-plane", "backup", str(tmp_path / "a.age"), "-r", public).code == 0
    done = dtrove("control-plane", "restore", str(tmp_path / "a.age"), "-i", str(identity))
    assert (done.code, "--force, which puts aside" in done.err) == (Exit.FAILED, True)


def test_in_the_midst_of_a_restore_nothing_else_begins(home: Path, pair: tuple[str, Path], dtrove: Dtrove,
                                                       tmp_path: Path) -> None:  # fmt: skip
    (marks.make_folder(home) / marks.READY).mkdir()
    for arguments in (
        ("init",),
        ("up",),
        ("control-plane", "backup", str(tmp_path), "-r", pair[0]),
        ("control-plane", "resume"),
    ):
        done = dtrove(*arguments)
        assert (done.code, "was broken off before its end" in done.err) == (Exit.FAILED, True), arguments


def test_an_ssh_key_opens_what_was_encrypted_to_it(home: Path, dtrove: Dtrove, tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    key = Ed25519PrivateKey.generate()
    (tmp_path / "id").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    archive = str(tmp_path / "copy.age")
    assert dtrove("control-plane", "backup", archive, "-r", public, "--json").code == 0
    elsewhere(tmp_path, monkeypatch)
    done = dtrove("control-plane", "restore", archive, "-i", str(tmp_path / "id"), "--json")
    assert (done.code, json.loads(done.out)["aside"]) == (0, [])
