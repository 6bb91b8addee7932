"""Makes an archive of an installation: whole and encrypted, under its name only when all of it lies on the disk."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Protocol

from sqlalchemy import func, select

from client.configuration import SERVICES
from client.local.control_plane import marks, postgres, sqlite
from client.local.control_plane.archive import Content, pack, part_of
from client.local.control_plane.manifest import (
    CLIENT,
    CONFIGURATION,
    DATABASES,
    FILES,
    KEYRING,
    POSTGRES,
    SQLITE,
    TOKEN_HASH,
    Copied,
    Manifest,
    release,
)
from client.local.control_plane.places import Installation, Place, database_at, refuse_running
from shared.clock import Clock, SystemClock
from shared.db import migrate
from shared.db.setting_back import Waiting
from shared.db.tasks import OPEN
from shared.errors import Conflict, Failure
from shared.secrets import read_keyring

MAKING = "making"
SUFFIXES = {SQLITE: ".sqlite", POSTGRES: ".pgdump"}
_STOP = (
    "stop it (`dtrove down`, or whatever started the services) for a copy of one moment; or say --online for one whose databases "
    "are of some seconds"
)


class Lock(Protocol):
    """What encrypts an archive."""

    def seal(self, pieces: Iterator[bytes], target: IO[bytes]) -> None:
        """Write the pieces to `target`, encrypted. Raises Failure."""
        ...


@dataclass(frozen=True)
class Made:
    """An archive that is there."""

    path: Path
    bytes: int
    manifest: Manifest


def back_up(
    installation: Installation, target: Path, lock: Lock, online: bool = False, clock: Clock | None = None
) -> Made:
    """Write an archive to the file `target`, or to one with a name of its own in the folder `target`.

    Raises Conflict while services run and `online` does not allow it, or where the file is there; Failure; Unavailable.
    """
    marks.refuse_unfinished(installation.home)
    if not online:
        connected = {one.service: number for one in installation.databases if (number := _others(one))}
        refuse_running(installation, connected, _STOP)
    clock = clock or SystemClock()
    path = _path(target, clock.now())
    making = marks.make_folder(installation.home) / MAKING
    with marks.alone(installation.home):
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(mode=0o700)
        try:
            manifest, contents = _gather(installation, making, online, clock)
            length = _write(path, lock, manifest, contents)
        except OSError as error:
            raise Failure(
                f"something cannot be copied: {error}", what_to_do="make room, or let this user read it"
            ) from error
        finally:
            shutil.rmtree(making, ignore_errors=True)
        marks.write(installation.home, marks.LAST, {"at": manifest.made_at, "file": str(path), "online": online})
    return Made(path, length, manifest)


def _others(place: Place) -> int:
    return postgres.others(place.url) if place.engine == POSTGRES else 0


def _path(target: Path, now: datetime) -> Path:
    path = target.expanduser().resolve()
    if path.is_dir():
        path /= f"dtrove-control-plane-{marks.stamp(now)}.tar.gz.age"
    if path.exists():
        raise Conflict(f"{path} is there already", what_to_do="name another file: a copy is never written over another")
    if not path.parent.is_dir():
        raise Failure(f"there is no folder {path.parent}", what_to_do="make it, or name another")
    return path


def _gather(
    installation: Installation, making: Path, online: bool, clock: Clock
) -> tuple[Manifest, dict[str, Content]]:
    """Copy what changes, and name what does not. The keyring is read before and after, see places.ORDER for what lies between."""
    keys = read_keyring(installation.keyring)
    contents: dict[str, Content] = {}
    databases: dict[str, Copied] = {}
    for place in installation.databases:
        file = making / f"{place.service}{SUFFIXES[place.engine]}"
        databases[place.service] = _copy(place, file, clock)
        contents[f"{DATABASES}/{file.name}"] = file
    if read_keyring(installation.keyring) != keys:
        # What was copied before may be sealed with keys that are gone, and what was copied later with newer ones.
        raise Conflict("the keyring was changed while databases were copied", what_to_do="make the copy once more")
    contents[KEYRING] = ("\n".join(keys.keys) + "\n").encode()
    contents |= dict(_belongings(installation))
    parts = {name: part_of(content) for name, content in contents.items()}
    assert set(databases) == set(SERVICES)
    return Manifest(release(), clock.now().isoformat(), online, databases, parts), contents


def _copy(place: Place, file: Path, clock: Clock) -> Copied:
    before = _state(place, place.text, clock) if place.engine == POSTGRES else None
    if place.engine == POSTGRES:
        postgres.dump(place.url, file)
    else:
        sqlite.copy(place.path, file)
    found = _state(place, place.text if place.engine == POSTGRES else f"sqlite:///{file}", clock)
    if place.engine == SQLITE:
        sqlite.close_up(file)
    if before is not None and before.revision != found.revision:
        raise Conflict(f"the database of {place.service} was brought up to date while it was copied",
                       what_to_do="make the copy once more")  # fmt: skip
    if found.revision not in migrate.versions(place.service).known:
        raise Failure(
            f"the database of {place.service} has the version {found.revision or '(none)'}, which this program does not know",
            what_to_do="make the copy with the release of DTrove that works on it",
        )
    return found


def _state(place: Place, url: str, clock: Clock) -> Copied:
    revision, at = migrate.current_at(url), clock.now().isoformat()
    if not revision:
        return Copied(place.engine, revision, at, 0, 0)
    counted = count(place.service, url)
    return Copied(place.engine, revision, at, counted.tasks, counted.messages)


def count(service: str, url: str) -> Waiting:
    """What is open in a database, and what was not sent yet. Raises Unavailable."""
    database = database_at(service, url)
    tasks, outbox = database.tasks, database.outbox
    try:
        with database.read() as connection:
            works = select(func.count()).select_from(tasks).where(tasks.c.status == OPEN)
            unsent = select(func.count()).select_from(outbox).where(outbox.c.due_at.is_not(None))
            return Waiting(connection.execute(works).scalar_one(), connection.execute(unsent).scalar_one())
    finally:
        database.engine.dispose()


def _belongings(installation: Installation) -> Iterator[tuple[str, Content]]:
    """What else an installation consists of, by its name in the archive."""
    for name in (CLIENT, TOKEN_HASH):
        if (installation.home / name).exists():
            yield name, (installation.home / name).read_bytes()
    yield f"{CONFIGURATION}/config.yaml", installation.config.read_bytes()
    yield f"{CONFIGURATION}/options.env", _options(installation)
    taken = set[str]()
    for option, path in installation.named_files():
        name = f"{CONFIGURATION}/{FILES}/{option}/{path.name}"
        if name not in taken:
            taken.add(name)
            yield name, path.read_bytes()


def _options(installation: Installation) -> bytes:
    """The options in effect, for a shell to read: what stands in the file, and what the environment says instead."""
    lines = (f"{name}={shlex.quote(str(value))}\n" for name, value in sorted(installation.values.items())
             if value not in (None, ""))  # fmt: skip
    return "".join(lines).encode()


def _write(path: Path, lock: Lock, manifest: Manifest, contents: dict[str, Content]) -> int:
    draft = path.with_name(path.name + ".part")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            lock.seal(pack(manifest, contents), file)
            file.flush()
            os.fsync(file.fileno())
        length = draft.stat().st_size
        draft.replace(path)
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error}", what_to_do="make room, or name another file") from error
    finally:
        draft.unlink(missing_ok=True)
    marks.settle(path.parent)
    return length
