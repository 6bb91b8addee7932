"""Has the driver run what SQLAlchemy put together, without what SQLAlchemy does around each statement.

The SQL, its parameters and the types of its columns are SQLAlchemy's; the way there takes a fraction of the time, and a run is
hundreds of statements. Whatever is out of the ordinary goes the whole way: defaults, many rows at once, errors.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any
from weakref import ref

from sqlalchemy import JSON, Connection, Dialect, Engine, Select, UpdateBase
from sqlalchemy.engine import IteratorResult
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from shared.db import UtcDateTime

Processor = Callable[[Any], Any]
Places = tuple[tuple[str, Processor | None], ...]
# A run is at few moments, and writes and reads each of them many times: so many are kept in mind.
MOMENTS = 4096
_EMPTY: dict[Any, Callable[[], Any]] = {"{}": dict, "[]": list}


@dataclass(slots=True)
class Changed:
    """What is told of a statement that has changed rows."""

    rowcount: int


class Answer(IteratorResult[Any]):
    """Rows, made as those of every answer to the same question: how is found out once."""

    raw = context = None
    _source_supports_scalars = False

    def __init__(self, columns: SimpleResultMetaData, row_getter: Any, found: list[Any]) -> None:
        self._metadata, self._row_getter, self.iterator = columns, row_getter, iter(found)

    def __iter__(self) -> Iterator[Any]:
        return map(self._row_getter[0], self._fetchiter_impl())

    def _only_one_row(self, raise_for_second_row: bool, raise_for_none: bool, scalar: bool) -> Any:
        """What `first`, `one` and `scalar` come down to; one row too many, or too few, is SQLAlchemy's to complain of."""
        found = list(self._fetchiter_impl())
        if (raise_for_none and not found) or (raise_for_second_row and len(found) > 1):
            self.iterator = iter(found)
            return super()._only_one_row(raise_for_second_row, raise_for_none, scalar)
        self._hard_closed = True
        if not found:
            return None
        row = self._row_getter[0](found[0])
        return row[0] if scalar else row


class Way:
    """How what was compiled goes to the driver, and, where it is a question, what its answer's columns are."""

    def __init__(self, compiled: SQLCompiler) -> None:
        self._compiled = compiled
        self._processors = {**compiled._bind_processors, **_writing_moments(compiled)}
        self.sql, self.places = compiled.string, self._with_processors(compiled.positiontup or ())
        self.lists = tuple(compiled.bind_names[one] for one in compiled.post_compile_params)
        self._by_lengths: dict[tuple[int, ...], tuple[str, Places, dict[str, list[str]]]] = {}
        changes = compiled.isinsert or compiled.isupdate or compiled.isdelete
        self._columns = None if changes and not compiled.effective_returning else _columns(compiled)
        self._row_getter = None if self._columns is None else IteratorResult(self._columns, iter(()))._row_getter

    def outcome(self, cursor: sqlite3.Cursor) -> Changed | Answer:
        """What the driver has to say, as SQLAlchemy says it."""
        if self._columns is None:
            return Changed(cursor.rowcount)
        return Answer(self._columns, self._row_getter, cursor.fetchall())

    def expanded(self, values: dict[str, Any]) -> tuple[str, list[Any]]:
        """With a place for each member of each list: how many there are is all that the SQL depends on. `values` is changed."""
        lengths = tuple(len(values[name]) for name in self.lists)
        if lengths not in self._by_lengths:
            state = self._compiled._process_parameters_for_postcompile(dict(values))
            places = self._with_processors(state.positiontup or (), state.processors)
            members = {name: list(of) for name, of in state.parameter_expansion.items()}
            self._by_lengths[lengths] = state.statement, places, members
        sql, places, members = self._by_lengths[lengths]
        for name, of in members.items():
            values.update(zip(of, values[name], strict=True))
        return sql, [process(values[name]) if process else values[name] for name, process in places]

    def _with_processors(self, names: Any, more: Any = None) -> Places:
        processors = {**self._processors, **(more or {})}
        return tuple((name, processors.get(name)) for name in names)


class Course:
    """The way of one statement. `values` are part of it; for each that it is given there is a place to fill."""

    def __init__(self, way: Way, values: dict[str, Any]) -> None:
        self.outcome = way.outcome
        self._way, self._values = way, values
        self._form = [values.get(name) for name, _ in way.places]
        self._places = [(at, name, process) for at, (name, process) in enumerate(way.places)
                        if process or name not in values]  # fmt: skip
        self._has_own = any(name in values for _, name, _ in self._places)

    def ready(self, given: dict[str, Any]) -> tuple[str, list[Any]]:
        """SQL, and what goes into its places."""
        if self._way.lists:
            return self._way.expanded({**self._values, **given})
        form, values = self._form.copy(), {**self._values, **given} if self._has_own else given
        for at, name, process in self._places:
            form[at] = process(values[name]) if process else values[name]
        return self._way.sql, form


