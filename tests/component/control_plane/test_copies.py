"""DTrove's own state goes into one archive and comes out of it whole, on another machine, or nothing changes there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import IO

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import select

from client.local.control_plane import marks
from client.local.control_plane.archive import pack, part_of, unpack
from client.local.control_plane.backing_up import back_up
from client.local.control_plane.locking import Passphrase
from client.local.control_plane.manifest import Copied, Manifest
from client.local.control_plane.places import Installation
from client.local.control_plane.restoring import check, restore
from client.local.processes import PidFile
from services.datastore_agentless.store import backups
from services.datastore_agentless.store import tables as of_datastores
from shared.clock import SystemClock
from shared.db import Sealed, migrate
from shared.errors import Conflict, DtroveError, Failure
from shared.secrets import Keyring, KeyringFile, Secret, new_key, read_keyring, write_keyring
from tests.component.control_plane.lived import CHANGED, Pair, at, lived, opened, rows

PASSPHRASE = Passphrase(Secret("correct horse battery staple"))


def runs(installation: Installation) -> None:
    """As if a service of it did: this very process."""
    (installation.home / "run").mkdir(parents=True, exist_ok=True)
    PidFile(installation.home / "run" / "api.pid").write(os.getpid())


def nothing_is_at(installation: Installation) -> bool:
    """But for the folder of marks, with nothing in it that anybody could take for an installation."""
    left = [path.relative_to(installation.home).parts for path in installation.home.rglob("*")]
    return all(parts in ((("control-plane",)), ("control-plane", "lock")) for parts in left)


def test_what_was_copied_is_there_again_on_another_machine(
    old: Installation, archive: Path, pair: Pair, fresh: Installation
) -> None:
    done = restore(fresh, archive, pair.key)
    assert rows(fresh) == rows(old)
    assert set(rows(fresh)) == {"api", "provisioner", "scheduler", "datastore_agentless"}
    for name in ("keyring", "client.json", "bootstrap_token_hash"):
        assert (fresh.home / name).read_bytes() == (old.home / name).read_bytes()
        assert (fresh.home / name).stat().st_mode & 0o077 == 0 or name == "bootstrap_token_hash"
    assert done.aside == []
    assert done.configuration is not None
    assert (done.configuration / "config.yaml").read_bytes() == old.config.read_bytes()
    assert f"DTROVE_HOME={old.home}" in (done.configuration / "options.env").read_text()


def test_secrets_open_with_the_keyring_that_came_along_and_projects_keys_are_the_same(
    old: Installation, archive: Path, pair: Pair, fresh: Installation
) -> None:
    database = opened(old, "datastore_agentless")
    with database.write() as tx:
        key = backups.age_key(tx, "p-old")
    database.engine.dispose()
    restore(fresh, archive, pair.key)
    Sealed.keyring = KeyringFile(fresh.keyring)
    database = opened(fresh, "datastore_agentless")
    with database.write() as tx:
        assert backups.age_key(tx, "p-old") == key
    with database.read() as connection:
        sent = connection.execute(select(database.outbox.c.sealed_body)).scalars().all()
    database.engine.dispose()
    assert Secret("message of old") in sent


def test_a_folder_gets_an_archive_with_a_name_of_its_own_and_nothing_is_written_over(
    old: Installation, pair: Pair, tmp_path: Path
) -> None:
    made = back_up(old, tmp_path, pair.lock)
    assert made.path.parent == tmp_path
    assert made.path.name.startswith("dtrove-control-plane-20")
    assert made.path.stat().st_mode & 0o077 == 0
    before = made.path.read_bytes()
    with pytest.raises(Conflict, match="is there already"):
        back_up(old, made.path, pair.lock)
    assert made.path.read_bytes() == before
    assert not (old.home / "control-plane" / "making").exists()


def test_the_archive_shows_nothing_of_what_is_in_it(archive: Path, old: Installation) -> None:
    shown = archive.read_bytes()
    assert b"SQLite format" not in shown
    assert (old.home / "keyring").read_bytes().split()[0] not in shown
    assert b"manifest" not in shown


def test_a_passphrase_opens_what_it_has_closed_and_no_other_does(
    old: Installation, fresh: Installation, tmp_path: Path
) -> None:
    made = back_up(old, tmp_path / "copy.age", PASSPHRASE)
    with pytest.raises(Failure, match="cannot be opened"):
        restore(fresh, made.path, Passphrase(Secret("correct horse battery stable")))
    assert nothing_is_at(fresh)
    restore(fresh, made.path, PASSPHRASE)
    assert rows(fresh) == rows(old)


def test_a_stranger_opens_nothing(archive: Path, fresh: Installation) -> None:
    with pytest.raises(Failure, match="cannot be opened"):
        restore(fresh, archive, Pair().key)
    assert nothing_is_at(fresh)


@pytest.mark.parametrize("place", [0, 40, 200, 0.3, 0.7, -1])
def test_a_changed_byte_anywhere_is_found_before_anything_is_changed(
    archive: Path, pair: Pair, fresh: Installation, place: float
) -> None:
    content = bytearray(archive.read_bytes())
    content[int(place * len(content)) if 0 < place < 1 else int(place)] ^= 1
    archive.write_bytes(content)
    with pytest.raises(Failure):
        restore(fresh, archive, pair.key)
    assert nothing_is_at(fresh)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_an_archive_that_lacks_its_end_is_refused(archive: Path, pair: Pair, fresh: Installation, share: float) -> None:
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(Failure):
        restore(fresh, archive, pair.key)
    assert nothing_is_at(fresh)


def test_a_key_of_the_other_kind_opens_nothing_either(
    old: Installation, archive: Path, pair: Pair, fresh: Installation, tmp_path: Path
) -> None:
    by_passphrase = back_up(old, tmp_path / "second.age", PASSPHRASE).path
    for path, key in ((archive, PASSPHRASE), (by_passphrase, pair.key)):
        with pytest.raises(Failure, match="cannot be opened"):
            restore(fresh, path, key)
    (tmp_path / "text").write_text("no archive at all")
    with pytest.raises(Failure, match="cannot be opened"):
        restore(fresh, tmp_path / "text", pair.key)
    assert nothing_is_at(fresh)


# Where something is, or runs


def test_an_installation_that_is_there_is_left_alone_unless_that_is_wished(
    old: Installation, archive: Path, pair: Pair, tmp_path: Path
) -> None:
    other = lived(tmp_path / "other", "other")
    before, ring = rows(other, ()), read_keyring(other.keyring)
    (other.home / "rabbitmq").mkdir()
    with pytest.raises(Conflict, match="there is an installation already"):
        restore(other, archive, pair.key)
    assert (rows(other, ()), read_keyring(other.keyring)) == (before, ring)

    done = restore(other, archive, pair.key, force=True)
    assert rows(other) == rows(old)
    assert read_keyring(other.keyring) == read_keyring(old.keyring)
    assert not (other.home / "rabbitmq").exists()
    assert len(done.aside) == 8
    aside = tmp_path / "aside"
    aside.mkdir()
    for name in done.aside:
        path = Path(name)
        path.rename(aside / path.name.partition(".before-")[0])
    put_aside = at(aside)
    assert (rows(put_aside, ()), read_keyring(put_aside.keyring)) == (before, ring)


def test_a_log_beside_a_database_that_is_gone_is_not_taken_for_the_new_ones(
    archive: Path, old: Installation, pair: Pair, fresh: Installation
) -> None:
    fresh.home.mkdir()
    left = fresh.home / "api.sqlite-wal"
    left.write_bytes(b"what somebody has left")
    with pytest.raises(Conflict, match=r"api\.sqlite"):
        restore(fresh, archive, pair.key)
    restore(fresh, archive, pair.key, force=True)
    assert not left.exists()
    assert rows(fresh) == rows(old)


def test_what_runs_is_copied_only_where_that_is_wished_and_never_restored_over(
    old: Installation, archive: Path, pair: Pair, tmp_path: Path
) -> None:
    runs(old)
    with pytest.raises(Conflict, match="DTrove runs on this machine: api"):
        back_up(old, tmp_path / "second.age", pair.lock)
    assert back_up(old, tmp_path / "second.age", pair.lock, online=True).manifest.online
    with pytest.raises(Conflict, match="DTrove runs on this machine"):
        restore(old, archive, pair.key, force=True)
    assert not list(old.home.glob("*.before-*"))


def test_while_services_write_each_database_is_of_one_moment(old: Installation, pair: Pair, fresh: Installation,
                                                             tmp_path: Path) -> None:  # fmt: skip
    database = opened(old, "scheduler")
    with database.write() as tx:
        tx.first_seen("event-of-now", "somebody")
        # SQLite lets readers in beside whoever writes.
        made = back_up(old, tmp_path / "copy.age", pair.lock, online=True)
    database.engine.dispose()
    restore(fresh, made.path, pair.key)
    seen = [row[0] for row in rows(fresh)["scheduler"]["inbox"]]
    assert seen == ["event-old"]


class Rotating(SystemClock):
    """A clock that somebody rotates the keyring by, once it is asked often enough."""

    def __init__(self, path: Path) -> None:
        self.path, self.asked = path, 0

    def now(self) -> datetime:
        self.asked += 1
        if self.asked == 4:
            write_keyring(self.path, Keyring((new_key(), *read_keyring(self.path).keys)))
        return super().now()


def test_a_keyring_that_changes_meanwhile_is_not_copied_beside_databases_of_before(
    old: Installation, pair: Pair, tmp_path: Path
) -> None:
    with pytest.raises(Conflict, match="keyring was changed"):
        back_up(old, tmp_path / "copy.age", pair.lock, clock=Rotating(old.keyring))
    assert not list(tmp_path.glob("copy*"))
    back_up(old, tmp_path / "copy.age", pair.lock)


class Failing:
    """A lock on a disk that is full after some bytes."""

    def seal(self, pieces: Iterator[bytes], target: IO[bytes]) -> None:
        target.write(next(pieces))
        raise OSError(28, "No space left on device")


def test_an_archive_has_its_name_only_when_it_is_whole(old: Installation, tmp_path: Path) -> None:
    with pytest.raises(Failure, match="No space left"):
        back_up(old, tmp_path / "copy.age", Failing())
    assert not list(tmp_path.glob("copy*"))
    assert marks.read(old.home, marks.LAST) is None


def test_a_file_that_cannot_be_read_is_named(old: Installation, pair: Pair, tmp_path: Path) -> None:
    (old.home / "client.json").unlink()
    (old.home / "client.json").mkdir()
    with pytest.raises(Failure, match=r"something cannot be copied: .*client\.json"):
        back_up(old, tmp_path / "copy.age", pair.lock)
    assert not list(tmp_path.glob("copy*"))


def test_an_installation_that_never_ran_has_nothing_to_copy(fresh: Installation, pair: Pair, tmp_path: Path) -> None:
    with pytest.raises(DtroveError, match="no keyring"):
        back_up(fresh, tmp_path / "copy.age", pair.lock)


# Versions


def repacked(archive: Path, pair: Pair, folder: Path, revision: str) -> Path:
    """The same archive, whose scheduler has another version."""
    opened_up = folder / "packed"
    with opened_up.open("wb") as file:
        pair.key.open(archive, file)
    (folder / "parts").mkdir()
    manifest = unpack(opened_up, folder / "parts")
    strange = replace(manifest.databases["scheduler"], revision=revision)
    changed = replace(manifest, databases={**manifest.databases, "scheduler": strange}, dtrove="9.9.9")
    made = folder / "repacked.age"
    with made.open("wb") as file:
        pair.lock.seal(pack(changed, {name: folder / "parts" / name for name in manifest.parts}), file)
    return made


def test_an_archive_of_a_newer_release_is_refused_with_the_release_that_is_wanted(
    archive: Path, pair: Pair, fresh: Installation, tmp_path: Path
) -> None:
    with pytest.raises(Failure, match="newer release") as refusal:
        restore(fresh, repacked(archive, pair, tmp_path, "9999"), pair.key)
    assert "install DTrove 9.9.9 or a newer one" in refusal.value.what_to_do
    assert nothing_is_at(fresh)


def test_an_archive_of_an_older_release_is_brought_up_to_date(pair: Pair, fresh: Installation, tmp_path: Path) -> None:
    older = lived(tmp_path / "older", "older")
    place = next(one for one in older.databases if one.service == "datastore_agentless")
    history = migrate.config_for(place.service, "")
    first = ScriptDirectory.from_config(history).get_base()
    place.path.unlink()
    command.upgrade(migrate.config_for(place.service, place.text), first)
    made = back_up(older, tmp_path / "copy.age", pair.lock)
    assert made.manifest.databases["datastore_agentless"].revision == first
    restore(fresh, made.path, pair.key)
    there = next(one for one in fresh.databases if one.service == "datastore_agentless")
    assert not migrate.pending(there.service, there.text)


def test_a_database_that_this_program_does_not_know_is_not_copied(
    old: Installation, pair: Pair, tmp_path: Path
) -> None:
    database = opened(old, "scheduler")
    with database.write() as tx:
        tx.connection.exec_driver_sql("update alembic_version set version_num = '9999'")
    database.engine.dispose()
    with pytest.raises(Failure, match="scheduler has the version 9999"):
        back_up(old, tmp_path / "copy.age", pair.lock)


def test_an_archive_of_another_engine_is_refused(archive: Path, pair: Pair, tmp_path: Path) -> None:
    with_postgres = at(tmp_path / "fresh", API_DATABASE_URL="postgresql+psycopg2://nobody@127.0.0.1:1/api")
    with pytest.raises(Failure, match="database of api is sqlite, in the configuration here postgresql"):
        check(with_postgres, archive, pair.key)


def test_an_archive_that_names_a_part_outside_is_refused(fresh: Installation, pair: Pair, tmp_path: Path) -> None:
    content = b"ssh-ed25519 AAAA"
    database = Copied("sqlite", "0001", "2026-01-31T12:00:00+00:00", 0, 0)
    manifest = Manifest("1.0", "2026-01-31T12:00:00+00:00", False, {"api": database}, {"../outside": part_of(content)})
    with (tmp_path / "evil.age").open("wb") as file:
        pair.lock.seal(pack(manifest, {"../outside": content}), file)
    with pytest.raises(Failure, match="would lie outside"):
        restore(fresh, tmp_path / "evil.age", pair.key)
    assert nothing_is_at(fresh)


# Without a restore


def test_a_check_opens_and_compares_all_and_changes_nothing_also_where_dtrove_runs(
    old: Installation, archive: Path, pair: Pair
) -> None:
    runs(old)
    before = rows(old, ())
    assert check(old, archive, pair.key).databases["api"].open_tasks == 2
    assert rows(old, ()) == before
    assert not (old.home / "control-plane" / "draft").exists()
    archive.write_bytes(archive.read_bytes()[:-1])
    with pytest.raises(Failure):
        check(old, archive, pair.key)


def test_files_that_options_name_come_along_and_the_keys_that_a_pool_names(pair: Pair, tmp_path: Path) -> None:
    pool, key = tmp_path / "pool.yaml", tmp_path / "pool key"
    pool.write_text("private_key_file: pool key\nhosts: [{name: a, private_key_file: pool key}]\n")
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    named = lived(tmp_path / "named", "named", DTROVE_STATIC_HOSTS=str(pool), DTROVE_PROVIDER="static")
    made = back_up(named, tmp_path / "copy.age", pair.lock)
    done = restore(at(tmp_path / "fresh"), made.path, pair.key)
    assert done.configuration is not None
    files = done.configuration / "files" / "DTROVE_STATIC_HOSTS"
    assert (files / "pool.yaml").read_text() == pool.read_text()
    assert (files / "pool key").read_text() == key.read_text()
    assert "DTROVE_PROVIDER=static" in (done.configuration / "options.env").read_text()


def test_a_copy_leaves_word_of_itself(old: Installation, archive: Path) -> None:
    said = marks.read(old.home, marks.LAST)
    assert said is not None
    assert said["file"] == str(archive)
    assert datetime.fromisoformat(said["at"]).tzinfo is not None
    assert json.loads((old.home / "control-plane" / "last.json").read_text()) == said


def test_the_tables_that_being_set_back_changes_are_all_there_are(old: Installation) -> None:
    known = {table for place in old.databases for table in place.database().metadata.tables}
    assert set(CHANGED) <= known
    assert of_datastores.watches.name in CHANGED
