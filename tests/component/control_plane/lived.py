"""Installations that somebody has worked in: rows in all four databases, secrets, work under way, messages not sent yet."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from pyrage import x25519
from sqlalchemy import insert

from client import installation as making
from client.local.control_plane.locking import Identities, Recipients
from client.local.control_plane.places import Installation
from services.api.actions.access import bootstrap, create_project
from services.api.store import tables as of_api
from services.datastore_agentless.store import archives, backups, watches
from services.provisioner.domain.instance import Instance
from services.provisioner.store import instances
from services.scheduler.actions import schedules
from shared.clock import SystemClock
from shared.contracts.values import Flavor
from shared.db import Database, Sealed, migrate, tasks
from shared.secrets import KeyringFile, Secret
from shared.workflow import TaskDraft
from tests.component.watching.conftest import serve

CONFIG = Path(__file__).parents[3] / "config.yaml"
# What being set back changes on purpose.
CHANGED = ("fences", "tasks", "outbox", "watches", "archives", "operations")
Rows = dict[str, list[tuple[Any, ...]]]


class Pair:
    """Who can open an archive."""

    def __init__(self) -> None:
        identity = x25519.Identity.generate()
        self.text, self.public = str(identity), str(identity.to_public())
        self.lock, self.key = Recipients((identity.to_public(),)), Identities((identity,))


def at(home: Path, **options: str) -> Installation:
    """An installation in `home`, with SQLite where no option says otherwise."""
    return Installation(home, CONFIG, {"DTROVE_HOME": str(home), **options})


def lived(home: Path, word: str, at_work: bool = True, **options: str) -> Installation:
    """One in which there is a project, a server, a cluster and a schedule, all called by `word`."""
    making.init(home)
    made = at(home, **options)
    Sealed.keyring = KeyringFile(made.keyring)
    fill: dict[str, Callable[[Database, str], None]] = {
        "api": _api, "provisioner": _provisioner, "datastore_agentless": _datastores, "scheduler": _scheduler,
    }  # fmt: skip
    for place in made.databases:
        migrate.upgrade(place.service, place.text)
        database = place.database()
        fill[place.service](database, word)
        if at_work:
            _work(database, word)
        database.engine.dispose()
    token = json.loads((home / "client.json").read_text())["token"]
    database = opened(made, "api")
    bootstrap(database, hashlib.sha256(token.encode()).hexdigest())
    database.engine.dispose()
    return made


def opened(installation: Installation, service: str) -> Database:
    """A service's database; close its engine."""
    return next(place for place in installation.databases if place.service == service).database()


def rows(installation: Installation, changed: tuple[str, ...] = CHANGED) -> dict[str, Rows]:
    """Every row of every database, but of tables that being set back changes."""
    return {place.service: _rows(place.path, changed) for place in installation.databases if place.path.exists()}


def _rows(path: Path, changed: tuple[str, ...]) -> Rows:
    with closing(sqlite3.connect(path)) as connection:
        names = [row[0] for row in connection.execute("select name from sqlite_master where type = 'table' order by 1")]
        return {name: sorted(connection.execute(f'select * from "{name}"').fetchall(), key=repr)
                for name in names if name not in changed}  # fmt: skip


def _api(database: Database, word: str) -> None:
    now = SystemClock().now()
    with database.write() as tx:
        project = create_project(tx, word)
        tx.connection.execute(insert(of_api.operations).values(
            id=f"o-{word}", kind="create_cluster", cluster_id=f"c-{word}", project_id=project, status="running", output="",
            exclusive=True, weights={}, created_at=now,
        ))  # fmt: skip


def _provisioner(database: Database, word: str) -> None:
    flavor = Flavor(id="small", name="small", vcpus=1, ram_mb=512, disk_gb=5)
    with database.write() as tx:
        instances.add(tx, Instance(f"i-{word}", f"c-{word}", "p", f"o-{word}", word, "debian-12", flavor,
                                   host_key_private=Secret(f"host key of {word}")))  # fmt: skip


def _datastores(database: Database, word: str) -> None:
    serve(database, f"c-{word}")
    with database.write() as tx:
        backups.age_key(tx, f"p-{word}")
        watches.enrol(tx, {f"c-{word}": 0.0})
        archives.enrol(tx, f"c-{word}", f"p-{word}")
    with database.write() as tx:
        archives.claim(tx, "w1", 0.0, 1)


def _scheduler(database: Database, word: str) -> None:
    schedules.add(database, f"c-{word}", "p", "0 3 * * *", "UTC", "full", f"s-{word}")


def _work(database: Database, word: str) -> None:
    """A task that was claimed three times, one that waits, and a sealed message on its way."""
    with database.write() as tx:
        for name in ("claimed", "waiting"):
            tx.file(TaskDraft(f"{name}-{word}", "work", name, f"c-{word}", f"o-{word}"))
        tx.send("a queue", Secret(f"message of {word}"), {})
        tx.first_seen(f"event-{word}", "somebody")
    for _ in range(3):
        with database.write() as tx:
            assert tasks.claim(tx, f"claimed-{word}", "claimed", "w1", 0.0) is not None
