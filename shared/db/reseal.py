"""Seals what is stored anew, with the newest key: after a rotation, so that the old keys can go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, Table, Text, select, type_coerce, update

from shared.db.engine import Database
from shared.db.types import Sealed
from shared.secrets import Keyring, KeyringFile

# So many in one call: an RPC stays short, and so does each of its transactions.
AT_ONCE, IN_ONE_TRANSACTION = 1000, 100


def reseal(database: Database, file: KeyringFile) -> dict[str, Any]:
    """Seal up to AT_ONCE secrets anew: `resealed` and `left` count, `key` is what the newest key is known by.

    Harmless to repeat, and beside other writers: a value that changed meanwhile was sealed with the newest key.
    Raises Failure for a secret that no key opens.
    """
    ring = file.current()
    done = left = 0
    for table, column in sealed_columns(database):
        old = [row for row in _rows(database, table, column) if not ring.is_newest(row[-1])]
        now, later = old[: AT_ONCE - done], old[AT_ONCE - done :]
        for start in range(0, len(now), IN_ONE_TRANSACTION):
            _write(database, table, column, ring, now[start : start + IN_ONE_TRANSACTION])
        done, left = done + len(now), left + len(later)
    return {"resealed": done, "left": left, "key": ring.newest}


def sealed_columns(database: Database) -> Iterator[tuple[Table, Column[Any]]]:
    """Every column of the database that holds secrets."""
    for table in database.metadata.sorted_tables:
        for column in table.columns:
            if isinstance(column.type, Sealed):
                yield table, column


def _rows(database: Database, table: Table, column: Column[Any]) -> list[tuple[Any, ...]]:
    """Primary key and sealed text of each row that has one."""
    query = select(*table.primary_key.columns, type_coerce(column, Text)).where(column.is_not(None))
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(query)]


def _write(database: Database, table: Table, column: Column[Any], ring: Keyring, rows: list[tuple[Any, ...]]) -> None:
    with database.write() as tx:
        for *key, token in rows:
            same = [one == value for one, value in zip(table.primary_key.columns, key, strict=True)]
            unchanged = type_coerce(column, Text) == token
            fresh = {column: type_coerce(ring.reseal(token), Text)}
            tx.connection.execute(update(table).where(*same, unchanged).values(fresh))
