"""Has the driver run what SQLAlchemy put together, without what SQLAlchemy does around each statement.

The SQL, its parameters and the types of its columns are SQLAlchemy's; the way there takes a fraction of the time, and a run is
hundreds of statements. Whatever is out of the ordinary goes the whole way: RETURNING, defaults, many rows at once, errors.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Dialect, Engine, Select, UpdateBase
from sqlalchemy.engine import IteratorResult
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.sql.compiler import SQLCompiler

Processor = Callable[[Any], Any]
Places = tuple[tuple[str, Processor | None], ...]


@dataclass(slots=True)
class Changed:
    """What is told of a statement that has changed rows."""

    rowcount: int


class Answer(IteratorResult[Any]):
    """Rows, made as those of every answer to the same question: how is found out once."""

    def __init__(self, columns: SimpleResultMetaData, row_getter: Any, found: list[Any]) -> None:
        super().__init__(columns, iter(found))
        self._row_getter = row_getter


class Way:
    """How what was compiled goes to the driver, and, where it is a question, what its answer's columns are."""

    def __init__(self, compiled: SQLCompiler) -> None:
        self._compiled = compiled
        self._processors = compiled._bind_processors
        self._sql, self._places = compiled.string, self._with_processors(compiled.positiontup or ())
        self._lists = tuple(compiled.bind_names[one] for one in compiled.post_compile_params)
        self._by_lengths: dict[tuple[int, ...], tuple[str, Places, dict[str, list[str]]]] = {}
        changes = compiled.isinsert or compiled.isupdate or compiled.isdelete
        self._columns = None if changes else _columns(compiled)
        self._row_getter = None if self._columns is None else IteratorResult(self._columns, iter(()))._row_getter

    def outcome(self, cursor: sqlite3.Cursor) -> Changed | Answer:
        """What the driver has to say, as SQLAlchemy says it."""
        if self._columns is None:
            return Changed(cursor.rowcount)
        return Answer(self._columns, self._row_getter, cursor.fetchall())

    def ready(self, values: dict[str, Any]) -> tuple[str, list[Any]]:
        """SQL, and what goes into its places. `values` may be changed."""
        sql, places = self._expanded(values) if self._lists else (self._sql, self._places)
        return sql, [process(values[name]) if process else values[name] for name, process in places]

    def _expanded(self, values: dict[str, Any]) -> tuple[str, Places]:
        """With a place for each member of each list: how many there are is all that the SQL depends on."""
        lengths = tuple(len(values[name]) for name in self._lists)
        if lengths not in self._by_lengths:
            state = self._compiled._process_parameters_for_postcompile(dict(values))
            places = self._with_processors(state.positiontup or (), state.processors)
            members = {name: list(of) for name, of in state.parameter_expansion.items()}
            self._by_lengths[lengths] = state.statement, places, members
        sql, places, members = self._by_lengths[lengths]
        for name, of in members.items():
            values.update(zip(of, values[name], strict=True))
        return sql, places

    def _with_processors(self, names: Any, more: Any = None) -> Places:
        processors = {**self._processors, **(more or {})}
        return tuple((name, processors.get(name)) for name in names)


# What was found out of statements that stay, by the dialect and by the names of the values they are given.
_Known = dict[tuple[Dialect, tuple[str, ...]], tuple[Way | None, dict[str, Any]]]
_KNOWN: WeakKeyDictionary[Any, _Known] = WeakKeyDictionary()


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
        if options or not isinstance(statement, (Select, UpdateBase)) or not isinstance(given, dict):
            return super().execute(statement, parameters, **options)
        key = self.dialect, tuple(given)
        known = _KNOWN.get(statement)
        if known is None or key not in known:
            way, values = self._find(statement, given)
            _KNOWN.setdefault(statement, {})[key] = way, values
        else:
            way, values = known[key]
        if way is None:
            return super().execute(statement, parameters)
        sql, bound = way.ready({**values, **given})
        try:
            cursor = self._sqlite.execute(sql, bound)
        except sqlite3.Error:
            # It has had no effect, and SQLAlchemy raises it in its own words.
            return super().execute(statement, parameters)
        return way.outcome(cursor)

    def _find(self, statement: Any, given: dict[str, Any]) -> tuple[Way | None, dict[str, Any]]:
        """The statement's way, and the values that are part of it."""
        compiled, extracted, collected, _ = statement._compile_w_cache(
            self.dialect, compiled_cache=self.engine._compiled_cache, column_keys=sorted(given)
        )
        values = compiled.construct_params(
            given, extracted_parameters=extracted, escape_names=False, _collected_params=collected
        )
        return _way(compiled), {name: value for name, value in values.items() if name not in given}


@cache
def _way(compiled: SQLCompiler) -> Way | None:
    """None for what SQLAlchemy has to do itself."""
    defaults = compiled.insert_prefetch or compiled.update_prefetch or compiled.literal_execute_params
    return None if defaults or compiled.effective_returning else Way(compiled)


def _columns(compiled: SQLCompiler) -> SimpleResultMetaData:
    found = compiled._result_columns
    return SimpleResultMetaData(
        [one.keyname for one in found],
        extra=[one.objects for one in found],
        _processors=[one.type._cached_result_processor(compiled.dialect, None) for one in found],
    )
