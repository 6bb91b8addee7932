"""What becomes of things that the provider holds and should not, and of servers that it has lost."""

from __future__ import annotations

from typing import Any

import pytest

from services.provisioner import actions, reconciler
from services.provisioner.domain.findings import Found, Known, Why, compare
from services.provisioner.domain.instance import Status
from services.provisioner.providers.base import ProviderBusy
from services.provisioner.store import instances
from shared.errors import Conflict, Invalid
from tests.unit.services.provisioner.conftest import CLUSTER, INSTANCE, Rig

STRANGER = "77777777-2222-4333-8444-555555555555"


def look(rig: Rig) -> list[Found]:
    """One look, as the service's ticker has it."""
    began = rig.database.clock.now()
    seen = rig.provider.list_ours()
    actions.sweep(rig.database, seen)
    return reconciler.reconcile(rig.database, seen, began, lambda one: rig.provider.update_status(one)[0])


def looks(rig: Rig, times: int = 3) -> None:
    """So many looks, twenty seconds apart, with all work done in between."""
    for _ in range(times):
        look(rig)
        rig.run()
        rig.clock.advance(20)


def listed(rig: Rig) -> list[tuple[str, str]]:
    return [(one["why"], one["id"]) for one in reconciler.orphans(rig.database)]


def test_work_that_has_ended_and_what_was_found_call_for_another_look(rig: Rig) -> None:
    assert not reconciler.in_doubt(rig.database, None)
    before = rig.clock.now()
    rig.clock.advance(1)
    rig.request()
    rig.run()
    assert reconciler.in_doubt(rig.database, before)
    rig.clock.advance(20)
    assert not reconciler.in_doubt(rig.database, rig.clock.now())
    rig.cloud.add_server(STRANGER, STRANGER, "a stranger's", "small")
    look(rig)
    assert not reconciler.in_doubt(rig.database, rig.clock.now())
    rig.cloud.add_server(INSTANCE, CLUSTER, "shop-1", "small")
    look(rig)
    assert reconciler.in_doubt(rig.database, rig.clock.now())


@pytest.fixture
def alive(rig: Rig) -> Rig:
    """With an instance that is active, and its volume."""
    rig.request(volume_gb=1)
    rig.run()
    assert rig.instance.status == Status.ACTIVE
    return rig


def known(
    status: Status = Status.ACTIVE, server: str = "s-1", volume: str = "", just_failed: bool = False
) -> dict[str, Known]:
    return {INSTANCE: Known(INSTANCE, CLUSTER, "o", "shop-1", status, server, volume, just_failed)}


def server(thing: str, instance: str = INSTANCE) -> Found:
    return Found("server", thing, instance, CLUSTER)


def volume(thing: str, instance: str = INSTANCE) -> Found:
    return Found("volume", thing, instance, CLUSTER)


@pytest.mark.parametrize(
    ("seen", "database", "busy", "wanted"),
    [
        ([server("s-1")], known(), (), []),
        ([server("s-1"), volume("v-1")], known(volume="v-1"), (), []),
        ([server("s-1"), server("s-2")], known(), (), [("s-2", Why.DOUBLED, True)]),
        ([server("s-1"), server("s-2")], known(), (INSTANCE,), []),
        ([server("s-2")], known(), (), [("s-2", Why.DOUBLED, False)]),
        ([server("s-1"), volume("v-2")], known(volume="v-1"), (), [("v-2", Why.DOUBLED, False)]),
        ([server("s-1"), volume("v-2")], known(), (), [("v-2", Why.DOUBLED, False)]),
        ([server("s-9", STRANGER)], known(), (), [("s-9", Why.UNKNOWN, False)]),
        ([server("s-9", "")], known(), (), [("s-9", Why.UNKNOWN, False)]),
        ([server("s-1")], known(Status.DELETED), (), [("s-1", Why.DELETED, False)]),
        ([server("s-2")], known(Status.BUILDING, server=""), (), []),
        ([server("s-1")], known(Status.DELETING), (), []),
        ([server("s-2"), volume("v-2")], known(Status.FAILED, server="", just_failed=True), (),
         [("s-2", Why.LEFT_OVER, True), ("v-2", Why.LEFT_OVER, True)]),
        ([server("s-2")], known(Status.FAILED, server=""), (), [("s-2", Why.LEFT_OVER, False)]),
        ([server("s-1"), server("s-2")], known(Status.FAILED), (), [("s-2", Why.DOUBLED, False)]),
        ([Found("network", "n-1", "", "")], known(), (), []),
    ],
)  # fmt: skip
def test_each_difference_is_called_by_its_name_and_only_what_is_surely_nobodys_is_certain(
    seen: list[Found], database: dict[str, Known], busy: tuple[str, ...], wanted: list[Any]
) -> None:
    assert [(one.found.id, one.why, one.certain) for one in compare(seen, database, busy)] == wanted


def test_when_all_is_as_it_should_be_nothing_is_written(alive: Rig) -> None:
    assert look(alive) == []
    assert listed(alive) == []


