"""Migrations: one Alembic history per service, in `services/<name>/store/migrations`."""

from __future__ import annotations

import logging
from pathlib import Path

from alembic import command, context
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, text

from shared.db.engine import make_engine, translated

ROOT = Path(__file__).resolve().parents[2]
_LOCK = 7382951


def config_for(service: str, url: str) -> Config:
    """The Alembic configuration of one service."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / "services" / service / "store" / "migrations"))
    config.attributes["url"] = url
    config.attributes["service"] = service
    return config


def upgrade(service: str, url: str) -> None:
    """Bring a service's database to the newest version; several processes may try at once."""
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    with translated():
        command.upgrade(config_for(service, url), "head")


def pending(service: str, url: str) -> bool:
    """Whether the database lags behind the code's newest version."""
    newest = ScriptDirectory.from_config(config_for(service, url)).get_current_head()
    engine = make_engine(url)
    try:
        with translated(), engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision() != newest
    finally:
        engine.dispose()


def run(metadata: MetaData) -> None:
    """What each history's env.py calls: run the migrations against the configured database, one process at a time."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    engine = make_engine(context.config.attributes["url"])
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA busy_timeout=30000")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        context.configure(
            connection=connection, target_metadata=metadata, render_as_batch=True, transactional_ddl=False
        )
        context.run_migrations()
        connection.commit()
    engine.dispose()
