"""A database that goes away: Unavailable, nothing lost, nothing doubled, and on again without a restart."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import func, insert, select

from shared.db import Database, tasks
from shared.engine import StepEngine
from shared.errors import Unavailable
from shared.workflow import Next, Outcome, Step, StepContext, TaskDraft, Workflow
from tests.component.db.conftest import open_database
from tests.support.postgres import PrivatePostgres

pytestmark = pytest.mark.fault(10)


@pytest.fixture
def database(fragile: PrivatePostgres) -> Database:
    made = open_database(fragile.fresh("away"))
    with made.write() as tx:
        made.metadata.create_all(tx.connection)
    return made


def effect(database: Database, event_id: str, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Handle an event as every handler does."""
    with database.write() as tx:
        if tx.first_seen(event_id, "effect"):
            tx.connection.execute(insert(database.metadata.tables["effects"]).values(id=event_id, what="done"))
            meanwhile()


def effects(database: Database) -> int:
    with database.read() as connection:
        return int(
            connection.execute(select(func.count()).select_from(database.metadata.tables["effects"])).scalar_one()
        )


def test_while_the_database_is_away_everything_says_unavailable_and_afterwards_works(
    database: Database, fragile: PrivatePostgres
) -> None:
    effect(database, "before")
    fragile.pause()
    try:
        with pytest.raises(Unavailable):
            effect(database, "during")
        with pytest.raises(Unavailable):
            effects(database)
    finally:
        fragile.resume()
    effect(database, "during")
    assert effects(database) == 2


def test_a_transaction_that_was_open_when_the_database_went_has_no_effect(
    database: Database, fragile: PrivatePostgres
) -> None:
    def restart() -> None:
        fragile.pause()
        fragile.resume()

    with pytest.raises(Unavailable):
        effect(database, "half", restart)
    assert effects(database) == 0
    effect(database, "half")
    assert effects(database) == 1


def test_a_step_goes_on_while_its_reports_and_its_lease_cannot_be_stored(
    database: Database, fragile: PrivatePostgres
) -> None:
    def work(context: StepContext) -> Outcome:
        fragile.pause()
        try:
            context.report("half way", output="line\n")
            with pytest.raises(Unavailable):
                engine.heartbeat()
        finally:
            fragile.resume()
        engine.heartbeat()
        context.check()
        return Next()

    with database.write() as tx:
        tx.file(TaskDraft("t", "work", "s", "c", "o"))
    engine = StepEngine(database, {"work": Workflow("work", (Step("only", work),))})
    assert engine.run_due() == 0.0
    with database.read() as connection:
        assert tasks.open_tasks(connection, database, "c") == 0
        reported = connection.execute(select(database.outbox.c.body)).scalars().all()
    assert any("line" in body for body in reported)


COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"


class Proxy:
    """Stands before PostgreSQL; once armed it lets a COMMIT through and cuts the line before the answer."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.armed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            committing = threading.Event()
            threading.Thread(target=self._up, args=(client, server, committing), daemon=True).start()
            threading.Thread(target=self._down, args=(client, server, committing), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket, committing: threading.Event) -> None:
        while data := _read(client):
            if self.armed and COMMIT in data:
                committing.set()
            server.sendall(data)
        server.close()

    def _down(self, client: socket.socket, server: socket.socket, committing: threading.Event) -> None:
        while data := _read(server):
            if committing.is_set():
                self.armed = False
                break
            client.sendall(data)
        client.shutdown(socket.SHUT_RDWR)
        client.close()


def _read(source: socket.socket) -> bytes:
    try:
        return source.recv(65536)
    except OSError:
        return b""


@pytest.fixture
def proxy(fragile: PrivatePostgres) -> Iterator[Proxy]:
    made = Proxy(fragile.port)
    yield made
    made.close()


def test_a_commit_whose_answer_was_lost_is_tried_again_and_has_one_effect(
    database: Database, fragile: PrivatePostgres, proxy: Proxy
) -> None:
    behind = open_database(database.url.replace(f":{fragile.port}/", f":{proxy.port}/"))
    effect(behind, "first")
    proxy.armed = True
    with pytest.raises(Unavailable):
        effect(behind, "second")
    assert not proxy.armed
    assert effects(database) == 2
    effect(behind, "second")
    assert effects(database) == 2


def test_a_step_whose_outcome_was_stored_though_nobody_was_told_is_not_run_again(
    database: Database, fragile: PrivatePostgres, proxy: Proxy
) -> None:
    behind = open_database(database.url.replace(f":{fragile.port}/", f":{proxy.port}/"))
    runs: list[str] = []

    def work(context: StepContext) -> Outcome:
        runs.append(context.task.step)
        proxy.armed = context.task.step == "first"
        return Next()

    with database.write() as tx:
        tx.file(TaskDraft("t", "work", "s", "c", "o"))
    flow = Workflow("work", (Step("first", work), Step("second", work)))
    StepEngine(behind, {"work": flow}, lease=0.2).run_due()
    other = StepEngine(database, {"work": flow})
    while (pause := other.run_due()) is not None:
        threading.Event().wait(pause)
    assert runs == ["first", "second"]
