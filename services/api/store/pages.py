"""Pages of lists, newest first: each is one range of an index, whatever the length of the list."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, Table, tuple_


class Page(NamedTuple):
    """Rows, and the id that the next page begins after, None on the last one."""

    rows: list[Row[Any]]
    following: str | None


def page(connection: Connection, table: Table, query: Select[Any], marker: str, limit: int) -> Page | None:
    """The rows of `query` after `marker` (empty: the first ones); None for a marker that is not among them."""
    if marker:
        place = query.with_only_columns(table.c.created_at).where(table.c.id == marker)
        last = connection.execute(place).first()
        if last is None:
            return None
        query = query.where(tuple_(table.c.created_at, table.c.id) < tuple_(last.created_at, marker))
    ordered = query.order_by(table.c.created_at.desc(), table.c.id.desc())
    rows = list(connection.execute(ordered.limit(limit + 1)).all())
    return Page(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)
