"""Fencing: another node becomes the primary on the strength of `instance.fenced`, so it is never said on a guess."""

from __future__ import annotations

import pytest

from services.provisioner.domain.instance import Instance, Status
from services.provisioner.providers.base import ProviderError
from services.provisioner.providers.fake import Provider
from services.provisioner.providers.fake.faults import FOR_EVER
from services.provisioner.workflows.switch_power import FENCE, POWER_ON
from shared.errors import StaleEpoch
from shared.workflow import StepContext
from tests.unit.services.provisioner.conftest import CLUSTER, INSTANCE, Rig


@pytest.fixture
def alive(rig: Rig) -> Rig:
    """With an instance that is active, and its volume."""
    rig.request(volume_gb=1)
    rig.run()
    return rig


@pytest.fixture
def off(alive: Rig) -> Rig:
    """With an instance that was fenced."""
    alive.fence()
    alive.run()
    assert alive.instance.status == Status.OFF
    return alive


def power(rig: Rig) -> list[str]:
    return [one.power for one in rig.cloud.servers()]


def answers(rig: Rig) -> list[tuple[str, str]]:
    """What came of the wishes, and for whom."""
    topics = ("instance.fenced", "instance.powered", "instance.power_failed")
    return [(topic.partition(".")[2], one["operation_id"]) for topic in topics for one in rig.said(topic)]


def seconds_of(rig: Rig) -> float:
    began = rig.clock.monotonic()
    rig.run()
    return rig.clock.monotonic() - began


def test_a_fence_switches_the_server_off_and_says_so_in_the_providers_words(alive: Rig) -> None:
    alive.fence()
    assert seconds_of(alive) < 1
    assert power(alive) == ["off"]
    (fenced,) = alive.said("instance.fenced")
    assert (fenced["server_status"], fenced["operation_id"], fenced["cluster_id"]) == ("SHUTOFF", "o-fence", CLUSTER)
    assert (alive.instance.status, alive.instance.server_status) == (Status.OFF, "SHUTOFF")
    assert len(alive.cloud.volumes()) == 1


@pytest.mark.parametrize("call", ["power_off", "update_status"])
@pytest.mark.parametrize("fault", ["busy", "429", "500", "late"])
def test_a_passing_trouble_delays_a_fence_by_seconds(alive: Rig, call: str, fault: str) -> None:
    alive.strike(call, fault, 4)
    alive.fence()
    assert seconds_of(alive) < 8
    assert power(alive) == ["off"]
    assert answers(alive) == [("fenced", "o-fence")]


def test_a_server_that_stays_up_is_not_fenced_whatever_was_answered_to_the_call(alive: Rig) -> None:
    alive.strike("power_off", "ignored")
    alive.fence()
    assert 40 <= seconds_of(alive) <= 60
    assert answers(alive) == [("power_failed", "o-fence")]
    (failed,) = alive.said("instance.power_failed")
    assert failed["wanted"] == "off"
    assert "shop-1 is not fenced: the provider says ACTIVE" in failed["problem"]["message"]
    assert failed["problem"]["what_to_do"]
    assert alive.instance.status == Status.ACTIVE
    assert "not fenced" in alive.instance.message


@pytest.mark.parametrize("call", ["power_off", "update_status"])
def test_a_provider_that_is_away_fences_nothing_and_that_is_said_within_a_minute(alive: Rig, call: str) -> None:
    alive.strike(call, "500", FOR_EVER)
    alive.fence()
    assert seconds_of(alive) <= 62
    (failed,) = alive.said("instance.power_failed")
    assert "is not fenced" in failed["problem"]["message"]
    assert "HTTP 500" in failed["problem"]["message"]
    assert alive.said("instance.fenced") == []


def test_a_call_that_is_refused_fences_nothing_and_is_not_repeated(alive: Rig) -> None:
    alive.strike("power_off", "refused")
    alive.fence()
    assert seconds_of(alive) < 1
    assert alive.said("instance.power_failed")[0]["problem"]["step"] == "power_off"
    assert power(alive) == ["on"]


