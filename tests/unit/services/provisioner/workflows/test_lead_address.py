"""A cluster's own address: taken once, moved as often as it is wanted elsewhere, given back with the cluster."""

from __future__ import annotations

from services.provisioner import actions, addressing, reconciler
from services.provisioner.domain.findings import Found, Why
from services.provisioner.domain.instance import Instance, Status
from tests.unit.services.provisioner.conftest import CLUSTER, INSTANCE, Rig

OTHER = "22222222-2222-4333-8444-555555555555"
BOTH = (INSTANCE, OTHER)


def status_of(rig: Rig) -> reconciler.StatusOf:
    def ask(instance: Instance) -> str:
        return rig.provider.update_status(instance)[0]

    return ask


def look(rig: Rig) -> list[Found]:
    return reconciler.reconcile(rig.database, rig.provider.list_ours(), rig.clock.now(), status_of(rig))


def test_servers_are_announced_with_their_clusters_address_and_share_one(rig: Rig) -> None:
    rig.request(addressed=True, names=BOTH)
    rig.run()
    (place,) = rig.cloud.addresses()
    assert [one["cluster_addr"] for one in rig.said("instance.active")] == [place.id, place.id]
    assert (place.cluster_id, place.instance_id) == (CLUSTER, "")


def test_a_server_waits_for_its_clusters_address(rig: Rig) -> None:
    rig.strike("take_address", "busy", 8)
    rig.request(addressed=True)
    rig.run(until=lambda: rig.instance.server_status == "ACTIVE")
    assert rig.said("instance.active") == []
    rig.run()
    assert [one["cluster_addr"] for one in rig.said("instance.active")] == [rig.cloud.addresses()[0].id]


def test_a_cluster_has_none_where_nobody_gives_such(rig: Rig) -> None:
    rig.request()
    rig.run()
    assert [one["cluster_addr"] for one in rig.said("instance.active")] == [""]
    assert (rig.address, rig.cloud.addresses()) == (None, [])


def test_an_answer_that_is_lost_leaves_one_address(rig: Rig) -> None:
    rig.strike("take_address", "late")
    rig.request(addressed=True)
    rig.run()
    assert len(rig.cloud.addresses()) == 1


def test_a_cluster_that_gets_no_address_fails_with_the_reason_and_a_retry_begins_again(rig: Rig) -> None:
    rig.strike("take_address", "quota")
    rig.request(addressed=True)
    rig.run()
    (failed,) = rig.said("instance.failed")
    assert "address" in failed["problem"]["message"]
    assert "quota" in failed["problem"]["message"]
    assert (rig.cloud.servers(), rig.cloud.addresses()) == ([], [])
    rig.retry()
    rig.run()
    assert [one["cluster_addr"] for one in rig.said("instance.active")] == [rig.cloud.addresses()[0].id]


def test_it_leads_to_whom_was_named_last_and_everyone_is_answered(rig: Rig) -> None:
    rig.request(addressed=True, names=BOTH)
    rig.run()
    assert rig.lead()
    rig.run()
    assert rig.leads_to == [INSTANCE]
    rig.clock.advance(10)
    assert rig.lead(OTHER, "wish-8")
    assert rig.lead(INSTANCE, "wish-9", ago=5)
    rig.run()
    assert rig.leads_to == [OTHER]
    addr = rig.cloud.addresses()[0].id
    answers = [(one["instance_id"], one["addr"]) for one in rig.said("address.moved")]
    assert answers == [(INSTANCE, addr), (OTHER, addr), (OTHER, addr)]


def test_a_wish_that_is_told_twice_is_done_once(rig: Rig) -> None:
    rig.request(addressed=True)
    rig.run()
    assert all((rig.lead(), rig.lead()))
    rig.run()
    assert len(rig.said("address.moved")) == 1


def test_a_wish_for_a_cluster_without_an_address_comes_again_later(rig: Rig) -> None:
    rig.request()
    rig.run()
    assert not rig.lead()


