"""Backups that a schedule has made and removed: what is shown follows from what was said, not from the order it was heard in."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.api.actions.access import DEFAULT_PROJECT
from shared.contracts import backups
from shared.contracts.base import Event, new_id
from shared.contracts.operations import OperationProgressed
from shared.contracts.scheduler import BackupDue, BackupExpired
from tests.component.api.test_backups import FACTS, PROBLEM, shop
from tests.component.api.test_clusters import active
from tests.support.api import Api

__all__ = ["shop"]
SLOW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def schedules_life(cluster: str) -> list[Event]:
    """All that is said of a schedule's backup: the first attempt fails, the next one does not; in the end it expires."""
    ids = {"backup_id": new_id(), "operation_id": new_id(), "cluster_id": cluster}
    due = {"schedule_id": new_id(), "project_id": DEFAULT_PROJECT}
    node = {"instance_id": new_id()}
    said: list[Event] = [
        BackupDue(**ids, **due, kind="incremental"),
        backups.BackupStarted(**ids, **due, **node, kind="incremental", store="local", base_id=new_id()),
        backups.BackupFailed(**ids, problem=PROBLEM),
        backups.BackupStarted(**ids, **due, **node, kind="full", store="local"),
        backups.BackupCompleted(**ids, **node, schedule_id=due["schedule_id"], store="local", facts=FACTS),
    ]
    for number, one in enumerate(said):
        object.__setattr__(one, "occurred_at", one.occurred_at + timedelta(seconds=number))
    return said


@SLOW
@given(data=st.data())
def test_a_backup_ends_the_same_whatever_the_order_and_however_often_each_event_comes(
    api: Api, data: st.DataObject
) -> None:
    cluster, operation = api.create(f"c{len(api.rows('clusters'))}")
    active(api, cluster, operation)
    events = schedules_life(cluster)
    again = data.draw(st.lists(st.sampled_from(range(len(events))), max_size=3))
    api.hear(*(events[number] for number in data.draw(st.permutations([*range(len(events)), *again]))))
    shown = api.get(f"/v1/clusters/{cluster}/backups")["backups"]
    assert [(one["status"], one["kind"], one["store"], one["message"], one["problem"]) for one in shown] == [
        ("completed", "full", "local", "", None)
    ]
    assert shown[0]["facts"]["stored_bytes"] == FACTS.stored_bytes
    assert shown[0]["base"] is None, "the attempt that was to build upon another one has failed"
    assert shown[0]["schedule"]
    assert shown[0]["operation"] == events[0].to_payload()["operation_id"]


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 0, 1), (2, 1, 0), (1, 0, 2), (1, 2, 0)])
@pytest.mark.parametrize("goes", [True, False])
def test_an_expired_backup_goes_by_an_operation_whatever_is_heard_first(
    api: Api, shop: str, order: tuple[int, ...], goes: bool
) -> None:
    ids = {"backup_id": new_id(), "cluster_id": shop}
    by = {**ids, "operation_id": new_id()}
    end = backups.BackupDeleted(**by) if goes else backups.BackupDeleteFailed(**by, problem=PROBLEM)
    events = [backups.BackupCompleted(**ids, operation_id=new_id(), instance_id=new_id(), facts=FACTS),
              BackupExpired(**by, schedule_id=new_id(), project_id=DEFAULT_PROJECT), end]  # fmt: skip
    for number, one in enumerate(events):
        object.__setattr__(one, "occurred_at", one.occurred_at + timedelta(seconds=number))
    api.hear(*(events[number] for number in order))
    shown = api.operation(by["operation_id"])
    assert (shown["kind"], shown["status"]) == ("delete_backup", "succeeded" if goes else "failed")
    assert [row.status for row in api.rows("backups")] == ["deleted" if goes else "failed"]
    assert [row.counted_bytes for row in api.rows("backups")] == [0 if goes else FACTS.stored_bytes]


def test_a_schedules_backup_that_ends_before_its_word_comes_has_ended_all_the_same(api: Api) -> None:
    cluster, operation = api.create()
    active(api, cluster, operation)
    ids = {"backup_id": new_id(), "operation_id": new_id(), "cluster_id": cluster}
    api.hear(backups.BackupCompleted(instance_id=new_id(), **ids))
    api.hear(BackupDue(schedule_id=new_id(), project_id=new_id(), **ids))
    assert api.operation(ids["operation_id"])["status"] == "succeeded"


def test_a_schedules_backup_whose_first_step_is_heard_of_before_it_is_a_backup_all_the_same(api: Api) -> None:
    cluster, operation = api.create()
    active(api, cluster, operation)
    ids = {"operation_id": new_id(), "cluster_id": cluster}
    api.hear(OperationProgressed(service="datastore_agentless", kind="backup_node", step="backup", status="running", sequence=1,
                                 host="shop-1", **ids))  # fmt: skip
    api.hear(BackupDue(schedule_id=new_id(), project_id=new_id(), backup_id=new_id(), **ids))
    assert (api.operation(ids["operation_id"])["kind"], api.operation(ids["operation_id"])["status"]) == (
        "backup",
        "running",
    )


def test_a_schedules_backup_is_an_operation_as_soon_as_it_is_due(api: Api) -> None:
    cluster, operation = api.create()
    active(api, cluster, operation)
    due = BackupDue(schedule_id=new_id(), backup_id=new_id(), operation_id=new_id(), cluster_id=cluster,
                    project_id=DEFAULT_PROJECT)  # fmt: skip
    api.hear(due, due)
    assert api.operation(due.operation_id)["status"] == "pending"
    assert api.ask("POST", f"/v1/clusters/{cluster}/backups").status_code == 409
    api.hear(backups.BackupCompleted(backup_id=due.backup_id, cluster_id=cluster, operation_id=due.operation_id,
                                       instance_id=new_id()))  # fmt: skip
    ended = api.operation(due.operation_id)
    assert (ended["status"], ended["result"]) == ("succeeded", {"backup": due.backup_id})
    assert "backup.due" in [event["type"] for event in api.get("/v1/events")["events"]]
