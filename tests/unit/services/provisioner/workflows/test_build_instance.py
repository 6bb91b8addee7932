"""Building an instance over the cloud in memory, through every fault that a cloud has."""

from __future__ import annotations

import pytest

from services.provisioner.domain.instance import Instance, Status
from services.provisioner.providers.fake import Provider
from services.provisioner.providers.fake.faults import FOR_EVER
from shared.db import tasks
from tests.unit.services.provisioner.conftest import CLUSTER, INSTANCE, Rig


def test_building_an_instance_waits_for_the_server_then_announces_it(rig: Rig) -> None:
    rig.request()
    rig.run()
    assert 10 <= rig.clock.monotonic() < 13
    (active,) = rig.said("instance.active")
    assert active["addr"] == "sim-11111111.invalid"
    assert active["server"] == rig.cloud.servers()[0].id
    assert active["user"] == "root"
    assert active["host_key"] == "ssh-ed25519 AAAA"
    assert active["volume"] is None
    assert rig.instance.status == Status.ACTIVE
    assert rig.instance.public_key == "ssh-ed25519 CLUSTER"


def test_how_far_the_server_is_is_told_while_it_is_built(rig: Rig) -> None:
    rig.request()
    rig.run()
    waits = [one for one in rig.said("operation.progressed") if one["status"] == "waiting"]
    assert waits
    assert all(one["step"] == "wait_for_server" and 0 <= one["percent"] < 100 for one in waits)
    assert "BUILD" in waits[0]["message"]


def test_no_announcement_carries_the_private_half_of_a_host_key(rig: Rig) -> None:
    rig.request()
    rig.run()
    assert rig.instance.host_key_private.reveal() == "key of shop-1"
    assert "key of shop-1" not in str(rig.said("instance.active") + rig.said("operation.progressed"))


def test_a_volume_is_made_and_attached_before_the_instance_is_announced(rig: Rig) -> None:
    rig.request(volume_gb=3)
    rig.run()
    (disk,) = rig.cloud.volumes()
    assert disk.size_gb == 3
    assert disk.server_id == rig.cloud.servers()[0].id
    assert rig.said("instance.active")[0]["volume"] == {
        "id": disk.id, "size_gb": 3, "mount_point": "/var/lib/dtrove-data", "device": "", "mounted": True,
    }  # fmt: skip


def test_a_wish_that_comes_twice_makes_one_server(rig: Rig) -> None:
    rig.request()
    rig.request()
    rig.request(event_id="the same wish in another envelope")
    rig.run()
    assert len(rig.cloud.servers()) == 1
    assert len(rig.said("instance.active")) == 1


@pytest.mark.parametrize("fault", ["busy", "429", "500"])
@pytest.mark.parametrize("call", ["create", "update_status", "attach_volume"])
def test_a_passing_trouble_of_the_cloud_is_waited_out(rig: Rig, call: str, fault: str) -> None:
    rig.strike(call, fault, 3)
    rig.request(volume_gb=1)
    rig.run()
    assert rig.instance.status == Status.ACTIVE
    assert len(rig.cloud.servers()) == 1
    assert len(rig.cloud.volumes()) == 1


def test_an_answer_that_never_comes_gives_one_server_all_the_same(rig: Rig) -> None:
    rig.strike("create", "late", 4)
    rig.strike("attach_volume", "late", 4)
    rig.request(volume_gb=1)
    rig.run()
    assert rig.instance.status == Status.ACTIVE
    assert len(rig.cloud.servers()) == 1
    assert len(rig.cloud.volumes()) == 1


def test_a_key_service_that_is_away_is_waited_for(rig: Rig) -> None:
    rig.key_service_away = 3
    rig.request()
    rig.run()
    assert rig.instance.status == Status.ACTIVE


@pytest.mark.parametrize(("fault", "remedy"), [("quota", "quota"), ("image", "image")])
def test_what_somebody_must_mend_is_said_with_a_remedy(rig: Rig, fault: str, remedy: str) -> None:
    rig.strike("create", fault)
    rig.request()
    rig.run()
    (failed,) = rig.said("instance.failed")
    assert failed["problem"]["step"] == "create_server"
    assert failed["problem"]["host"] == "shop-1"
    assert remedy in failed["problem"]["message"]
    assert remedy in failed["problem"]["what_to_do"]
    assert rig.instance.status == Status.FAILED
    assert rig.cloud.servers() == []


