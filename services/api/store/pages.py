"""Pages of lists, newest first: each is one range of an index, whatever the length of the list."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, Select, Table, select, tuple_


def page(
    connection: Connection, table: Table, query: Select[Any], project_id: str, marker: str, limit: int
) -> list[Row[Any]] | None:
    """The rows after `marker` (empty: the first ones), one more than `limit` where there are more.

    None where there is no such marker.
    """
    if marker:
        place = select(table.c.created_at).where(table.c.id == marker, table.c.project_id == project_id)
        last = connection.execute(place).first()
        if last is None:
            return None
        query = query.where(tuple_(table.c.created_at, table.c.id) < tuple_(last.created_at, marker))
    ordered = query.order_by(table.c.created_at.desc(), table.c.id.desc())
    return list(connection.execute(ordered.limit(limit + 1)).all())
