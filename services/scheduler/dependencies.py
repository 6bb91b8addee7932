"""The scheduler's composition root: the only module here that reads configuration."""

from __future__ import annotations

from nameko import config

from services.scheduler.settings import Settings
from services.scheduler.store.tables import metadata
from shared.config import read
from shared.db import Database, Subscribe, migrate
from shared.db.outbox import Outbox
from shared.once import once
from shared.state import StateOf


@once
def settings() -> Settings:
    """This service's settings. Raises ConfigInvalid."""
    return read(Settings, config)


@once
def database() -> Database:
    """This service's database, brought up to date."""
    migrate.upgrade("scheduler", settings().database_url, migrate.FOR_EVER)
    return Database(settings().database_url, "scheduler", metadata)


@once
def state() -> StateOf:
    """What this service knows of itself."""
    return StateOf(database())


def relay() -> tuple[Outbox, Subscribe]:
    """The outbox, and how to be woken when something is put in."""
    return Outbox(database()), database().on_outbox
