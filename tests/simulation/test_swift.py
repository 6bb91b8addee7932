"""The short way to SQLite says what SQLAlchemy's own way says."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import IntegrityError, MultipleResultsFound, NoResultFound, ResourceClosedError

from shared.db import UtcDateTime
from shared.db.engine import make_engine
from tests.simulation.swift import _KNOWN, SwiftConnection

MOMENT = datetime(2026, 1, 1, 12, tzinfo=UTC)
METADATA = MetaData()
THINGS = Table(
    "things", METADATA, Column("id", Integer, primary_key=True), Column("name", String(20), unique=True),
    Column("seen_at", UtcDateTime), Column("parts", JSON), Column("live", Boolean, default=True),
)  # fmt: skip
BY_NAME = select(THINGS).where(THINGS.c.name == bindparam("of_name"))
SOME = select(THINGS.c.id, THINGS.c.seen_at.label("seen")).where(THINGS.c.name.in_(bindparam("names", expanding=True)))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = make_engine(f"sqlite:///{tmp_path}/things.sqlite")
    METADATA.create_all(made)
    with made.connect() as connection:
        for number, name in enumerate(("one", "two", "three"), 1):
            row = {"id": number, "name": name, "seen_at": MOMENT, "parts": {"of": [name]}, "live": number != 2}
            connection.execute(insert(THINGS), row)
        connection.commit()
    yield made
    made.dispose()


@pytest.fixture
def swift(engine: Engine) -> Iterator[SwiftConnection]:
    with SwiftConnection(engine) as connection:
        yield connection


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        (BY_NAME, {"of_name": "two"}),
        (BY_NAME, {"of_name": "nobody"}),
        (SOME.order_by(THINGS.c.id), {"names": ["one", "three"]}),
        (SOME, {"names": []}),
        (select(THINGS).order_by(THINGS.c.id.desc()).limit(2), {}),
        (select(func.count()).select_from(THINGS).where(THINGS.c.live), {}),
        (select(THINGS.c.id).where(THINGS.c.parts["of"][0].as_string() == "three"), {}),
    ],
)
def test_a_question_has_the_same_answer_by_both_ways(engine: Engine, swift: SwiftConnection, statement: Any,
                                                     values: dict[str, Any]) -> None:  # fmt: skip
    with engine.connect() as plain:
        wanted = [dict(row._mapping) for row in plain.execute(statement, values)]
    assert [dict(row._mapping) for row in swift.execute(statement, values)] == wanted
    assert swift.execute(statement, values).scalars().all() == [next(iter(row.values())) for row in wanted]


def test_rows_have_their_columns_by_name_and_by_column(swift: SwiftConnection) -> None:
    row = swift.execute(BY_NAME, {"of_name": "two"}).one()
    assert (row.id, row.seen_at, row.parts, row.live) == (2, MOMENT, {"of": ["two"]}, False)
    assert row._mapping[THINGS.c.name] == "two"
    with pytest.raises(NoResultFound):
        swift.execute(BY_NAME, {"of_name": "nobody"}).scalar_one()


def test_changes_count_the_rows_they_have_changed(engine: Engine, swift: SwiftConnection) -> None:
    again = sqlite.insert(THINGS).on_conflict_do_nothing()
    assert swift.execute(update(THINGS).where(THINGS.c.id > 1).values(seen_at=None)).rowcount == 2
    assert swift.execute(delete(THINGS).where(THINGS.c.name == "nobody")).rowcount == 0
    assert swift.execute(again, {"id": 1, "name": "one", "live": True}).rowcount == 0
    assert swift.execute(again, {"id": 4, "name": "four", "live": True}).rowcount == 1
    with engine.connect() as plain:
        assert plain.execute(select(func.count()).select_from(THINGS).where(THINGS.c.seen_at.is_(None))).scalar() == 3


def test_a_change_may_return_what_it_has_made_of_rows(swift: SwiftConnection) -> None:
    change = update(THINGS).where(THINGS.c.id == 1).values(name="first").returning(THINGS.c.name, THINGS.c.seen_at)
    row = swift.execute(change).one()
    assert (row.name, row.seen_at) == ("first", MOMENT)


def test_what_is_out_of_the_ordinary_goes_the_whole_way(swift: SwiftConnection) -> None:
    swift.execute(insert(THINGS), {"id": 9, "name": "nine"})
    assert swift.execute(select(THINGS.c.live).where(THINGS.c.id == 9)).scalar_one() is True
    with swift.begin_nested() as savepoint:
        swift.execute(delete(THINGS).where(THINGS.c.id == 9))
        savepoint.rollback()
    assert swift.execute(select(THINGS.c.name).where(THINGS.c.id == 9)).scalar_one() == "nine"


def test_rows_are_read_once(swift: SwiftConnection) -> None:
    found = swift.execute(select(THINGS.c.id).order_by(THINGS.c.id))
    assert [next(found).id, *(row.id for row in found), *found] == [1, 2, 3]
    found = swift.execute(BY_NAME, {"of_name": "two"})
    assert found.first().id == 2
    with pytest.raises(ResourceClosedError):
        found.first()
    with pytest.raises(MultipleResultsFound):
        swift.execute(select(THINGS.c.id)).one()


def test_a_statement_is_forgotten_once_it_is_gone(swift: SwiftConnection) -> None:
    # The first of its kind stays: SQLAlchemy keeps it with what it has put together.
    _first, statement = (select(THINGS.c.id).where(THINGS.c.name == "two") for _ in range(2))
    assert [swift.execute(one).scalar_one() for one in (_first, statement)] == [2, 2]
    place = id(statement)
    assert place in _KNOWN
    del statement
    gc.collect()
    assert place not in _KNOWN


def test_a_statement_has_a_course_for_each_set_of_values(swift: SwiftConnection) -> None:
    change = update(THINGS).where(THINGS.c.id == bindparam("of_id"))
    swift.execute(change, {"of_id": 1, "name": "first"})
    swift.execute(change, {"of_id": 2, "parts": {"of": []}, "seen_at": None})
    rows = swift.execute(select(THINGS).where(THINGS.c.id.in_((1, 2))).order_by(THINGS.c.id)).all()
    assert [(row.name, row.seen_at, row.parts) for row in rows] == [
        ("first", MOMENT, {"of": ["one"]}),
        ("two", None, {"of": []}),
    ]


def test_errors_are_those_of_sqlalchemy(swift: SwiftConnection) -> None:
    with pytest.raises(IntegrityError):
        swift.execute(insert(THINGS), {"id": 10, "name": "two", "live": True})


def test_what_is_not_committed_is_rolled_back(engine: Engine, swift: Connection) -> None:
    swift.begin()
    swift.connection.driver_connection.execute("BEGIN IMMEDIATE")  # type: ignore[union-attr]
    swift.execute(delete(THINGS))
    swift.rollback()
    with engine.connect() as plain:
        assert plain.execute(select(func.count()).select_from(THINGS)).scalar() == 3
