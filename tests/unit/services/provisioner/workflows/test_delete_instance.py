"""Deleting an instance, whatever state it is in and whatever the cloud does."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.provisioner.domain.instance import Status
from services.provisioner.providers.fake.faults import FOR_EVER
from shared.db import tasks
from tests.unit.services.provisioner.conftest import INSTANCE, Rig


def nothing_is_left(rig: Rig) -> bool:
    return not rig.cloud.servers() and not rig.cloud.volumes()


def test_deleting_an_active_instance_removes_server_and_volume_and_says_so(rig: Rig) -> None:
    rig.request(volume_gb=1)
    rig.run()
    rig.delete()
    rig.run()
    assert nothing_is_left(rig)
    assert rig.instance.status == Status.DELETED
    assert [one["operation_id"] for one in rig.said("instance.deleted")] == ["o-delete"]


def test_the_private_host_key_goes_with_the_server(rig: Rig) -> None:
    rig.request()
    rig.run()
    rig.delete()
    rig.run()
    assert rig.instance.host_key_private.reveal() == ""


@pytest.mark.parametrize("steps", range(12))
def test_a_delete_at_any_moment_of_a_build_leaves_nothing(rig: Rig, steps: int) -> None:
    rig.request(volume_gb=1)
    for _ in range(steps):
        rig.clock.advance(rig.engine.run_due() or 0)
    rig.delete()
    rig.run()
    assert nothing_is_left(rig)
    assert rig.instance.status == Status.DELETED
    assert len(rig.said("instance.deleted")) == 1
    assert "open" not in rig.tasks().values()


def test_a_failed_instance_can_be_deleted(rig: Rig) -> None:
    rig.strike("create", "quota")
    rig.request()
    rig.run()
    rig.delete()
    rig.run()
    assert rig.instance.status == Status.DELETED


def test_a_server_that_is_gone_already_is_deleted_without_trouble(rig: Rig) -> None:
    rig.request()
    rig.run()
    rig.cloud.remove(INSTANCE)
    rig.delete()
    rig.run()
    assert rig.instance.status == Status.DELETED


def test_an_instance_never_heard_of_is_deleted_and_never_made_by_a_late_wish(rig: Rig) -> None:
    rig.delete()
    rig.request()
    rig.run()
    assert rig.cloud.servers() == []
    assert len(rig.said("instance.deleted")) == 1


def test_deleting_twice_answers_twice_and_harms_nothing(rig: Rig) -> None:
    rig.request()
    rig.run()
    rig.delete()
    rig.run()
    rig.delete("o-again", "wish-3")
    rig.run()
    assert [one["operation_id"] for one in rig.said("instance.deleted")] == ["o-delete", "o-again"]


def test_a_cloud_that_is_away_for_a_while_is_waited_for(rig: Rig) -> None:
    rig.request()
    rig.run()
    rig.strike("destroy", "500", 20)
    rig.delete()
    rig.run()
    assert nothing_is_left(rig)
    assert rig.instance.status == Status.DELETED


def test_a_delete_that_failed_says_why_and_can_be_asked_for_again(rig: Rig) -> None:
    rig.request()
    rig.run()
    rig.strike("destroy", "refused")
    rig.delete()
    rig.run()
    (failed,) = rig.said("instance.failed")
    assert failed["operation_id"] == "o-delete"
    assert "refused" in failed["problem"]["message"]
    assert failed["problem"]["what_to_do"]
    assert rig.instance.status == Status.FAILED
    rig.clock.advance(1)
    rig.delete("o-again", "wish-3")
    rig.run()
    assert nothing_is_left(rig)
    assert rig.said("instance.deleted")[0]["operation_id"] == "o-again"


def test_a_delete_that_failed_can_be_retried_where_it_stopped(rig: Rig) -> None:
    rig.request()
    rig.run()
    rig.strike("destroy", "refused")
    rig.delete()
    rig.run()
    with rig.database.write() as tx:
        assert tasks.reopen(tx, "o-delete") == 1
    rig.run()
    assert nothing_is_left(rig)
    assert rig.said("instance.deleted")[0]["operation_id"] == "o-delete"


def test_a_cloud_that_never_comes_back_fails_the_delete_within_the_hour(rig: Rig) -> None:
    rig.request()
    rig.run()
    rig.strike("destroy", "500", FOR_EVER)
    began = rig.clock.monotonic()
    rig.delete()
    rig.run()
    assert rig.tasks()["delete_instance"] == "failed"
    assert 3600 <= rig.clock.monotonic() - began < 3640


# Calls that a build or a delete makes, with faults that pass.
STRIKES = st.lists(
    st.tuples(
        st.sampled_from(["create", "update_status", "attach_volume", "destroy"]),
        st.sampled_from(["busy", "429", "500", "late"]),
        st.integers(1, 4),
    ),
    max_size=6,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(strikes=STRIKES, delete_after=st.integers(0, 25), server=st.sampled_from(["", "error"]))
def test_whatever_the_cloud_does_there_is_never_a_second_server_and_a_delete_leaves_none(
    rig: Rig, strikes: list[tuple[str, str, int]], delete_after: int, server: str
) -> None:
    rig = Rig(rig.clock, rig.database, rig.cloud, rig.provider)
    wipe(rig)
    for call, fault, times in strikes:
        rig.strike(call, fault, times)
    if server:
        rig.strike("create", server)
    rig.request(volume_gb=1)
    for _ in range(delete_after):
        rig.clock.advance(rig.engine.run_due() or 0)
        assert len(rig.cloud.servers()) <= 1
        assert len(rig.cloud.volumes()) <= 1
    rig.delete()
    rig.run()
    assert nothing_is_left(rig)
    assert rig.instance.status == Status.DELETED
    assert len(rig.said("instance.deleted")) == 1


def wipe(rig: Rig) -> None:
    """Hypothesis runs many examples on one fixture: each begins with nothing."""
    rig.provider.faults.pending.clear()
    rig.cloud.remove(INSTANCE)
    with rig.database.write() as tx:
        for table in rig.database.metadata.tables.values():
            tx.connection.execute(table.delete())
