"""Column types: aware UTC times, and secrets that are encrypted at rest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import DateTime, Dialect, Text
from sqlalchemy.types import TypeDecorator

from shared.errors import Failure
from shared.secrets import Sealer, Secret


def in_utc(kept: datetime) -> datetime:
    """A time as a database gives it, with its zone: one without is in UTC."""
    return kept.replace(tzinfo=UTC) if kept.tzinfo is None else kept.astimezone(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, kept in UTC. SQLite forgets zones, so the zone is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime was given where an aware one is needed")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else in_utc(value)


class Sealed(TypeDecorator[Secret]):
    """A Secret, encrypted by the keyring on its way to the database.

    The composition root sets `keyring` once per process, before the first query.
    """

    impl = Text
    cache_ok = True
    keyring: ClassVar[Sealer | None] = None

    def process_bind_param(self, value: Secret | None, dialect: Dialect) -> str | None:
        return None if value is None else self._ring().seal(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Secret | None:
        return None if value is None else self._ring().open(str(value))

    @classmethod
    def _ring(cls) -> Sealer:
        if cls.keyring is None:
            raise Failure("no keyring is set", what_to_do="set DTROVE_KEYRING, or run `dtrove init`")
        return cls.keyring
