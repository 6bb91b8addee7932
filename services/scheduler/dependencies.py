"""The scheduler's composition root: the only module here that reads configuration."""

from __future__ import annotations

from functools import cache

from nameko import config

from services.scheduler.settings import Settings
from services.scheduler.store.tables import metadata
from shared.config import read
from shared.db import Database, Subscribe, migrate
from shared.db.outbox import Outbox


@cache
def settings() -> Settings:
    """This service's settings. Raises ConfigInvalid."""
    return read(Settings, config)


@cache
def database() -> Database:
    """This service's database, brought up to date."""
    migrate.upgrade("scheduler", settings().database_url)
    return Database(settings().database_url, "scheduler", metadata)


def relay() -> tuple[Outbox, Subscribe]:
    """The outbox, and how to be woken when something is put in."""
    return Outbox(database()), database().on_commit
