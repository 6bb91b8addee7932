"""Makes an installation of an archive: first all of it as a draft, then one renaming, then each part into its place.

    draft/   unpacked, every sum checked, databases of SQLite brought up to date and set back (see shared/db/setting_back.py)
    ready/   the same, renamed: from here on there is no way back, and whoever comes next goes on (`finish`)

While parts are brought to their places there is no keyring in its own, and without one no service starts that works on anything.
It is the last part to come.
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

from client.local.control_plane import marks, postgres, sqlite
from client.local.control_plane.archive import unpack
from client.local.control_plane.backing_up import SUFFIXES
from client.local.control_plane.manifest import (
    CLIENT,
    CONFIGURATION,
    DATABASES,
    KEYRING,
    POSTGRES,
    SQLITE,
    TOKEN_HASH,
    Manifest,
    load,
)
from client.local.control_plane.places import ORDER, Installation, Place, database_at, refuse_running
from shared.clock import Clock, SystemClock
from shared.db import migrate, setting_back
from shared.db.setting_back import Waiting
from shared.errors import Conflict, DtroveError, Failure
from shared.secrets import read_keyring

# Beyond what any subject was claimed since the copy: a million, and once a second. The column holds two thousand millions.
EPOCHS = 1_000_000
PLAN = "plan.json"
# Of a RabbitMQ of our own: what it still holds was said by an installation that is no more.
BROKER = "rabbitmq"
# The services with more to say about being set back than every database has.
SETTERS_BACK = ("api", "datastore_agentless")
_STOP = "stop it first: `dtrove down`, or whatever started the services"


class Key(Protocol):
    """What opens an archive."""

    def open(self, source: Path, target: IO[bytes]) -> None:
        """Write to `target` what `source` holds. Raises Failure."""
        ...


@dataclass(frozen=True)
class Plan:
    """What is to be done once there is no way back: `there` names what is to be put aside first, `shown` where databases are."""

    stamp: str
    epochs: int
    there: list[str]
    shown: dict[str, str]
    manifest: dict[str, Any]
    waiting: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Restored:
    """What has come of it. `aside`: where what was there is now; `configuration`: the folder of that of then."""

    manifest: Manifest
    waiting: Waiting
    aside: list[str]
    configuration: Path | None


def restore(
    installation: Installation, archive: Path, key: Key, force: bool = False, clock: Clock | None = None
) -> Restored:
    """Make the installation that of the archive; where another one is there, only with `force`, which puts it aside.

    Raises Conflict, Failure, Unavailable; up to the last moment nothing was changed then.
    """
    with marks.alone(installation.home):
        if marks.unfinished(installation.home) is None:
            _draft(installation, archive, key, _there(installation, force), clock or SystemClock())
            _commit(installation.home)
        return _finish(installation)


def check(installation: Installation, archive: Path, key: Key, clock: Clock | None = None) -> Manifest:
    """All that a restore does but the restore: open, compare sums and versions, bring up to date. Raises Failure."""
    with marks.alone(installation.home):
        marks.refuse_unfinished(installation.home)
        plan = _draft(installation, archive, key, {}, clock or SystemClock())
        shutil.rmtree(marks.folder_of(installation.home) / marks.DRAFT)
        return load(plan.manifest)


# The draft


def _draft(installation: Installation, archive: Path, key: Key, there: dict[str, str], clock: Clock) -> Plan:
    """Fill the folder `draft`; `there` is what is to be put aside."""
    draft = marks.folder_of(installation.home) / marks.DRAFT
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    try:
        manifest = _open(archive, key, draft)
        _refuse_strange(installation, manifest)
        # What changes hosts since the copy is ahead of it by as many epochs at most.
        epochs = EPOCHS + max(0, int((clock.now() - manifest.moment).total_seconds()))
        waiting = Waiting()
        for place in installation.databases:
            if place.engine == SQLITE:
                waiting += _renew(place.service, f"sqlite:///{draft / _file_of(place)}", epochs)
                sqlite.close_up(draft / _file_of(place))
                marks.settle(draft / _file_of(place))
        read_keyring(draft / KEYRING)
        shown = {place.service: place.shown for place in installation.databases}
        # Two restores within a second must not take each other's names.
        stamp = f"{marks.stamp(clock.now())}-{secrets.token_hex(2)}"
        plan = Plan(stamp, epochs, list(there), shown, manifest.plain, asdict(waiting))
        marks.write_whole(draft / PLAN, json.dumps(asdict(plan)).encode())
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise Failure(f"{archive} cannot be opened into {draft}: {error}",
                      what_to_do="make room, and see that this user may read and write there") from error  # fmt: skip
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return plan


def _there(installation: Installation, force: bool) -> dict[str, str]:
    """What there is of an installation, by the names of a plan, and where.

    Raises Conflict while it runs, and without `force` where there is anything; Unavailable.
    """
    _refuse_in_use(installation)
    found: dict[str, str] = {}
    for place in installation.databases:
        if place.engine == POSTGRES:
            postgres.need(postgres.LOAD)
            is_there = postgres.has_tables(place.url)
        else:
            # What lies beside a database that is gone would be taken for the new one's.
            is_there = any(sqlite.beside(place.path, ending).exists() for ending in sqlite.ENDINGS)
        if is_there:
            found[place.service] = place.shown
    for name, path in ((KEYRING, installation.keyring), *_small(installation), (BROKER, installation.home / BROKER)):
        if path.exists():
            found[name] = str(path)
    if found and not force:
        raise Conflict(f"there is an installation already: {', '.join(found.values())}",
                       what_to_do="restore where nothing is; or say --force, which puts aside what is there")  # fmt: skip
    return found


def _refuse_in_use(installation: Installation) -> None:
    """Raise Conflict while services run here, or are connected from elsewhere."""
    places = [place for place in installation.databases if place.engine == POSTGRES]
    connected = {place.service: number for place in places if (number := postgres.others(place.url))}
    refuse_running(installation, connected, _STOP)


def _small(installation: Installation) -> Iterator[tuple[str, Path]]:
    for name in (CLIENT, TOKEN_HASH):
        yield name, installation.home / name


def _open(archive: Path, key: Key, draft: Path) -> Manifest:
    """Open the archive into the draft."""
    if not archive.is_file():
        raise Failure(
            f"there is no file {archive}", what_to_do="name an archive that `dtrove control-plane backup` made"
        )
    packed = draft / "archive.tar.gz"
    with os.fdopen(os.open(packed, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        key.open(archive, file)
    manifest = unpack(packed, draft)
    packed.unlink()
    return manifest


def _refuse_strange(installation: Installation, manifest: Manifest) -> None:
    """Raise Failure where this program, or this configuration, cannot take the archive in."""
    if set(manifest.databases) != set(ORDER):
        raise Failure(f"the archive has the databases of {', '.join(sorted(manifest.databases))}; DTrove has those of {', '.join(ORDER)}",
                      what_to_do="restore it with the release of DTrove that has made it")  # fmt: skip
    for place in installation.databases:
        kept = manifest.databases[place.service]
        if kept.engine != place.engine:
            raise Failure(
                f"in the archive the database of {place.service} is {kept.engine}, in the configuration here {place.engine}",
                what_to_do="name a database of that engine in the configuration, as `configuration/options.env` in the archive has it",
            )
        if kept.revision not in migrate.versions(place.service).known:
            raise Failure(
                f"the archive is of a newer release than this program: {place.service} has the version {kept.revision}, DTrove was "
                f"{manifest.dtrove}", what_to_do=f"install DTrove {manifest.dtrove} or a newer one, and restore with it",
            )  # fmt: skip
    wanted = {KEYRING, *(_file_of(place) for place in installation.databases)}
    if missing := wanted - set(manifest.parts):
        raise Failure(f"the archive lacks {', '.join(sorted(missing))}", what_to_do="take another copy")


def _file_of(place: Place) -> str:
    return f"{DATABASES}/{place.service}{SUFFIXES[place.engine]}"


def _renew(service: str, url: str, epochs: int) -> Waiting:
    """Bring a copy up to date, and tell it that it is one. Harmless to repeat."""
    migrate.upgrade(service, url)
    database = database_at(service, url)
    try:
        with database.write() as tx:
            if service in SETTERS_BACK:
                importlib.import_module(f"services.{service}.actions.setting_back").set_back(tx, epochs)
            return setting_back.set_back(tx, epochs)
    finally:
        database.engine.dispose()


def _commit(home: Path) -> None:
    """The one renaming."""
    folder = marks.folder_of(home)
    for path in sorted((folder / marks.DRAFT).rglob("*")):
        if path.is_dir():
            marks.settle(path)
    marks.settle(folder / marks.DRAFT)
    (folder / marks.DRAFT).rename(folder / marks.READY)
    marks.settle(folder)


# No way back


def _finish(installation: Installation) -> Restored:
    """Bring each part from `ready` to its place. Every move is found done or done: whoever dies here is followed by another."""
    folder = marks.folder_of(installation.home)
    ready = folder / marks.READY
    plan = Plan(**json.loads((ready / PLAN).read_text()))
    _refuse_elsewhere(installation, plan)
    _refuse_in_use(installation)
    manifest, waiting = load(plan.manifest), Waiting(**plan.waiting)
    try:
        _put_aside(installation.keyring, plan, KEYRING)
        for place in installation.databases:
            source = ready / _file_of(place)
            if place.engine == POSTGRES:
                waiting += _fill(place, source, plan)
            elif source.exists():
                for ending in sqlite.ENDINGS:
                    _put_aside(place.path, plan, place.service, ending)
                _put(source, place.path)
        for name, path in _small(installation):
            if (ready / name).exists() or name not in plan.manifest["parts"]:
                _put_aside(path, plan, name)
            _put(ready / name, path)
        _put_aside(installation.home / BROKER, plan, BROKER)
        configuration = folder / f"restored-{plan.stamp}"
        _put(ready / CONFIGURATION, configuration)
        marks.write(installation.home, marks.HELD, {"made_at": manifest.made_at, **asdict(waiting)})
        _put(ready / KEYRING, installation.keyring)
    except (DtroveError, OSError) as error:
        stderr = getattr(error, "stderr", "")
        raise Failure(f"the restore is not at its end: {error}", stderr=stderr,
                      what_to_do="mend that, and run `dtrove control-plane restore` again: it goes on where it was") from error  # fmt: skip
    done = folder / f"done-{plan.stamp}"
    ready.rename(done)
    shutil.rmtree(done, ignore_errors=True)
    return Restored(manifest, waiting, _aside(installation, plan), configuration if configuration.exists() else None)


def _refuse_elsewhere(installation: Installation, plan: Plan) -> None:
    for place in installation.databases:
        if plan.shown[place.service] != place.shown:
            raise Conflict(
                f"the configuration has the database of {place.service} at {place.shown}; the restore that broke off began with "
                f"{plan.shown[place.service]}", what_to_do="have the configuration as it was until the restore is at its end",
            )  # fmt: skip


def _fill(place: Place, source: Path, plan: Plan) -> Waiting:
    """Fill a database of PostgreSQL, once what was in it is put aside."""
    if source.exists():
        if place.service in plan.there:
            postgres.put_aside(place.url, plan.stamp)
        if not postgres.has_tables(place.url):
            postgres.load(place.url, source)
        source.rename(source.with_suffix(".loaded"))
    return _renew(place.service, place.text, plan.epochs)


def _put_aside(path: Path, plan: Plan, name: str, ending: str = "") -> None:
    """Rename what was there before, unless that was done."""
    there, aside = sqlite.beside(path, ending), _name_aside(path, plan, ending)
    if name in plan.there and there.exists() and not aside.exists():
        there.rename(aside)
        marks.settle(path.parent)


def _name_aside(path: Path, plan: Plan, ending: str = "") -> Path:
    return path.with_name(f"{path.name}.before-{plan.stamp}{ending}")


def _put(source: Path, path: Path) -> None:
    """Move a part into its place, which may be on another disk; done before, or never there, it does nothing."""
    if not source.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.replace(path)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        draft = path.with_name(path.name + ".new")
        shutil.copyfile(source, draft)
        draft.chmod(0o600)
        marks.settle(draft)
        draft.replace(path)
        source.unlink()
    marks.settle(path.parent)


def _aside(installation: Installation, plan: Plan) -> list[str]:
    """Where what was there is now."""
    paths = [installation.keyring, *(path for _, path in _small(installation)), installation.home / BROKER]
    paths += [place.path for place in installation.databases if place.engine == SQLITE]
    found = [str(aside) for path in paths if (aside := _name_aside(path, plan)).exists()]
    schemas = [f"{place.shown}, schema {postgres.ASIDE}{plan.stamp.lower()}" for place in installation.databases
               if place.engine == POSTGRES and place.service in plan.there]  # fmt: skip
    return found + schemas


# Going on


def resume(installation: Installation) -> Waiting:
    """Let what is held go on, in every database; services may run meanwhile. Raises Conflict, Unavailable."""
    marks.refuse_unfinished(installation.home)
    waiting = Waiting()
    for place in installation.databases:
        if place.engine == SQLITE and not place.path.exists():
            raise Failure(
                f"there is no database at {place.path}", what_to_do="see `dtrove config` for where it should be"
            )
        database = place.database()
        try:
            with database.write() as tx:
                if place.service in SETTERS_BACK:
                    importlib.import_module(f"services.{place.service}.actions.setting_back").resume(tx)
                waiting += setting_back.resume(tx)
        finally:
            database.engine.dispose()
    marks.remove(installation.home, marks.HELD)
    return waiting