# What was found out of each statement for as long as it is there, by the names of the values it is given; None: SQLAlchemy
# has to do it.
_Courses = dict[tuple[str, ...], Course | None]
_KNOWN: dict[int, tuple[ref[Any], _Courses]] = {}


class SwiftConnection(Connection):
    """A connection to SQLite. Rows are read at once, so that no statement is left half-way."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        driver = self.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        self._sqlite = driver

    def execute(self, statement: Any, parameters: Any = None, **options: Any) -> Any:
        """As SQLAlchemy has it."""
        given = {} if parameters is None else parameters
        if options or type(given) is not dict:
            return super().execute(statement, parameters, **options)
        known, names = _KNOWN.get(id(statement)), tuple(given)
        course = known[1][names] if known and names in known[1] else self._learn(statement, names, given)
        if course is None:
            return super().execute(statement, parameters)
        sql, bound = course.ready(given)
        try:
            cursor = self._sqlite.execute(sql, bound)
        except sqlite3.Error:
            # It has had no effect, and SQLAlchemy raises it in its own words.
            return super().execute(statement, parameters)
        return course.outcome(cursor)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """What a query without values finds, as the driver has it."""
        return self._sqlite.execute(query).fetchall()

    def begin(self) -> Any:
        """Nothing: whoever writes tells SQLite so."""

    def _autobegin(self) -> None:
        """For what goes the whole way."""
        super().begin()

    def in_transaction(self) -> bool:
        return self._sqlite.in_transaction or self._transaction is not None

    def commit(self) -> None:
        if self._transaction is None:
            self._sqlite.commit()
        else:
            super().commit()

    def rollback(self) -> None:
        if self._transaction is None:
            self._sqlite.rollback()
        else:
            super().rollback()

    def _learn(self, statement: Any, names: tuple[str, ...], given: dict[str, Any]) -> Course | None:
        if not isinstance(statement, (Select, UpdateBase)):
            return None
        place = id(statement)
        if place not in _KNOWN:
            _KNOWN[place] = ref(statement, lambda _: _KNOWN.pop(place, None)), {}
        course = _KNOWN[place][1][names] = self._find(statement, given)
        return course

    def _find(self, statement: Any, given: dict[str, Any]) -> Course | None:
        """The statement's way, with the values that are part of it."""
        compiled, extracted, collected, _ = statement._compile_w_cache(
            self.dialect, compiled_cache=self.engine._compiled_cache, column_keys=sorted(given)
        )
        way = _way(compiled)
        if way is None:
            return None
        values = compiled.construct_params(
            given, extracted_parameters=extracted, escape_names=False, _collected_params=collected
        )
        return Course(way, {name: value for name, value in values.items() if name not in given})


@cache
def _way(compiled: SQLCompiler) -> Way | None:
    """None for what SQLAlchemy has to do itself."""
    defaults = compiled.insert_prefetch or compiled.update_prefetch or compiled.literal_execute_params
    return None if defaults or compiled.implicit_returning else Way(compiled)


def _columns(compiled: SQLCompiler) -> SimpleResultMetaData:
    found, dialect = compiled._result_columns, compiled.dialect
    return SimpleResultMetaData(
        [one.keyname for one in found],
        extra=[one.objects for one in found],
        _processors=[_reading(one.type, dialect) for one in found],
    )


def _reading(kind: TypeEngine[Any], dialect: Dialect) -> Processor | None:
    if isinstance(kind, UtcDateTime):
        return _moments(dialect)[1]
    read: Processor | None = kind._cached_result_processor(dialect, None)
    return _reading_json(read) if isinstance(kind, JSON) and read else read


def _reading_json(read: Processor) -> Processor:
    """Most of what is kept as JSON has nothing in it."""

    def quickly(text: Any) -> Any:
        make = _EMPTY.get(text)
        return make() if make else read(text)

    return quickly


def _writing_moments(compiled: SQLCompiler) -> dict[str, Processor]:
    """What converts the moments among a statement's values."""
    moments = (name for one, name in compiled.bind_names.items() if isinstance(one.type, UtcDateTime))
    return dict.fromkeys(moments, _moments(compiled.dialect)[0])


@cache
def _moments(dialect: Dialect) -> tuple[Processor, Processor]:
    """How a moment is written, and how it is read: both as its type has it, each moment once."""
    kind = UtcDateTime()
    write, read = kind._cached_bind_processor(dialect), kind._cached_result_processor(dialect, None)
    assert write
    assert read
    return lru_cache(MOMENTS)(write), lru_cache(MOMENTS)(read)
