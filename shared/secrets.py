"""Secrets: values that never show, the keyring that seals them, and generators of new ones."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets as random
import string
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Never, Protocol

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from shared.errors import Failure

log = logging.getLogger(__name__)
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

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, _memo: object) -> Secret:
        return self

    def __reduce_ex__(self, _protocol: object) -> Never:
        # A pickle holds what it was made of in clear.
        raise TypeError("a Secret cannot be pickled: seal it with the keyring")


def generate_password(length: int = 24) -> Secret:
    """A random password of letters and digits: safe in any URL, shell or SQL, about 5.95 bits a character."""
    return Secret("".join(random.choice(_ALPHABET) for _ in range(length)))


class Sealer(Protocol):
    """Seals secrets and opens them again: a Keyring, or the file that holds one."""

    def seal(self, secret: Secret) -> str:
        """Encrypt; the result is URL-safe text."""
        ...

    def open(self, token: str) -> Secret:
        """Decrypt what `seal` made. Raises Failure when no key fits."""
        ...


@dataclass(frozen=True)
class Keyring:
    """Fernet keys, newest first: the first one seals, every one opens. Source: cryptography's MultiFernet."""

    keys: tuple[str, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if not self.keys:
            raise Failure("the keyring holds no key", what_to_do="run `dtrove init`, which makes one")
        for number, key in enumerate(self.keys, 1):
            try:
                Fernet(key)
            except ValueError as error:
                raise Failure(f"line {number} of the keyring is no key",
                              what_to_do="restore the keyring file from its copy") from error  # fmt: skip

    @property
    def newest(self) -> str:
        """What the newest key is known by; it says nothing of the key itself."""
        return hashlib.sha256(self.keys[0].encode()).hexdigest()[:16]

    def seal(self, secret: Secret) -> str:
        """Encrypt; the result is URL-safe text."""
        return self._fernet.encrypt(secret.reveal().encode()).decode()

    def open(self, token: str) -> Secret:
        """Decrypt what `seal` made. Raises Failure when no key of the ring fits."""
        try:
            return Secret(self._fernet.decrypt(token.encode()).decode())
        except InvalidToken as error:
            raise Failure(
                "a stored secret cannot be opened with any key of the keyring",
                what_to_do="restore the keyring file that was in use when it was stored",
            ) from error

    def reseal(self, token: str) -> str:
        """Encrypt again under the newest key; what it has sealed already comes back as it is. Raises Failure."""
        return token if self.is_newest(token) else self.seal(self.open(token))

    def is_newest(self, token: str) -> bool:
        """Whether the newest key has sealed this."""
        try:
            Fernet(self.keys[0]).decrypt(token.encode())
        except InvalidToken:
            return False
        return True

    @cached_property
    def _fernet(self) -> MultiFernet:
        return MultiFernet([Fernet(key) for key in self.keys])


@dataclass
class KeyringFile:
    """A keyring file in use: once it has changed it is read again, so that a rotation needs no restart."""

    path: Path
    _ring: Keyring | None = field(default=None, repr=False)
    _seen: tuple[int, int, int] | None = None

    @classmethod
    def opened(cls, path: Path) -> KeyringFile:
        """The file, read at once: should it be lost later, the keys are known. Raises Failure."""
        made = cls(path)
        made.current()
        return made

    def current(self) -> Keyring:
        """The keyring as it stands in the file; the last good one while the file is away or damaged.

        Raises Failure where there was none yet.
        """
        try:
            stat = self.path.stat()
            seen = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            if self._ring is None or seen != self._seen:
                self._ring, self._seen = read_keyring(self.path), seen
        except (OSError, Failure) as error:
            if self._ring is None:
                raise Failure(f"no keyring at {self.path}", what_to_do="run `dtrove init`, which makes one") from error
            log.warning("the keyring at %s cannot be read; going on with the one read before", self.path)
        return self._ring

    def seal(self, secret: Secret) -> str:
        """Encrypt with the newest key."""
        return self.current().seal(secret)

    def open(self, token: str) -> Secret:
        """Decrypt what `seal` made. Raises Failure when no key of the ring fits."""
        return self.current().open(token)


def keyring_path(configured: str, home: str | Path) -> Path:
    """Where the keyring file is: where it was said to be, or in the installation's directory."""
    return Path(configured) if configured else Path(home) / "keyring"


def read_keyring(path: Path) -> Keyring:
    """Read a keyring file: one key a line, newest first. Raises Failure where there is none, or no key in it."""
    try:
        lines = path.read_text().split()
    except FileNotFoundError as error:
        raise Failure(f"no keyring at {path}", what_to_do="run `dtrove init`, which makes one") from error
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"the keyring at {path} cannot be read: {error}",
                      what_to_do="see that it is a file of keys that this user may read") from error  # fmt: skip
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