def test_a_second_server_of_a_live_instance_goes_by_itself_after_two_looks_and_the_own_one_stays(alive: Rig) -> None:
    extra = alive.cloud.add_server(INSTANCE, CLUSTER, "shop-1", "small")
    own = alive.instance.server
    assert look(alive) == []
    assert listed(alive) == [("doubled", extra.id)]
    alive.run()
    assert len(alive.cloud.servers()) == 2
    alive.clock.advance(20)
    assert [one.id for one in look(alive)] == [extra.id]
    alive.run()
    assert [one.id for one in alive.cloud.servers()] == [own]
    looks(alive, 1)
    assert listed(alive) == []
    assert len(alive.cloud.volumes()) == 1


def test_the_older_of_two_servers_goes_where_the_younger_one_is_the_instances_own(alive: Rig) -> None:
    older = alive.instance.server
    younger = alive.cloud.add_server(INSTANCE, CLUSTER, "shop-1", "small")
    with alive.database.write() as tx:
        instance = instances.get(tx.connection, INSTANCE)
        instance.server = younger.id
        instances.save(tx, instance)
    looks(alive)
    assert [one.id for one in alive.cloud.servers()] == [younger.id]
    assert older != younger.id


def test_a_second_server_stays_where_the_own_one_is_gone(alive: Rig) -> None:
    alive.cloud.remove_one("server", alive.instance.server, INSTANCE)
    extra = alive.cloud.add_server(INSTANCE, CLUSTER, "shop-1", "small")
    looks(alive)
    assert [one.id for one in alive.cloud.servers()] == [extra.id]
    assert ("doubled", extra.id) in listed(alive)


def test_what_has_become_the_own_one_before_its_removal_ran_stays(alive: Rig) -> None:
    extra = alive.cloud.add_server(INSTANCE, CLUSTER, "shop-1", "small")
    look(alive)
    alive.clock.advance(20)
    assert look(alive)
    with alive.database.write() as tx:
        instance = instances.get(tx.connection, INSTANCE)
        instance.server = extra.id
        instances.save(tx, instance)
    alive.run()
    assert extra.id in [one.id for one in alive.cloud.servers()]


def test_what_an_undone_build_has_left_over_goes_by_itself(rig: Rig) -> None:
    rig.strike("create", "quota")
    rig.request()
    rig.run()
    assert rig.instance.status == Status.FAILED
    late = rig.cloud.add_server(INSTANCE, CLUSTER, "shop-1", "small")
    look(rig)
    assert listed(rig) == [("left_over", late.id)]
    looks(rig)
    assert rig.cloud.servers() == []
    assert listed(rig) == []


def test_what_an_old_failure_may_have_left_over_waits_for_an_operator(rig: Rig) -> None:
    rig.strike("create", "quota")
    rig.request()
    rig.run()
    rig.clock.advance(2 * 3600)
    late = rig.cloud.add_server(INSTANCE, CLUSTER, "shop-1", "small")
    looks(rig)
    assert listed(rig) == [("left_over", late.id)]
    assert [one.id for one in rig.cloud.servers()] == [late.id]
    reconciler.clean(rig.database, [late.id])
    rig.run()
    assert rig.cloud.servers() == []


def test_a_retry_that_takes_a_late_server_for_its_own_keeps_it(rig: Rig) -> None:
    rig.strike("create", "quota")
    rig.request()
    rig.run()
    late = rig.cloud.add_server(INSTANCE, CLUSTER, "shop-1", "small")
    look(rig)
    actions.create_server(rig.database, INSTANCE, None)
    rig.run()
    looks(rig)
    assert [one.id for one in rig.cloud.servers()] == [late.id]
    assert rig.instance.server == late.id
    assert listed(rig) == []


def test_what_was_never_heard_of_is_listed_and_stays_however_often_it_is_seen(alive: Rig) -> None:
    theirs = alive.cloud.add_server(STRANGER, STRANGER, "a stranger's", "small")
    looks(alive, 5)
    assert listed(alive) == [("unknown", theirs.id)]
    (one,) = reconciler.orphans(alive.database)
    assert STRANGER in one["message"]
    assert (one["removal"], one["goes_by_itself"]) == ("none", False)


def test_an_operators_word_removes_what_was_never_heard_of_and_nothing_else(alive: Rig) -> None:
    theirs = alive.cloud.add_server(STRANGER, STRANGER, "a stranger's", "small")
    other = alive.cloud.add_server(STRANGER, STRANGER, "a stranger's", "small")
    look(alive)
    (filed,) = reconciler.clean(alive.database, [theirs.id])
    assert filed["removal"] == "under_way"
    reconciler.clean(alive.database, [theirs.id])
    alive.run()
    assert [one.id for one in alive.cloud.servers(STRANGER)] == [other.id]
    assert listed(alive) == [("unknown", other.id)]
    assert alive.instance.server in [one.id for one in alive.cloud.servers()]


