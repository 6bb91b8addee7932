"""What the scheduler can be told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared import options


@dataclass(frozen=True)
class Settings:
    """One field per option."""

    database_url: str = options.database_url("SCHEDULER_DATABASE_URL", "the scheduler's")
    amqp_uri: str = options.amqp_uri()
    log_level: str = options.log_level()

    @staticmethod
    def unwise_together(chosen: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """SQLite beside a broker for many."""
        yield from options.sqlite_is_unwise("SCHEDULER_DATABASE_URL", chosen)
