"""What was counted of a database beside its backup: of each table that nothing changed meanwhile its rows, and a checksum of the smaller ones.

Plain values: how an engine counts says `datastores/*/tallying.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from shared.contracts.backups import DatabaseTally, TallyFacts

# What is told of a proof names so many tables, and facts so many databases.
NAMED, DATABASES = 5, 100


@dataclass(frozen=True)
class Table:
    """Rows of a table, by a name that no other table of its database has. `sum` is a checksum over them, empty where none was made.

    Of Redis a database is one, and its keys are its rows: `mortal` of them have a time to live.
    """

    database: str
    name: str
    rows: int
    sum: str = ""
    mortal: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """By which it is found again."""
        return self.database, self.name

    @property
    def words(self) -> str:
        """As people are told of it."""
        return f"{self.database}.{self.name}" if self.name else f"database {self.database}"


@dataclass(frozen=True)
class Tally:
    """`changed` tables were written to while the backup was made, and `left` were not counted in time: neither are in `tables`.

    `digest` is a sum over all data, where they are one file. `why` says why nothing was counted; then there is nothing else.
    """

    tables: tuple[Table, ...] = ()
    changed: int = 0
    left: int = 0
    digest: str = ""
    why: str = ""

    @property
    def sums(self) -> int:
        """How many tables have a checksum."""
        return sum(bool(one.sum) for one in self.tables)

    @property
    def rows(self) -> int:
        """All that were counted."""
        return sum(one.rows for one in self.tables)


def kept(tally: Tally) -> dict[str, Any]:
    """As a manifest has it."""
    return {**vars(tally), "tables": [list(astuple(one)) for one in tally.tables]}


def read(told: Mapping[str, Any] | None) -> Tally | None:
    """From a manifest; None for one of an older release, or of an engine that nobody counts."""
    if told is None:
        return None
    return Tally(**{**told, "tables": tuple(Table(*one) for one in told["tables"])})


def facts(tally: Tally | None) -> TallyFacts | None:
    """As others are told of it: each database, and not each table."""
    if tally is None:
        return None
    of_each: dict[str, list[Table]] = {}
    for one in tally.tables:
        of_each.setdefault(one.database, []).append(one)
    databases = tuple(
        DatabaseTally(
            name=name, tables=len(there), rows=sum(one.rows for one in there), sums=sum(bool(one.sum) for one in there)
        )
        for name, there in sorted(of_each.items())
    )
    return TallyFacts(databases=databases[:DATABASES], tables=len(tally.tables), rows=tally.rows, sums=tally.sums,
                      changed=tally.changed, left=tally.left, why=tally.why)  # fmt: skip


def settled(counted: Sequence[tuple[str, Table]], changed: Collection[str], total: int, most: int) -> Tally:
    """Of what was counted the first `most` tables that nothing has changed: each comes with the word by which its engine tells of changes."""
    quiet = [table for word, table in counted if word not in changed][:most]
    dirty = sum(word in changed for word, _ in counted)
    return Tally(tuple(quiet), changed=dirty, left=max(total - len(quiet) - dirty, 0))


def differences(tally: Tally, found: Iterable[Table]) -> list[str]:
    """What is otherwise in restored data than it was when they were backed up, a line for each table."""
    there = {one.key: one for one in found}
    lines = []
    for was in tally.tables:
        now = there.get(was.key)
        if now is None:
            lines.append(f"{was.words} is not there, or cannot be counted")
        elif now.rows != was.rows:
            lines.append(f"{was.words} has {now.rows} rows in place of {was.rows}")
        elif was.sum and now.sum and was.sum != now.sum:
            lines.append(f"{was.words} has other rows than it had: its checksum is another")
    return lines


def told(lines: Sequence[str]) -> str:
    """The first of them, as one line."""
    more = len(lines) - NAMED
    return "; ".join(lines[:NAMED]) + (f"; and {more} more" if more > 0 else "")