def test_a_server_that_ends_in_error_is_removed_and_its_console_is_shown(rig: Rig) -> None:
    rig.strike("create", "error")
    rig.request(volume_gb=1)
    rig.run()
    (failed,) = rig.said("instance.failed")
    assert "ERROR" in failed["problem"]["message"]
    assert "no bootable device" in failed["problem"]["stderr"]
    assert rig.cloud.servers() == []
    assert rig.instance.server == ""


def test_a_server_that_never_comes_up_is_given_up_at_its_deadline_and_removed(rig: Rig) -> None:
    rig.strike("create", "stuck")
    rig.request()
    rig.run()
    assert 600 <= rig.clock.monotonic() < 615
    problem = rig.said("instance.failed")[0]["problem"]
    assert "gave up after 600 s" in problem["message"]
    assert "simulated server starts" in problem["stderr"]
    assert rig.cloud.servers() == []


def test_a_console_that_cannot_be_read_is_no_reason_to_hide_the_real_one(rig: Rig) -> None:
    rig.strike("create", "error")
    rig.strike("console_output", "500")
    rig.request()
    rig.run()
    problem = rig.said("instance.failed")[0]["problem"]
    assert "no host has room for this flavor" in problem["message"]
    assert "HTTP 500" in problem["stderr"]


def test_a_server_that_is_up_without_an_address_is_not_up(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def unplugged(instance: Instance) -> tuple[str, int]:
        found = Provider.update_status(rig.provider, instance)
        instance.addr = ""
        return found

    monkeypatch.setattr(rig.provider, "update_status", unplugged)
    rig.request()
    rig.run()
    assert "and has no address; gave up after 600 s" in rig.said("instance.failed")[0]["problem"]["message"]
    assert rig.cloud.servers() == []


def test_a_server_that_vanishes_while_it_is_built_fails_the_build(rig: Rig) -> None:
    rig.request()
    rig.run(until=lambda: bool(rig.cloud.servers()))
    rig.cloud.remove(INSTANCE)
    rig.run()
    assert "DELETED" in rig.said("instance.failed")[0]["problem"]["message"]


def test_a_retry_after_the_quota_was_raised_makes_the_server(rig: Rig) -> None:
    rig.strike("create", "quota")
    rig.request(volume_gb=1)
    rig.run()
    with rig.database.write() as tx:
        assert tasks.reopen(tx, "o-create") == 1
    rig.run()
    assert rig.instance.status == Status.ACTIVE
    assert len(rig.cloud.servers()) == 1
    assert rig.instance.volume is not None
    assert rig.instance.volume.id == rig.cloud.volumes()[0].id


def test_a_retry_after_a_volume_trouble_makes_everything_anew(rig: Rig) -> None:
    rig.strike("attach_volume", "refused")
    rig.request(volume_gb=1)
    rig.run()
    assert rig.cloud.servers() == []
    assert rig.cloud.volumes() == []
    with rig.database.write() as tx:
        tasks.reopen(tx, "o-create")
    rig.run()
    assert rig.instance.status == Status.ACTIVE


@pytest.mark.parametrize("moment", ["before", "while it is built"])
def test_a_cancelled_build_leaves_nothing_in_the_cloud(rig: Rig, moment: str) -> None:
    rig.request(volume_gb=1)
    if moment != "before":
        rig.run(until=lambda: bool(rig.cloud.servers()))
    with rig.database.write() as tx:
        assert tasks.cancel(tx, cluster_id=CLUSTER) == 1
    rig.run()
    assert rig.tasks()["build_instance"] == "cancelled"
    assert rig.cloud.servers() == []
    assert rig.said("instance.active") == []


def test_what_cannot_be_undone_is_named_as_left_behind(rig: Rig) -> None:
    rig.strike("create", "error")
    rig.strike("destroy", "refused", FOR_EVER)
    rig.request()
    rig.run()
    message = rig.said("instance.failed")[0]["problem"]["message"]
    assert "left behind" in message
    assert "refused" in message
