"""What the scheduler can be told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared import cron, options
from shared.config import option
from shared.errors import Invalid


def parse_timezone(raw: Any) -> str:
    """The name of a time zone. Raises ValueError with a sentence."""
    try:
        return cron.read("0 0 * * *", str(raw).strip()).timezone
    except Invalid as error:
        raise ValueError(error.errors[0].reason) from error


@dataclass(frozen=True)
class Settings:
    """One field per option."""

    database_url: str = options.database_url("SCHEDULER_DATABASE_URL", "the scheduler's")
    amqp_uri: str = options.amqp_uri()
    backup_days: int = option(
        "DTROVE_DEFAULT_BACKUP_DAYS", "every new cluster gets a schedule: a full backup each night, kept for so many days; 0: none",
        default=7, parse=options.whole(0, 3650),
    )  # fmt: skip
    backup_timezone: str = option(
        "DTROVE_DEFAULT_BACKUP_TIMEZONE", "whose night that is, as in Europe/Berlin; from midnight to six", default="UTC",
        parse=parse_timezone,
    )  # fmt: skip
    log_level: str = options.log_level()

    @staticmethod
    def unwise_together(chosen: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """SQLite beside a broker for many."""
        yield from options.sqlite_is_unwise("SCHEDULER_DATABASE_URL", chosen)
