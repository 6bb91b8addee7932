"""What an operator may ask of the provisioner, and what it puts right by itself."""

from __future__ import annotations

from uuid import uuid4

import pytest

from services.provisioner import actions
from services.provisioner.domain.instance import Status
from shared.errors import Conflict, Invalid, NotFound
from tests.unit.services.provisioner.conftest import CLUSTER, INSTANCE, Rig


def test_a_server_asked_for_while_it_is_being_built_is_the_one_being_built(rig: Rig) -> None:
    rig.request()
    assert actions.create_server(rig.database, INSTANCE, None) == f"build_instance:{INSTANCE}"
    rig.run()
    assert len(rig.cloud.servers()) == 1


def test_a_server_can_be_asked_for_again_after_it_failed(rig: Rig) -> None:
    rig.strike("create", "quota")
    rig.request()
    rig.run()
    rig.clock.advance(1)
    task = actions.create_server(rig.database, INSTANCE, None)
    assert len(task) <= 64
    rig.run()
    assert rig.instance.status == Status.ACTIVE


def test_an_instance_that_has_its_server_is_not_built_again(rig: Rig) -> None:
    rig.request()
    rig.run()
    with pytest.raises(Conflict, match="active"):
        actions.create_server(rig.database, INSTANCE, None)
    rig.run()
    assert rig.instance.status == Status.ACTIVE


def test_nothing_is_done_for_an_instance_that_nobody_knows(rig: Rig) -> None:
    for ask in (lambda: actions.create_server(rig.database, "nobody", None),
                lambda: actions.create_volume(rig.database, "nobody"),
                lambda: actions.attach_volume(rig.database, "nobody", "v")):  # fmt: skip
        with pytest.raises(NotFound):
            ask()


def test_a_volume_is_made_by_a_task_and_made_once(rig: Rig) -> None:
    rig.request(volume_gb=2)
    rig.run()
    rig.cloud.remove(INSTANCE)
    assert actions.create_volume(rig.database, INSTANCE) == actions.create_volume(rig.database, INSTANCE)
    assert rig.cloud.volumes() == []
    rig.run()
    (disk,) = rig.cloud.volumes()
    assert rig.instance.volume is not None
    assert rig.instance.volume.id == disk.id


def test_a_volume_is_attached_and_mounted_by_a_task(rig: Rig) -> None:
    rig.request(volume_gb=2)
    rig.run()
    rig.strike("attach_volume", "429", 2)
    actions.attach_volume(rig.database, INSTANCE, "")
    rig.run()
    assert rig.tasks()["attach_volume"] == "succeeded"
    assert len(rig.cloud.volumes()) == 1
    assert rig.cloud.volumes()[0].server_id


def test_a_volume_that_was_never_asked_for_is_refused_with_a_sentence(rig: Rig) -> None:
    rig.request()
    rig.run()
    with pytest.raises(Invalid, match="without a volume") as refused:
        actions.attach_volume(rig.database, INSTANCE, "v")
    assert refused.value.what_to_do


def test_a_deleted_instance_is_given_no_volume(rig: Rig) -> None:
    rig.request(volume_gb=1)
    rig.delete()
    rig.run()
    with pytest.raises(Conflict):
        actions.create_volume(rig.database, INSTANCE)


def test_a_server_that_comes_to_light_after_its_instance_was_deleted_is_removed(rig: Rig) -> None:
    rig.request()
    rig.run()
    rig.delete()
    rig.run()
    rig.clock.advance(1)
    rig.cloud.add_server(INSTANCE, CLUSTER, "shop-1", "small")
    assert actions.sweep(rig.database, rig.provider.list_ours()) == [INSTANCE]
    rig.run()
    assert rig.cloud.servers() == []


def test_what_is_in_use_or_belongs_to_somebody_else_is_never_swept(rig: Rig) -> None:
    rig.request(volume_gb=1)
    rig.run()
    rig.cloud.add_server(str(uuid4()), str(uuid4()), "a stranger's", "small")
    assert actions.sweep(rig.database, rig.provider.list_ours()) == []
    assert len(rig.cloud.servers()) == 2