def test_a_move_that_the_provider_refuses_is_said_with_its_words(rig: Rig) -> None:
    rig.request(addressed=True)
    rig.run()
    rig.strike("move_address", "refused")
    rig.lead()
    rig.run()
    (failed,) = rig.said("address.move_failed")
    assert failed["operation_id"] == "o-lead"
    assert "was not moved: move_address: the cloud refused the call" in failed["problem"]["message"]
    assert failed["problem"]["what_to_do"]


def test_a_server_that_is_off_is_waited_for(rig: Rig) -> None:
    rig.request(addressed=True)
    rig.run()
    rig.cloud.set_power(rig.cloud.servers()[0], "off")
    rig.lead()
    began = rig.clock.monotonic()
    rig.run(until=lambda: rig.clock.monotonic() > began + 10)
    assert rig.leads_to == [""]
    rig.cloud.set_power(rig.cloud.servers()[0], "on")
    rig.run()
    assert rig.leads_to == [INSTANCE]


def test_it_goes_with_its_cluster(rig: Rig) -> None:
    rig.request(addressed=True)
    rig.run()
    rig.lead()
    rig.run()
    rig.delete()
    rig.run()
    assert rig.cloud.addresses() == []
    assert rig.lead(event_id="wish-8")
    rig.run()
    assert rig.cloud.addresses() == []
    assert len(rig.said("address.moved")) == 1
    assert rig.instance.status == Status.DELETED


def test_a_cluster_that_is_half_made_leaves_none(rig: Rig) -> None:
    rig.request(addressed=True)
    rig.run(until=lambda: bool(rig.cloud.addresses()))
    rig.delete()
    rig.run()
    assert (rig.cloud.addresses(), rig.cloud.servers()) == ([], [])


def test_a_cluster_whose_end_came_before_its_beginning_gets_none(rig: Rig) -> None:
    rig.delete()
    rig.request(addressed=True)
    rig.run()
    assert (rig.address, rig.cloud.addresses()) == (None, [])


def test_one_that_a_reboot_has_lost_is_moved_there_again_and_one_whose_server_is_off_is_left(rig: Rig) -> None:
    rig.request(addressed=True)
    rig.run()
    rig.lead()
    rig.run()
    (server,) = rig.cloud.servers()
    assert addressing.put_right(rig.database, rig.provider.list_ours()) == []
    rig.cloud.set_power(server, "off")
    assert addressing.put_right(rig.database, rig.provider.list_ours()) == []
    rig.cloud.set_power(server, "on")
    seen = rig.provider.list_ours()
    assert addressing.put_right(rig.database, seen) == [rig.cloud.addresses()[0].id]
    assert addressing.put_right(rig.database, seen) == [], "it is under way"
    rig.run()
    assert rig.leads_to == [INSTANCE]
    assert rig.said("address.moved")[-1]["operation_id"] == ""


def test_one_that_is_left_over_goes_by_itself_and_one_never_heard_of_is_only_listed(rig: Rig) -> None:
    rig.request(addressed=True)
    rig.run()
    rig.delete()
    rig.run()
    rig.cloud.add_address(CLUSTER)
    rig.cloud.add_address("never-heard-of")
    assert actions.sweep(rig.database, rig.provider.list_ours()) == []
    assert look(rig) == []
    listed = {(one["cluster_id"], one["why"], one["goes_by_itself"]) for one in reconciler.orphans(rig.database)}
    assert listed == {(CLUSTER, Why.LEFT_OVER, True), ("never-heard-of", Why.UNKNOWN, False)}
    rig.clock.advance(20)
    assert [one.cluster_id for one in look(rig)] == [CLUSTER]
    rig.run()
    assert [one.cluster_id for one in rig.cloud.addresses()] == ["never-heard-of"]


def test_a_clusters_own_address_is_no_orphan(rig: Rig) -> None:
    rig.request(addressed=True)
    rig.run()
    rig.lead()
    rig.run()
    assert look(rig) == []
    assert reconciler.orphans(rig.database) == []
    second = rig.cloud.add_address(CLUSTER)
    look(rig)
    (found,) = reconciler.orphans(rig.database)
    assert (found["id"], found["goes_by_itself"]) == (second.id, True)
