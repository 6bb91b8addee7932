"""PostgreSQL: a database copied and filled by its own programs. A password goes by a file that is gone afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from psycopg2.extensions import make_dsn
from sqlalchemy import URL, Connection, text

from shared.db.engine import make_engine, translated
from shared.errors import Failure

DUMP, LOAD = "pg_dump", "pg_restore"
# A control plane's database takes seconds; a network that has stopped is not waited for for ever.
PROGRAM_SECONDS = 3600.0
# A connection that was closed is seen for a moment longer.
GOING_SECONDS, LOOK_SECONDS = 2.0, 0.1
# Where the tables that were there are put aside; what is there of it is left out of copies.
ASIDE = "dtrove_before_"
_INSTALL = (
    "install PostgreSQL's client programs, of the server's version or a newer one: the package postgresql-client of Debian and "
    "Ubuntu, postgresql of Fedora and its like"
)
_TABLES = """
    select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relkind in ('r', 'p') order by c.relname
"""
_OTHERS = """
    select count(*) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
"""


def need(program: str) -> str:
    """Where a program of PostgreSQL's is. Raises Failure where it is not installed."""
    found = shutil.which(program)
    if found is None:
        raise Failure(f"{program} is not installed on this machine, and a database is PostgreSQL", what_to_do=_INSTALL)
    return found


def dump(url: URL, target: Path) -> None:
    """Copy a database as it is at one moment, whoever works in it meanwhile. Raises Failure."""
    with _line(url) as (dsn, environ):
        _run(environ, DUMP, f"--dbname={dsn}", "--format=custom", "--no-owner", "--no-privileges", "--no-password",
             f"--exclude-schema={ASIDE}*", f"--file={target}")  # fmt: skip


def load(url: URL, source: Path) -> None:
    """Fill a database that has no tables: all of it in one transaction, or nothing. Raises Failure."""
    with _line(url) as (dsn, environ):
        _run(environ, LOAD, f"--dbname={dsn}", "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges",
             "--no-password", str(source))  # fmt: skip


def has_tables(url: URL) -> bool:
    """Whether there is anything in a database. Raises Unavailable."""
    with _connected(url) as connection:
        return connection.execute(text(_TABLES)).first() is not None


def others(url: URL) -> int:
    """How many are connected to a database beside us; who is just going, as we were a moment ago, is waited for. Raises Unavailable."""
    until = time.monotonic() + GOING_SECONDS
    with _connected(url) as connection:
        while (number := int(connection.execute(text(_OTHERS)).scalar_one())) and time.monotonic() < until:
            # Within a transaction the same is said again.
            connection.rollback()
            time.sleep(LOOK_SECONDS)
    return number


def put_aside(url: URL, stamp: str) -> None:
    """Move the tables that are there into a schema of their own, all at once; done before, it does nothing. Raises Unavailable."""
    schema = f"{ASIDE}{stamp.lower()}"
    with _connected(url) as connection, connection.begin():
        if connection.execute(text("select 1 from pg_namespace where nspname = :name"), {"name": schema}).first():
            return
        quote = connection.dialect.identifier_preparer.quote_identifier
        connection.execute(text(f"create schema {quote(schema)}"))
        for (table,) in connection.execute(text(_TABLES)).all():
            # Its indexes and the sequences that it owns go along.
            connection.execute(text(f"alter table public.{quote(table)} set schema {quote(schema)}"))


@contextmanager
def _connected(url: URL) -> Iterator[Connection]:
    engine = make_engine(url.render_as_string(hide_password=False))
    try:
        with translated(), engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


@contextmanager
def _line(url: URL) -> Iterator[tuple[str, dict[str, str]]]:
    """How libpq is told where to go, and its environment: the password lies in a file for its owner alone."""
    said = {name: value if isinstance(value, str) else value[-1] for name, value in url.query.items()}
    password = said.pop("password", "") or url.password or ""
    # A password of the environment would win over the file.
    environ = {name: value for name, value in os.environ.items() if not (password and name == "PGPASSWORD")}
    with tempfile.TemporaryDirectory(prefix="dtrove-") as folder:
        if password:
            # Source: PostgreSQL's documentation, "The Password File": host, port, database, user, with \ before : and \.
            said["passfile"] = str(Path(folder) / "pgpass")
            escaped = str(password).replace("\\", "\\\\").replace(":", "\\:")
            with os.fdopen(os.open(said["passfile"], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(f"*:*:*:*:{escaped}\n")
        there = {"host": url.host, "port": url.port, "user": url.username, "dbname": url.database}
        yield make_dsn(**{name: value for name, value in {**there, **said}.items() if value not in (None, "")}), environ


def _run(environ: dict[str, str], program: str, *arguments: str) -> None:
    command = [need(program), *arguments]
    try:
        done = subprocess.run(
            command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=PROGRAM_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise Failure(
            f"{program} did not end within {PROGRAM_SECONDS:g} s", what_to_do="see whether the database answers"
        ) from error
    if done.returncode != 0:
        tail = "\n".join(done.stderr.splitlines()[-20:])
        raise Failure(f"{program} ended with {done.returncode}", stderr=tail,
                      what_to_do="mend what it says; where the server is newer than it, " + _INSTALL)  # fmt: skip