def test_an_operators_word_removes_a_doubled_volume_that_stays_by_itself(alive: Rig) -> None:
    extra = alive.cloud.add_volume(INSTANCE, CLUSTER, 1)
    looks(alive)
    assert listed(alive) == [("doubled", extra.id)]
    reconciler.clean(alive.database, [extra.id])
    alive.run()
    assert [one.id for one in alive.cloud.volumes()] != [extra.id]
    assert len(alive.cloud.volumes()) == 1


def test_a_word_about_what_is_nobodys_to_remove_is_refused_and_nothing_is_filed(alive: Rig) -> None:
    theirs = alive.cloud.add_server(STRANGER, STRANGER, "a stranger's", "small")
    look(alive)
    with pytest.raises(Invalid) as refused:
        reconciler.clean(alive.database, [theirs.id, "server-of-nobody"])
    assert [(one.field, "server-of-nobody" in one.reason) for one in refused.value.errors] == [("ids", True)]
    with pytest.raises(Invalid):
        reconciler.clean(alive.database, [alive.instance.server])
    alive.run()
    assert len(alive.cloud.servers()) == 2


def test_a_removal_that_fails_says_why_and_can_be_asked_for_again(alive: Rig) -> None:
    theirs = alive.cloud.add_server(STRANGER, STRANGER, "a stranger's", "small")
    look(alive)
    alive.strike("remove", "refused")
    reconciler.clean(alive.database, [theirs.id])
    alive.run()
    (one,) = reconciler.orphans(alive.database)
    assert one["removal"] == "failed"
    assert "the cloud refused the call" in one["message"]
    alive.clock.advance(1)
    reconciler.clean(alive.database, [theirs.id])
    alive.run()
    assert alive.cloud.servers(STRANGER) == []


def test_a_removal_whose_answer_is_lost_ends_well(alive: Rig) -> None:
    theirs = alive.cloud.add_server(STRANGER, STRANGER, "a stranger's", "small")
    look(alive)
    alive.strike("remove", "late")
    reconciler.clean(alive.database, [theirs.id])
    alive.run()
    assert alive.cloud.servers(STRANGER) == []
    assert listed(alive) == []


def test_a_server_that_is_gone_is_told_and_cannot_be_cleaned(alive: Rig) -> None:
    lost = alive.instance.server
    alive.cloud.remove_one("server", lost, INSTANCE)
    look(alive)
    assert ("gone", lost) in listed(alive)
    with pytest.raises(Conflict, match="gone already"):
        reconciler.clean(alive.database, [lost])


def test_a_server_that_is_off_is_neither_an_orphan_nor_lost(alive: Rig) -> None:
    alive.fence()
    looks(alive)
    assert alive.instance.status == Status.OFF
    assert listed(alive) == []
    assert (len(alive.cloud.servers()), len(alive.cloud.volumes())) == (1, 1)


def test_a_server_that_was_off_and_is_gone_is_told(alive: Rig) -> None:
    alive.fence()
    alive.run()
    lost = alive.instance.server
    alive.cloud.remove_one("server", lost, INSTANCE)
    look(alive)
    assert ("gone", lost) in listed(alive)


def test_a_second_server_beside_one_that_is_off_goes_by_itself(alive: Rig) -> None:
    alive.fence()
    alive.run()
    own = alive.instance.server
    alive.cloud.add_server(INSTANCE, CLUSTER, "shop-1", "small")
    looks(alive)
    assert [one.id for one in alive.cloud.servers()] == [own]


def test_a_server_that_only_the_list_has_missed_is_not_gone(alive: Rig) -> None:
    status: dict[str, Any] = {"of": "ACTIVE"}

    def told(_: object) -> str:
        if status["of"] == "busy":
            raise ProviderBusy("HTTP 500")
        return str(status["of"])

    for answer in ("ACTIVE", "SHUTOFF", "UNKNOWN", "busy"):
        status["of"] = answer
        reconciler.reconcile(alive.database, [], alive.clock.now(), told)
        assert listed(alive) == []


def test_a_server_that_has_come_back_is_forgotten(alive: Rig) -> None:
    reconciler.reconcile(alive.database, [], alive.clock.now(), lambda _: "DELETED")
    assert len(listed(alive)) == 1
    alive.clock.advance(20)
    look(alive)
    assert listed(alive) == []


def test_an_instance_that_is_being_deleted_is_nobodys_finding(alive: Rig) -> None:
    alive.cloud.remove_one("server", alive.instance.server, INSTANCE)
    alive.delete()
    look(alive)
    assert listed(alive) == []
    looks(alive)
    assert listed(alive) == []


def test_an_older_list_does_not_take_back_what_a_newer_one_has_seen(alive: Rig) -> None:
    before = alive.clock.now()
    old_list = alive.provider.list_ours()
    alive.clock.advance(1)
    theirs = alive.cloud.add_server(STRANGER, STRANGER, "a stranger's", "small")
    look(alive)
    reconciler.reconcile(alive.database, old_list, before, lambda _: "ACTIVE")
    assert listed(alive) == [("unknown", theirs.id)]
