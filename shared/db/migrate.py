"""Migrations: one Alembic history per service, in `services/<name>/store/migrations`."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path

from alembic import command, context
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, text

from shared.db.engine import make_engine, translated
from shared.errors import Unavailable

log = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parents[2]
_LOCK = 7382951
LOOK_SECONDS, SAY_SECONDS = 0.5, 10.0
FOR_EVER = float("inf")


def config_for(service: str, url: str) -> Config:
    """The Alembic configuration of one service."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / "services" / service / "store" / "migrations"))
    config.attributes["url"] = url
    config.attributes["service"] = service
    return config


def upgrade(service: str, url: str, patience: float = 0.0) -> None:
    """Bring a service's database to the newest version; several processes may try at once.

    Waits up to `patience` seconds for a database that does not answer, saying so. Raises Unavailable after that.
    """
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    until, said = time.monotonic() + patience, 0.0
    while True:
        try:
            if not _is_settled(service, url):
                with translated():
                    command.upgrade(config_for(service, url), "head")
            return
        except Unavailable as error:
            now = time.monotonic()
            if now > until:
                raise
            if now - said > SAY_SECONDS:
                log.warning("waiting for the database of %s: %s", service, error.__cause__)
                said = now
            time.sleep(LOOK_SECONDS)


@dataclass(frozen=True)
class Versions:
    """The versions that the code knows, and the newest of them."""

    newest: str
    known: frozenset[str]


def versions(service: str) -> Versions:
    """What the code that is installed knows of a service's history."""
    scripts = ScriptDirectory.from_config(config_for(service, ""))
    return Versions(scripts.get_current_head() or "", frozenset(one.revision for one in scripts.walk_revisions()))


def current(connection: Connection) -> str:
    """The version of a database; empty before the first one."""
    return MigrationContext.configure(connection).get_current_revision() or ""


def current_at(url: str) -> str:
    """The version of the database at `url`. Raises Unavailable."""
    engine = make_engine(url)
    try:
        with translated(), engine.connect() as connection:
            return current(connection)
    finally:
        engine.dispose()


def pending(service: str, url: str) -> bool:
    """Whether the database is of another version than the code's newest."""
    return current_at(url) != versions(service).newest


def _is_settled(service: str, url: str) -> bool:
    """Whether there is nothing to bring up: the version is the newest one, as at nearly every start, or a later one than ours.

    Where a newer release has been at the database, an older one works on it as it is, until it is upgraded itself.
    """
    found, here = current_at(url), versions(service)
    if found and found not in here.known:
        log.warning(
            "the database of %s is of a newer version (%s) than this program: finish the upgrade", service, found
        )
        return True
    return bool(found) and found == here.newest


def run(metadata: MetaData) -> None:
    """What each history's env.py calls: run the migrations against the configured database, one process at a time."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    engine = make_engine(context.config.attributes["url"])
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA busy_timeout=30000")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            # A migration takes as long as it takes, and so does the wait for another process's.
            connection.execute(text("set statement_timeout = 0"))
            connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        context.configure(
            connection=connection, target_metadata=metadata, render_as_batch=True, transactional_ddl=False
        )
        context.run_migrations()
        connection.commit()
    engine.dispose()
