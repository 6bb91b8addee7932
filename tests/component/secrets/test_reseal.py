"""After a rotation what is stored moves to the newest key, and the old ones can go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, MetaData, String, Table, insert, select, text

from shared.db import Database, Sealed
from shared.db import reseal as resealing
from shared.db.reseal import reseal
from shared.errors import Failure
from shared.secrets import Keyring, KeyringFile, Secret, new_key, read_keyring, write_keyring

COUNT = 25


@pytest.fixture
def file(tmp_path: Path) -> Iterator[KeyringFile]:
    write_keyring(tmp_path / "keyring", Keyring((new_key(),)))
    before = Sealed.keyring
    Sealed.keyring = KeyringFile(tmp_path / "keyring")
    yield Sealed.keyring
    Sealed.keyring = before


@pytest.fixture
def logins(database_url: str, file: KeyringFile) -> tuple[Database, Table]:
    metadata = MetaData()
    table = Table("logins", metadata, Column("id", String(8), primary_key=True), Column("a", Sealed, nullable=False),
                  Column("b", Sealed))  # fmt: skip
    database = Database(database_url, "logins", metadata)
    metadata.create_all(database.engine)
    with database.write() as tx:
        for number in range(COUNT):
            tx.connection.execute(insert(table).values(id=str(number), a=Secret(f"a{number}"), b=None))
    return database, table


def rotate(file: KeyringFile) -> str:
    ring = read_keyring(file.path)
    write_keyring(file.path, Keyring((new_key(), *ring.keys)))
    return ring.keys[0]


def tokens(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(text("select a from logins")).scalars())


def test_after_rotate_and_reseal_and_drop_all_is_readable_and_nothing_opens_with_the_old_key(
    logins: tuple[Database, Table], file: KeyringFile
) -> None:
    database, table = logins
    old = Keyring((rotate(file),))
    state = reseal(database, file)
    assert (state["resealed"], state["left"]) == (COUNT, 0)
    write_keyring(file.path, Keyring(read_keyring(file.path).keys[:1]))
    with database.read() as connection:
        found = {row.id: row.a.reveal() for row in connection.execute(select(table))}
    assert found == {str(number): f"a{number}" for number in range(COUNT)}
    for token in tokens(database):
        with pytest.raises(Failure):
            old.open(token)


def test_resealing_goes_in_bounded_pieces_and_says_what_is_left(
    logins: tuple[Database, Table], file: KeyringFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resealing, "AT_ONCE", 10)
    monkeypatch.setattr(resealing, "IN_ONE_TRANSACTION", 3)
    rotate(file)
    states = [reseal(logins[0], file) for _ in range(4)]
    assert [(state["resealed"], state["left"]) for state in states] == [(10, 15), (10, 5), (5, 0), (0, 0)]


def test_a_second_reseal_changes_nothing(logins: tuple[Database, Table], file: KeyringFile) -> None:
    database, _ = logins
    rotate(file)
    reseal(database, file)
    before = tokens(database)
    assert reseal(database, file)["resealed"] == 0
    assert tokens(database) == before


def test_a_secret_that_no_key_opens_stops_the_reseal(logins: tuple[Database, Table], file: KeyringFile) -> None:
    write_keyring(file.path, Keyring((new_key(),)))
    with pytest.raises(Failure, match="cannot be opened"):
        reseal(logins[0], file)
