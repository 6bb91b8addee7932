"""The same with PostgreSQL, by its own programs: one transaction for each database, what was there is put aside, no password shows."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url, select, text

from client.configuration import SERVICES
from client.local.control_plane import postgres as programs
from client.local.control_plane.backing_up import back_up
from client.local.control_plane.places import Installation
from client.local.control_plane.restoring import EPOCHS, restore, resume
from services.datastore_agentless.store import backups, watches
from shared.clock import SystemClock
from shared.db import Sealed, migrate
from shared.db.engine import make_engine
from shared.errors import Conflict, Failure
from shared.secrets import KeyringFile
from tests.component.control_plane.lived import Pair, at, lived, opened
from tests.support.postgres import PrivatePostgres


def urls(server: PrivatePostgres, word: str) -> dict[str, str]:
    """An empty database for each service."""
    return {
        f"{service.partition('_')[0].upper()}_DATABASE_URL": server.fresh(f"{word}_{service}") for service in SERVICES
    }


@pytest.fixture
def old(tmp_path: Path, postgres: PrivatePostgres) -> Installation:
    return lived(tmp_path / "old", "old", **urls(postgres, "old"))


@pytest.fixture
def fresh(tmp_path: Path, postgres: PrivatePostgres) -> Installation:
    return at(tmp_path / "fresh", **urls(postgres, "fresh"))


def counted(installation: Installation, schema: str = "public") -> dict[str, int]:
    """How many rows each database has, but in tables of tasks and messages."""
    found = {}
    for place in installation.databases:
        engine = make_engine(place.text)
        with engine.connect() as connection:
            names = connection.execute(
                text("select tablename from pg_tables where schemaname = :schema"), {"schema": schema}
            )
            quote = connection.dialect.identifier_preparer.quote_identifier
            tables = [quote(name) for name in names.scalars().all() if name not in ("fences", "outbox", "tasks")]
            found[place.service] = sum(
                connection.execute(text(f"select count(*) from {quote(schema)}.{table}")).scalar_one()
                for table in tables
            )
        engine.dispose()
    return found


def test_what_was_copied_is_there_again_and_waits_for_a_word(
    old: Installation, fresh: Installation, pair: Pair, tmp_path: Path
) -> None:
    database = opened(old, "datastore_agentless")
    with database.write() as tx:
        key = backups.age_key(tx, "p-old")
    database.engine.dispose()
    done = restore(fresh, back_up(old, tmp_path / "copy.age", pair.lock).path, pair.key)
    assert counted(fresh) == counted(old)
    assert done.waiting.tasks == 8
    Sealed.keyring = KeyringFile(fresh.keyring)
    database = opened(fresh, "datastore_agentless")
    later = SystemClock().now()
    with database.write() as tx:
        assert backups.age_key(tx, "p-old") == key
        assert watches.due(tx.connection, later, False, 10) == []
        fences = {row.subject: row.value for row in tx.connection.execute(select(database.fences))}
    assert fences["claimed"] >= EPOCHS + 3
    database.engine.dispose()
    assert resume(fresh) == done.waiting
    for place in fresh.databases:
        assert not migrate.pending(place.service, place.text)


def test_what_was_there_is_put_aside_in_its_own_database(
    old: Installation, pair: Pair, tmp_path: Path, postgres: PrivatePostgres
) -> None:
    archive = back_up(old, tmp_path / "copy.age", pair.lock).path
    other = lived(tmp_path / "other", "other", at_work=False, **urls(postgres, "other"))
    before = counted(other)
    with pytest.raises(Conflict, match="there is an installation already"):
        restore(other, archive, pair.key)
    assert counted(other) == before
    done = restore(other, archive, pair.key, force=True)
    assert counted(other) == counted(old)
    (schema,) = {one.rpartition(" ")[2] for one in done.aside if "schema" in one}
    assert counted(other, schema) == before
    # What lies aside is no part of the next copy.
    second = back_up(other, tmp_path / "second.age", pair.lock).path
    third = at(tmp_path / "third", **urls(postgres, "third"))
    restore(third, second, pair.key)
    assert sum(counted(third, schema).values()) == 0


def test_whoever_is_connected_from_anywhere_keeps_it_from_being_copied_and_from_being_replaced(
    old: Installation, fresh: Installation, pair: Pair, tmp_path: Path
) -> None:
    archive = back_up(old, tmp_path / "copy.age", pair.lock).path
    for place, work in (
        (old.databases[0], lambda: back_up(old, tmp_path / "second.age", pair.lock)),
        (fresh.databases[0], lambda: restore(fresh, archive, pair.key)),
    ):
        engine = make_engine(place.text)
        with engine.connect() as connection:
            connection.execute(text("select 1"))
            with pytest.raises(Conflict, match="somebody is connected"):
                work()
        engine.dispose()
    assert back_up(old, tmp_path / "online.age", pair.lock, online=True).manifest.online


@pytest.mark.parametrize("broken", ["before", "after"])
def test_a_restore_that_broke_off_between_two_databases_goes_on(
    old: Installation, fresh: Installation, pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    archive = back_up(old, tmp_path / "copy.age", pair.lock).path
    real = programs.need("pg_restore")
    program, calls = tmp_path / "bin" / "pg_restore", tmp_path / "calls"
    program.parent.mkdir()
    program.write_text(
        f"#!/bin/sh\necho >> {calls}\n[ $(wc -l < {calls}) -ne 2 ] || [ {broken} = after ] || exit 1\n"
        f'{real} "$@" || exit\n[ $(wc -l < {calls}) -ne 2 ]\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    with pytest.raises(Failure, match="is not at its end: pg_restore ended with 1"):
        restore(fresh, archive, pair.key)
    assert not fresh.keyring.exists()
    restore(fresh, archive, pair.key)
    assert counted(fresh) == counted(old)
    assert fresh.keyring.exists()


# Without a server


@pytest.fixture
def spy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, str]]:
    """A program in the place of pg_dump that writes down what it was given; returns what reads that."""
    seen, folder = tmp_path / "seen", tmp_path / "bin"
    folder.mkdir()
    program = folder / "pg_dump"
    program.write_text(
        f"#!/bin/sh\nprintf '%s\\n' \"$*\" > {seen}.argv\nenv > {seen}.env\n"
        "for one in $*; do case $one in passfile=*) "
        f"cat \"${{one#passfile=}}\" > {seen}.pass; stat -c %a \"${{one#passfile=}}\" > {seen}.mode;; esac; done\n"
    )  # fmt: skip
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return lambda: {name: Path(f"{seen}.{name}").read_text() for name in ("argv", "env", "pass", "mode")}


def test_a_password_is_in_no_argument_and_no_environment_but_in_a_file_of_ones_own(
    spy: Callable[[], dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "another one")
    url = make_url(
        "postgresql+psycopg2://me:p%3Aa%5Css%40@db.example:5433/name?sslmode=verify-full&sslrootcert=/ca.pem"
    )
    programs.dump(url, tmp_path / "dump")
    seen = spy()
    assert r"p:a\ss@" not in seen["argv"] + seen["env"]
    assert "another one" not in seen["env"]
    assert seen["pass"] == "*:*:*:*:p\\:a\\\\ss@\n"
    assert seen["mode"].strip() == oct(stat.S_IRUSR | stat.S_IWUSR)[2:]
    for wanted in (
        "host=db.example",
        "port=5433",
        "user=me",
        "dbname=name",
        "sslmode=verify-full",
        "sslrootcert=/ca.pem",
    ):
        assert wanted in seen["argv"]


def test_a_program_that_is_not_there_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Failure, match="pg_dump is not installed") as refusal:
        programs.dump(make_url("postgresql://me@db.example/name"), tmp_path / "dump")
    assert "postgresql-client" in refusal.value.what_to_do


def test_what_a_program_says_when_it_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "pg_restore"
    program.write_text("#!/bin/sh\necho 'server version mismatch' >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(Failure, match="pg_restore ended with 3") as refusal:
        programs.load(make_url("postgresql://me@db.example/name"), tmp_path / "dump")
    assert refusal.value.stderr == "server version mismatch"
