"""What the scheduler can be told."""

from __future__ import annotations

from dataclasses import dataclass

from shared.config import option


@dataclass(frozen=True)
class Settings:
    """One field per option."""

    database_url: str = option("SCHEDULER_DATABASE_URL", "where the scheduler's database is, as an SQLAlchemy URL")
    log_level: str = option("DTROVE_LOG_LEVEL", "DEBUG, INFO, WARNING or ERROR", default="INFO")
