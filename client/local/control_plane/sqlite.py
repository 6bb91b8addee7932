"""SQLite: a database copied by its own way for that, and one made ready to take a place."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from shared.errors import Failure

BUSY_SECONDS = 30.0
# What the files of one database end with: without the second one a database that was left open lacks its last writes.
ENDINGS = ("", "-wal", "-shm")


def copy(source: Path, target: Path) -> None:
    """Copy a database as it is at one moment, whoever works in it meanwhile, into one whole file. Raises Failure."""
    if not source.exists():
        raise Failure(f"there is no database at {source}",
                      what_to_do="see `dtrove config` for where it should be; an installation that never ran has nothing to copy")  # fmt: skip
    try:
        with (
            closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS)) as there,
            closing(sqlite3.connect(target)) as made,
        ):
            there.backup(made)
        close_up(target)
        with closing(sqlite3.connect(target)) as made:
            found = [str(row[0]) for row in made.execute("PRAGMA quick_check(3)")]
    except sqlite3.Error as error:
        raise Failure(f"the database {source} cannot be copied: {error}",
                      what_to_do="see whether it can be read, and whether there is room") from error  # fmt: skip
    if found != ["ok"]:
        raise Failure(f"the database {source} is damaged: {'; '.join(found)}",
                      what_to_do="keep the copies that there are, and mend it first")  # fmt: skip


def beside(path: Path, ending: str) -> Path:
    """The file of a database with one of ENDINGS."""
    return path.with_name(path.name + ending)


def close_up(path: Path) -> None:
    """Have all of a database that nobody uses in its one file. Raises Failure."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        mode = connection.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
    if mode != "delete":
        raise Failure(f"somebody else works in {path}", what_to_do="see who does, and begin again")
