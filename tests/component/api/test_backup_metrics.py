"""Backups at /metrics: how old the newest good one is, what has failed since, what is kept."""

from __future__ import annotations

from typing import Any

import pytest

from shared.clock import ManualClock
from shared.contracts import backups
from tests.component.api.test_backups import FACTS, PROBLEM, begun, completed, gone, shop
from tests.component.api.test_node_metrics import scraped
from tests.support.api import Api

__all__ = ["shop"]
AGE, FAILURES, STORED = "dtrove_backup_age_seconds", "dtrove_backup_failures", "dtrove_backup_stored_bytes"
SHOP = {"project": "default", "cluster": "shop"}


def of(api: Api, name: str, **options: Any) -> list[tuple[dict[str, str], float]]:
    return scraped(api, **options).get(name, [])


def test_the_age_is_of_the_newest_good_one_and_failures_count_since_then(api: Api, shop: str) -> None:
    assert of(api, AGE) == of(api, FAILURES) == of(api, STORED) == []
    completed(api, shop)
    backup = completed(api, shop)
    finished = next(row.finished_at for row in api.rows("backups") if row.id == backup)
    api.database.clock = ManualClock(finished)
    api.database.clock.advance(60)
    assert of(api, AGE) == [(SHOP, 60.0)]
    assert of(api, FAILURES) == [(SHOP, 0.0)]
    for _ in range(2):
        api.hear(backups.BackupFailed(**begun(api, shop), problem=PROBLEM))
    assert of(api, FAILURES) == [(SHOP, 2.0)]
    assert of(api, STORED) == [(SHOP, 2.0 * FACTS.stored_bytes)]
    operation = api.ask("DELETE", f"/v1/backups/{backup}").json["id"]
    ids = {"backup_id": backup, "operation_id": operation, "cluster_id": shop}
    api.hear(backups.BackupDeleteFailed(**ids, problem=PROBLEM))
    assert of(api, FAILURES) == [(SHOP, 2.0)], "what could not be deleted has been made all the same"


def test_of_a_cluster_that_is_gone_only_what_is_kept_is_told(api: Api, shop: str) -> None:
    completed(api, shop)
    gone(api, shop)
    assert of(api, AGE) == of(api, FAILURES) == []
    assert of(api, STORED) == [(SHOP, float(FACTS.stored_bytes))]
    assert ({"status": "completed"}, 1.0) in of(api, "dtrove_backups")


@pytest.mark.parametrize("name", [AGE, FAILURES, STORED])
def test_backups_are_shown_to_those_of_their_project(api: Api, shop: str, name: str) -> None:
    completed(api, shop)
    assert of(api, name, token="") == of(api, name, token=api.token("member", api.project())) == []
    assert of(api, name, token=api.reader)
