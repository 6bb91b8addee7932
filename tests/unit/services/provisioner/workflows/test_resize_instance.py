"""Volumes that grow at their provider, and servers that become others: whoever asks is answered, and asking again changes nothing."""

from __future__ import annotations

import pytest

from services.provisioner import actions
from services.provisioner.domain.instance import Volume
from shared.contracts.api import OperationCancelRequested
from shared.contracts.values import Flavor
from tests.unit.services.provisioner.conftest import CLUSTER, Rig


@pytest.fixture
def alive(rig: Rig) -> Rig:
    """With an instance that is active, and its volume of 1 GB."""
    rig.request(volume_gb=1)
    rig.run()
    return rig


def sizes(rig: Rig) -> list[int]:
    return [disk.size_gb for disk in rig.cloud.volumes()]


def volume(rig: Rig) -> Volume:
    found = rig.instance.volume
    assert found is not None
    return found


def test_a_volume_grows_also_where_the_clouds_answer_is_lost_and_is_that_large_for_whoever_asks_again(
    alive: Rig,
) -> None:
    alive.strike("extend_volume", "late")
    for event_id in ("one", "two"):
        assert alive.resize(3, event_id)
        alive.run()
    assert (sizes(alive), volume(alive).size_gb) == ([3], 3)
    assert [(one["operation_id"], one["volume_gb"]) for one in alive.said("instance.resized")] == [("o-resize", 3)] * 2
    alive.resize(2, "less")
    alive.run()
    assert (sizes(alive), volume(alive).size_gb) == ([3], 3)


def test_what_the_cloud_refuses_is_answered_with_its_words_and_a_later_wish_is_tried_anew(alive: Rig) -> None:
    alive.strike("extend_volume", "quota")
    alive.resize(3, "one")
    alive.run()
    (failed,) = alive.said("instance.resize_failed")
    assert "quota" in failed["problem"]["message"]
    assert failed["problem"]["what_to_do"]
    assert (sizes(alive), volume(alive).size_gb) == ([1], 1)
    alive.resize(3, "two")
    alive.run()
    assert sizes(alive) == [3]


def test_a_wish_that_is_cancelled_before_its_turn_is_answered_and_nothing_grows(alive: Rig) -> None:
    alive.resize(3)
    actions.cancel_operation(alive.database, OperationCancelRequested(operation_id="o-resize", cluster_id=CLUSTER))
    alive.run()
    (failed,) = alive.said("instance.resize_failed")
    assert failed["problem"]["message"] == "it was cancelled"
    assert sizes(alive) == [1]


def test_nothing_grows_for_an_instance_that_is_unknown_or_on_its_way_out(rig: Rig) -> None:
    assert not rig.resize(3)
    rig.request(volume_gb=1)
    rig.run()
    rig.delete()
    rig.run()
    assert rig.resize(3)
    rig.run()
    (failed,) = rig.said("instance.resize_failed")
    assert "is deleted" in failed["problem"]["message"]


def test_a_server_becomes_one_of_another_flavor_and_runs_before_anybody_is_told(alive: Rig) -> None:
    large = Flavor(id="large", name="large", vcpus=2, ram_mb=4096, disk_gb=40)
    alive.strike("resize", "late")
    for event_id in ("one", "two"):
        alive.resize(0, event_id, large)
        alive.run()
    assert [server.flavor for server in alive.cloud.servers()] == ["large"]
    assert alive.instance.flavor == large
    assert [one["flavor"]["name"] for one in alive.said("instance.resized")] == ["large"] * 2
    assert alive.said("instance.resized")[0]["addr"] == alive.instance.addr


def test_a_server_that_cannot_become_another_stays_what_it_is(alive: Rig) -> None:
    alive.strike("resize", "refused")
    alive.resize(0, "one", Flavor(id="large", name="large", vcpus=2, ram_mb=4096, disk_gb=40))
    alive.run()
    (failed,) = alive.said("instance.resize_failed")
    assert (failed["flavor"]["name"], "refused" in failed["problem"]["message"]) == ("large", True)
    assert alive.instance.flavor.name == "small"
