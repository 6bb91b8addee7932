"""Encrypts an archive, and opens it: by age, to recipients or to a passphrase. The tool `age` opens it as well.

An archive holds the keyring, and with it everything. So there is no way to write one in clear.
Source of the format: age's C2SP specification; it is authenticated, in chunks, the last one marked as such.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyrage
from pyrage import passphrase as by_passphrase
from pyrage import ssh, x25519

from client.local.control_plane.archive import Reading
from shared.errors import Failure, FieldError, Invalid
from shared.secrets import Secret

LEAST_PASSPHRASE = 12
_SSH_KEY = b"-----BEGIN"


@dataclass(frozen=True)
class Passphrase:
    """One text that closes and opens. The whole archive then passes through memory."""

    text: Secret

    def seal(self, pieces: Iterator[bytes], target: IO[bytes]) -> None:
        """Write the pieces to `target`, encrypted. Raises Failure."""
        target.write(by_passphrase.encrypt(b"".join(pieces), self.text.reveal()))

    def open(self, source: Path, target: IO[bytes]) -> None:
        """Write to `target` what `source` holds. Raises Failure for a wrong passphrase, or a changed byte."""
        try:
            target.write(by_passphrase.decrypt(source.read_bytes(), self.text.reveal()))
        except pyrage.DecryptError as error:
            raise _shut(source, error) from error


@dataclass(frozen=True)
class Recipients:
    """Public halves of those who can open it: this machine needs nothing secret for a copy."""

    keys: tuple[Any, ...]

    def seal(self, pieces: Iterator[bytes], target: IO[bytes]) -> None:
        """Write the pieces to `target`, encrypted. Raises Failure."""
        try:
            pyrage.encrypt_io(Reading(pieces), target, list(self.keys))
        except pyrage.EncryptError as error:
            raise Failure(f"the archive cannot be encrypted: {error}") from error


@dataclass(frozen=True)
class Identities:
    """Private halves; one that fits will do."""

    keys: tuple[Any, ...]

    def open(self, source: Path, target: IO[bytes]) -> None:
        """Write to `target` what `source` holds. Raises Failure for a wrong identity, or a changed byte."""
        try:
            with source.open("rb") as file:
                pyrage.decrypt_io(file, target, list(self.keys))
        except (pyrage.DecryptError, OSError) as error:
            # What is found wrong further on arrives as an error of reading, without a number of the system's.
            if getattr(error, "errno", None):
                raise
            raise _shut(source, error) from error


def new_passphrase(text: Secret) -> Passphrase:
    """One to encrypt with. Raises Invalid where it is too short to guard every secret of an installation."""
    if len(text.reveal()) < LEAST_PASSPHRASE:
        reason = f"has fewer than {LEAST_PASSPHRASE} characters, and it is all that guards every secret of DTrove"
        raise Invalid(f"the passphrase {reason}", (FieldError("passphrase", reason),), what_to_do="choose a longer one")
    return Passphrase(text)


def recipients(texts: Sequence[str]) -> Recipients:
    """Read `age1...` and `ssh-ed25519 ...`. Raises Invalid."""
    return Recipients(tuple(map(_recipient, texts)))


def identities(paths: Sequence[Path]) -> Identities:
    """Read files of age's identities, or OpenSSH's private keys without a passphrase. Raises Invalid."""
    return Identities(tuple(key for path in paths for key in _identities(path)))


def _recipient(text: str) -> Any:
    kind = ssh.Recipient if text.startswith("ssh-") else x25519.Recipient
    try:
        return kind.from_str(text.strip())
    except pyrage.RecipientError as error:
        reason = "is no public key of age's (`age1...`), nor an OpenSSH one (`ssh-ed25519 ...`)"
        raise Invalid(f"the recipient {text!r} {reason}", (FieldError("recipient", reason),),
                      what_to_do="`age-keygen` makes a pair, and prints the public half") from error  # fmt: skip


def _identities(path: Path) -> list[Any]:
    try:
        content = path.read_bytes()
        if content.lstrip().startswith(_SSH_KEY):
            return [ssh.Identity.from_buffer(content)]
        lines = (line.strip() for line in content.decode().splitlines())
        found = [x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except (OSError, UnicodeDecodeError, pyrage.IdentityError) as error:
        raise _no_identity(path, str(error)) from error
    if not found:
        raise _no_identity(path, "it holds none")
    return found


def _no_identity(path: Path, why: str) -> Invalid:
    reason = f"holds no private key that opens without a passphrase: {why}"
    return Invalid(f"{path} {reason}", (FieldError("identity", reason),),
                   what_to_do="name the file that `age-keygen` has made")  # fmt: skip


def _shut(source: Path, error: Exception) -> Failure:
    return Failure(
        f"{source} cannot be opened: {error}",
        what_to_do="give the passphrase or the identity that it was made with; where that is right, the file is damaged: take another copy",
    )
