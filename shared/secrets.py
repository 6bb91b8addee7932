"""Secrets: values that never show, the keyring that seals them, and generators of new ones."""

from __future__ import annotations

import hmac
import os
import secrets as random
import string
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from shared.errors import Failure

_ALPHABET = string.ascii_letters + string.digits


class Secret:
    """A text that prints as `***` wherever it ends up; `reveal()` is the only way to read it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself: for the wire to the one who needs it, never for a log."""
        return self._value

    def __str__(self) -> str:
        return "***" if self._value else ""

    def __repr__(self) -> str:
        return "Secret('***')" if self._value else "Secret('')"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)


def generate_password(length: int = 24) -> Secret:
    """A random password of letters and digits: safe in any URL, shell or SQL, about 5.95 bits a character."""
    return Secret("".join(random.choice(_ALPHABET) for _ in range(length)))


@dataclass(frozen=True)
class Keyring:
    """Fernet keys, newest first: the first one seals, every one opens. Source: cryptography's MultiFernet."""

    keys: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.keys:
            raise Failure("the keyring holds no key", what_to_do="run `dtrove init`, which makes one")

    def seal(self, secret: Secret) -> str:
        """Encrypt; the result is URL-safe text."""
        return self._fernet().encrypt(secret.reveal().encode()).decode()

    def open(self, token: str) -> Secret:
        """Decrypt what `seal` made. Raises Failure when no key of the ring fits."""
        try:
            return Secret(self._fernet().decrypt(token.encode()).decode())
        except InvalidToken as error:
            raise Failure(
                "a stored secret cannot be opened with any key of the keyring",
                what_to_do="restore the keyring file that was in use when it was stored",
            ) from error

    def reseal(self, token: str) -> str:
        """Encrypt again under the newest key."""
        return self._fernet().rotate(token.encode()).decode()

    def _fernet(self) -> MultiFernet:
        return MultiFernet([Fernet(key) for key in self.keys])


def read_keyring(path: Path) -> Keyring:
    """Read a keyring file: one key a line, newest first. Raises Failure where there is none."""
    try:
        lines = path.read_text().split()
    except FileNotFoundError as error:
        raise Failure(f"no keyring at {path}", what_to_do="run `dtrove init`, which makes one") from error
    return Keyring(tuple(lines))


def write_keyring(path: Path, keyring: Keyring) -> None:
    """Write a keyring file atomically, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write("\n".join(keyring.keys) + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def new_key() -> str:
    """A fresh Fernet key."""
    return Fernet.generate_key().decode()
