"""A cluster that somebody has worked with: what there is to see of one is to be seen of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from services.api.store import tables
from shared.db import Database
from tests.support.installation import Installation, wait_for


@dataclass(frozen=True)
class Shop:
    """Ids of a cluster of two nodes, of an operation of it, of a backup, and of an import."""

    cluster: str
    operation: str
    backup: str
    taken: str


def primary_of(dtrove: Installation, cluster: str) -> str:
    """The node that leads a cluster now."""
    nodes = dtrove.get(f"/v1/clusters/{cluster}")["instances"]
    return next(str(one["id"]) for one in nodes if one["role"] == "primary")


def lived(dtrove: Installation) -> Shop:
    """Make it."""
    cluster, operation = dtrove.create("shop", size=2)
    _succeeds(dtrove, operation)
    at = f"/v1/clusters/{cluster}"
    _done(dtrove, "PATCH", f"{at}/parameters", {"parameters": {"work_mem": "8MB"}})
    _done(dtrove, "POST", f"{at}/databases", {"name": "orders"})
    _done(dtrove, "POST", f"{at}/users", {"name": "ann", "databases": [{"name": "orders", "privilege": "read"}]})
    backup = _done(dtrove, "POST", f"{at}/backups", {"kind": "full"})["backup"]["id"]
    _done(dtrove, "POST", f"/v1/backups/{backup}/verify", {})
    export = _done(dtrove, "POST", f"{at}/exports", {})["export"]["id"]
    taken = _done(dtrove, "POST", f"{at}/imports", {"export": export})["import"]["id"]
    schedule = dtrove.ask("POST", f"{at}/schedules", {"cron": "30 3 * * *", "retention": {"days": 7}})
    assert schedule.status_code < 300, schedule.text
    wait_for(lambda: dtrove.get(at)["health"], 60, 0.5, "a look at its health")
    _the_log_reaches_on(dtrove, cluster, backup)
    return Shop(cluster, operation, backup, taken)


def _the_log_reaches_on(dtrove: Installation, cluster: str, backup: str) -> None:
    """For two hours after a backup: a simulated host writes no log, so that what would be heard of it is written down here."""
    shown = dtrove.get(f"/v1/backups/{backup}")
    until = datetime.fromisoformat(shown["facts"]["ended_at"]) + timedelta(hours=2)
    database = Database(f"sqlite:///{dtrove.home / 'api.sqlite'}", "api", tables.metadata)
    try:
        with database.write() as tx:
            tx.insert_new(
                tables.archives, cluster_id=cluster, project_id=shown["project"], said_at=database.clock.now(), until=until,
                broken_at=None, trouble="", ended=False, stale=False, chains=[{"until": until.isoformat(), "backups": [backup]}],
            )  # fmt: skip
    finally:
        database.engine.dispose()


def _done(dtrove: Installation, method: str, path: str, wish: dict[str, Any]) -> dict[str, Any]:
    """Ask for something, and wait for its end; the answer."""
    answer = dtrove.ask(method, path, wish)
    assert answer.status_code == 202, answer.text
    _succeeds(dtrove, answer.headers["Location"].rpartition("/")[2])
    return dict(answer.json())


def _succeeds(dtrove: Installation, operation: str) -> None:
    ended = dtrove.end_of(operation, 60)
    assert ended["status"] == "succeeded", ended["problem"]
