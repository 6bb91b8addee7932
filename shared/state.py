"""Gathers what a service knows of its own state: database, version, outbox, secrets, room on the disk."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy import Connection, Text, func, select, text, type_coerce

from shared.contracts.state import Disk, OpenTask, Revision, Sealing, ServiceState
from shared.db import Database, migrate, tasks
from shared.db.outbox import Outbox
from shared.db.reseal import sealed_columns
from shared.errors import DtroveError, Failure
from shared.secrets import Keyring, KeyringFile, read_keyring

# Trying keys on thousands of secrets takes a while: done rarely, and anew at once when the newest key or the number of
# secrets has changed.
COUNT_SECONDS = 300.0
BREATH = 50
# So few take some milliseconds: whoever asks is told the present number.
COUNTED_WHILE_ASKED = 200
TASKS_SHOWN = 50
log = logging.getLogger(__name__)


@dataclass
class StateOf:
    """The state of one service. `home` is where its installation keeps files, empty for nowhere; no keyring: no secrets.

    Made when the service starts: what the code's newest version is, is then what this process runs, whatever is
    installed over it later.
    """

    database: Database
    home: str = ""
    keyring: KeyringFile | None = None
    _sealing: Sealing | None = None
    _counted: tuple[str, int, float] = ("", -1, float("-inf"))
    _versions: migrate.Versions = field(init=False)

    def __post_init__(self) -> None:
        self._versions = migrate.versions(self.database.service)

    def count_secrets(self, most: float = float("inf")) -> None:
        """Try the keys on all secrets, if it is time to and there are no more than `most`. Raises Unavailable, Failure."""
        if self.keyring is None:
            return
        ring, now = read_keyring(self.keyring.path), self.database.clock.monotonic()
        key, before, at = self._counted
        number = self._number()
        if (key, before) == (ring.newest, number) and now - at < COUNT_SECONDS and not self._suspicious:
            return
        if number <= most:
            self._sealing, self._counted = self._count(ring), (ring.newest, number, now)

    def state(self, operations: Sequence[str] = ()) -> ServiceState:
        """The present state; with the open tasks of `operations`. Whatever is away is told in it, not raised."""
        found = ServiceState(
            service=self.database.service, now=self.database.clock.now(), has_keyring=self.keyring is not None,
            keyring=self._keyring_trouble(), disk=_disk(self.home),
        )  # fmt: skip
        try:
            if not found.keyring:
                self.count_secrets(COUNTED_WHILE_ASKED)
            return self._of_database(replace(found, secrets=self._sealing), operations)
        except DtroveError as error:
            return replace(found, database=error.message)

    @property
    def _suspicious(self) -> bool:
        return self._sealing is not None and bool(self._sealing.old or self._sealing.unreadable)

    def _of_database(self, found: ServiceState, operations: Sequence[str]) -> ServiceState:
        with self.database.read() as connection:
            waiting = Outbox(self.database).waiting(connection)
            current = migrate.current(connection)
            work = self._open_tasks(connection, operations) if operations else ()
            ahead = self._ahead(connection)
        known = Revision(database=current, code=self._versions.newest, known=current in self._versions.known)
        return replace(found, outbox=waiting, revision=known, tasks=work, database_ahead=ahead)

    def _open_tasks(self, connection: Connection, operations: Sequence[str]) -> tuple[OpenTask, ...]:
        t, now = self.database.tasks, self.database.clock.now()
        query = select(t).where(t.c.operation_id.in_(list(operations)), t.c.status == tasks.OPEN)
        return tuple(
            OpenTask(
                operation_id=row.operation_id, kind=row.kind, step=row.step, attempt=row.attempt, due_at=row.due_at,
                worked_on=row.lease_until is not None and row.lease_until > now, message=row.message,
            )
            for row in connection.execute(query.order_by(t.c.created_at).limit(TASKS_SHOWN))
        )  # fmt: skip

    def _ahead(self, connection: Connection) -> float | None:
        """Seconds that the database's clock is ahead of ours, give or take half a round trip; None where it is ours."""
        if not self.database.locks_rows:
            return None
        before = self.database.clock.now()
        theirs = connection.execute(text("select clock_timestamp()")).scalar_one()
        after = self.database.clock.now()
        return float((theirs - before - (after - before) / 2).total_seconds())

    def _keyring_trouble(self) -> str:
        if self.keyring is None:
            return ""
        try:
            read_keyring(self.keyring.path)
        except Failure as error:
            return error.message
        return ""

    def _number(self) -> int:
        """How many secrets there are; this costs next to nothing."""
        with self.database.read() as connection:
            return sum(
                connection.execute(select(func.count(column)).select_from(table)).scalar_one()
                for table, column in sealed_columns(self.database)
            )

    def _count(self, ring: Keyring) -> Sealing:
        total = old = unreadable = 0
        for table, column in sealed_columns(self.database):
            with self.database.read() as connection:
                sealed = (
                    connection.execute(select(type_coerce(column, Text)).where(column.is_not(None))).scalars().all()
                )
            for number, token in enumerate(sealed):
                if number % BREATH == 0:
                    # Whoever else works in this process is not to wait for all of them.
                    self.database.clock.sleep(0)
                total += 1
                if not ring.is_newest(str(token)):
                    opens = _opens(ring, str(token))
                    old, unreadable = old + opens, unreadable + (not opens)
            log.debug("%s.%s: %d secrets so far", table.name, column.name, total)
        return Sealing(total=total, old=old, unreadable=unreadable)


def _opens(ring: Keyring, token: str) -> bool:
    try:
        ring.open(token)
    except Failure:
        return False
    return True


def _disk(home: str) -> Disk | None:
    if not home:
        return None
    try:
        usage = shutil.disk_usage(Path(home))
    except OSError:
        return None
    return Disk(free_bytes=usage.free, total_bytes=usage.total)
