"""What an archive says of itself: which DTrove has made it, when, and the sum of each part."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePosixPath
from typing import Any

from shared.errors import Failure

# Grows when an archive of now could not be read by a program of then.
FORMAT = 1
NAME = "manifest.json"
DATABASES, CONFIGURATION, FILES = "databases", "configuration", "files"
KEYRING, CLIENT, TOKEN_HASH = "keyring", "client.json", "bootstrap_token_hash"
SQLITE, POSTGRES = "sqlite", "postgresql"


@dataclass(frozen=True)
class Part:
    """One file of an archive."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Copied:
    """One database of an archive: its engine, the version of its tables, when it was copied, and what was open in it."""

    engine: str
    revision: str
    copied_at: str
    open_tasks: int
    unsent_messages: int


@dataclass(frozen=True)
class Manifest:
    """The whole of it. `online`: the services ran meanwhile, so each database is of its own moment."""

    dtrove: str
    made_at: str
    online: bool
    databases: Mapping[str, Copied]
    parts: Mapping[str, Part]
    format: int = FORMAT

    @property
    def moment(self) -> datetime:
        """When it was made."""
        return datetime.fromisoformat(self.made_at)

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    def dump(self) -> bytes:
        """As it stands in the archive."""
        return json.dumps(self.plain, indent=1, sort_keys=True).encode()


def load(said: Mapping[str, Any]) -> Manifest:
    """A manifest as JSON. Raises Failure for one of another format, or with a part that would lie outside."""
    if not isinstance(said.get("format"), int) or said["format"] > FORMAT:
        raise Failure(f"the archive is of format {said.get('format')!r}; this program knows {FORMAT}",
                      what_to_do="restore it with the release of DTrove that has made it, or a newer one")  # fmt: skip
    try:
        databases = {name: Copied(**one) for name, one in said["databases"].items()}
        parts = {name: Part(**one) for name, one in said["parts"].items()}
        found = Manifest(said["dtrove"], said["made_at"], said["online"], databases, parts, said["format"])
        if found.moment.tzinfo is None:
            raise ValueError("a time without a zone")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Failure(f"the archive's {NAME} is not as DTrove writes it: {error}", what_to_do=ANOTHER) from error
    if strange := [name for name in parts if not is_inside(name)]:
        raise Failure(f"the archive names parts that would lie outside: {', '.join(strange)}", what_to_do=ANOTHER)
    return found


ANOTHER = "take another copy"


def is_inside(name: str) -> bool:
    """Whether a part's name leads to nowhere but below the folder that it is put into."""
    pieces = PurePosixPath(name).parts
    return bool(pieces) and "/".join(pieces) == name and not {"..", "/", "."} & set(pieces) and "\0" not in name


def release() -> str:
    """The release of DTrove that is installed here."""
    try:
        return version("dtrove")
    except PackageNotFoundError:
        return "unknown"