@pytest.mark.parametrize("status", ["UNKNOWN", "ERROR", "BUILD"])
def test_what_the_provider_does_not_know_is_no_proof(alive: Rig, monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    def clueless(instance: Instance) -> tuple[str, int]:
        instance.server_status, instance.message = status, "it does not answer"
        return status, 0

    monkeypatch.setattr(alive.provider, "update_status", clueless)
    alive.fence()
    alive.run()
    assert answers(alive) == [("power_failed", "o-fence")]
    assert f"{status}: it does not answer" in alive.said("instance.power_failed")[0]["problem"]["message"]


def test_a_server_that_is_gone_is_fenced_by_that(alive: Rig) -> None:
    alive.cloud.remove(INSTANCE)
    alive.fence()
    alive.run()
    assert alive.said("instance.fenced")[0]["server_status"] == "DELETED"


def test_a_provider_that_cannot_tell_which_host_is_meant_fences_nothing(
    alive: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Instance) -> None:
        raise ProviderError("there is no host for the instance", what_to_do="look")

    monkeypatch.setattr(alive.provider, "power_off", refuse)
    alive.fence()
    alive.run()
    assert answers(alive) == [("power_failed", "o-fence")]


def test_a_deleted_instance_is_fenced_at_once(alive: Rig) -> None:
    alive.delete()
    alive.run()
    assert alive.fence()
    assert alive.said("instance.fenced")[0]["server_status"] == "DELETED"
    assert "open" not in alive.tasks().values()


def test_a_delete_that_comes_between_is_a_fence_as_well(alive: Rig) -> None:
    alive.strike("power_off", "500", 5)
    alive.fence()
    alive.clock.advance(alive.engine.run_due() or 0)
    alive.delete()
    alive.run()
    assert alive.instance.status == Status.DELETED
    assert answers(alive) == [("fenced", "o-fence")]


def test_a_server_whose_build_has_not_ended_is_not_fenced(rig: Rig) -> None:
    rig.request()
    rig.run(until=lambda: bool(rig.cloud.servers()))
    rig.fence()
    rig.run()
    assert answers(rig) == [("power_failed", "o-fence")]
    assert "still building" in rig.said("instance.power_failed")[0]["problem"]["message"]
    assert rig.instance.status == Status.ACTIVE


def test_a_fence_asks_for_no_server_where_a_failed_build_has_left_none(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.strike("create", "quota")
    rig.request()
    rig.run()

    def makes_one(instance: Instance) -> tuple[str, int]:
        rig.provider.create(instance)
        return Provider.update_status(rig.provider, instance)

    monkeypatch.setattr(rig.provider, "update_status", makes_one)
    rig.fence()
    rig.run()
    assert rig.said("instance.fenced")[0]["server_status"] == "DELETED"
    assert rig.cloud.servers() == []


def test_an_instance_that_nobody_has_heard_of_is_asked_about_again_later(rig: Rig) -> None:
    assert not rig.fence()
    assert not rig.power_on()
    rig.request()
    rig.run()
    assert rig.fence()
    rig.run()
    assert power(rig) == ["off"]


def test_a_wish_that_comes_twice_is_answered_once_and_two_wishes_are_answered_both(alive: Rig) -> None:
    alive.fence()
    alive.fence()
    alive.fence("o-other", "wish-6")
    alive.run()
    assert sorted(answers(alive)) == [("fenced", "o-fence"), ("fenced", "o-other")]


def test_a_server_that_was_fenced_can_be_switched_on_and_fenced_again(off: Rig) -> None:
    off.power_on()
    off.run()
    assert power(off) == ["on"]
    (powered,) = off.said("instance.powered")
    assert (powered["addr"], powered["reach"], powered["operation_id"]) == ("sim-11111111.invalid", {}, "o-fence")
    assert off.instance.status == Status.ACTIVE
    off.fence("o-later", "wish-6")
    off.run()
    assert power(off) == ["off"]
    assert [one["operation_id"] for one in off.said("instance.fenced")] == ["o-fence", "o-later"]


@pytest.mark.parametrize("fault", ["busy", "429", "500", "late"])
def test_a_passing_trouble_delays_the_switching_on(off: Rig, fault: str) -> None:
    off.strike("power_on", fault, 4)
    off.strike("update_status", fault, 4)
    off.power_on()
    off.run()
    assert power(off) == ["on"]
    assert len(off.said("instance.powered")) == 1


def test_a_server_that_does_not_come_up_again_is_said_so_and_stays_off_in_the_books(off: Rig) -> None:
    off.strike("power_on", "ignored")
    off.power_on()
    assert 600 <= seconds_of(off) < 610
    (failed,) = off.said("instance.power_failed")
    assert failed["wanted"] == "on"
    assert "shop-1 could not be switched on: the server is SHUTOFF" in failed["problem"]["message"]
    assert off.instance.status == Status.OFF


def test_a_fence_ends_what_would_switch_the_server_on(off: Rig) -> None:
    off.strike("power_on", "500", FOR_EVER)
    off.power_on("o-on")
    off.clock.advance(off.engine.run_due() or 0)
    off.provider.faults.pending.clear()
    off.fence("o-again", "wish-6")
    off.run()
    assert power(off) == ["off"]
    assert answers(off) == [("fenced", "o-fence"), ("fenced", "o-again"), ("power_failed", "o-on")]


def test_a_server_is_switched_on_only_after_the_fence_that_is_under_way(alive: Rig) -> None:
    alive.strike("power_off", "500", 5)
    alive.fence()
    alive.clock.advance(alive.engine.run_due() or 0)
    alive.power_on()
    alive.run(until=lambda: bool(alive.said("instance.powered")))
    assert len(alive.said("instance.fenced")) == 1
    alive.run()
    assert power(alive) == ["on"]


def test_what_is_deleted_is_not_switched_on(off: Rig) -> None:
    off.delete()
    off.power_on()
    off.run()
    assert off.cloud.servers() == []
    assert "deleted" in off.said("instance.power_failed")[0]["problem"]["message"]
    off.power_on("o-late", "wish-6")
    assert answers(off) == [("fenced", "o-fence"), ("power_failed", "o-fence"), ("power_failed", "o-late")]


def test_an_instance_that_is_off_can_be_deleted(off: Rig) -> None:
    off.delete()
    off.run()
    assert (off.cloud.servers(), off.cloud.volumes()) == ([], [])
    assert off.instance.status == Status.DELETED


def test_a_retry_of_the_operation_switches_nothing_by_itself(alive: Rig) -> None:
    alive.strike("power_off", "refused")
    alive.fence("o-create")
    alive.run()
    alive.retry()
    alive.run()
    assert power(alive) == ["on"]
    assert alive.tasks()[FENCE] == "failed"


@pytest.mark.parametrize("kind", [FENCE, POWER_ON])
def test_who_stood_still_while_another_took_over_switches_nothing(off: Rig, kind: str) -> None:
    off.provider.power_on(off.instance)
    file = off.fence if kind == FENCE else off.power_on
    file("o-still", "wish-6")
    task = off.engine.take()
    assert task is not None
    before = power(off)
    with off.database.write() as tx:
        t = off.database.tasks
        tx.connection.execute(t.update().where(t.c.id == task.id).values(epoch=task.epoch + 1))
    stood_still = StepContext(task, lambda *_: None, lambda: None)
    with pytest.raises(StaleEpoch):
        off.engine.workflows[kind].steps[0].run(stood_still)
    assert power(off) == before
