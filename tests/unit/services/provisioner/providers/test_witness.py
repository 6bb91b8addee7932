"""A look at one server: in time or not at all, and without consequences."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from services.provisioner import powering
from services.provisioner.domain.instance import Instance
from services.provisioner.providers.fake import Provider
from services.provisioner.providers.witness import Witness
from shared.errors import NotFound
from tests.unit.services.provisioner.conftest import INSTANCE, Rig


@pytest.fixture
def witness(rig: Rig) -> Witness:
    """Of an instance that is active."""
    rig.request()
    rig.run()
    return Witness(rig.clouds)


@pytest.fixture
def held(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The cloud answers only once this is set."""
    let_go = threading.Event()

    def slow(instance: Instance) -> tuple[str, int]:
        let_go.wait(10)
        return Provider.update_status(rig.provider, instance)

    monkeypatch.setattr(rig.provider, "update_status", slow)
    yield let_go
    let_go.set()


def test_it_says_how_the_server_is_with_its_last_words(rig: Rig, witness: Witness) -> None:
    seen = powering.server_status(rig.database, witness, INSTANCE)
    assert seen == {"status": "ACTIVE", "message": "", "console": "simulated server starts\nshop-1 login:"}
    rig.provider.power_off(rig.instance)
    assert powering.server_status(rig.database, witness, INSTANCE)["status"] == "SHUTOFF"


def test_nothing_of_a_look_is_stored(rig: Rig, witness: Witness) -> None:
    rig.provider.power_off(rig.instance)
    before = rig.instance
    powering.server_status(rig.database, witness, INSTANCE)
    assert rig.instance == before


def test_an_instance_that_nobody_knows_is_said_so(rig: Rig, witness: Witness) -> None:
    with pytest.raises(NotFound):
        powering.server_status(rig.database, witness, "nobody")


def test_a_cloud_that_does_not_answer_is_not_waited_for(rig: Rig, witness: Witness, held: threading.Event) -> None:
    witness.seconds = 0.05
    seen = witness.ask(rig.instance)
    assert seen == {"status": "UNKNOWN", "message": "the provider did not answer within 0.05 s", "console": ""}


def test_who_asks_again_while_a_cloud_hangs_shares_the_look_and_hears_its_end(
    rig: Rig, witness: Witness, held: threading.Event
) -> None:
    before = threading.active_count()
    witness.seconds = 0.01
    for _ in range(5):
        witness.ask(rig.instance)
    assert threading.active_count() == before + 1
    witness.seconds = 5
    held.set()
    assert witness.ask(rig.instance)["status"] == "ACTIVE"


def test_an_error_of_the_cloud_is_told_and_the_next_look_is_a_fresh_one(rig: Rig, witness: Witness) -> None:
    rig.strike("update_status", "500")
    assert witness.ask(rig.instance) == {
        "status": "UNKNOWN", "message": "update_status: HTTP 500, the cloud stumbled", "console": "",
    }  # fmt: skip
    assert witness.ask(rig.instance)["status"] == "ACTIVE"


def test_a_console_that_cannot_be_read_takes_nothing_from_what_was_seen(rig: Rig, witness: Witness) -> None:
    rig.strike("console_output", "500")
    assert witness.ask(rig.instance) == {"status": "ACTIVE", "message": "", "console": ""}


def test_an_instance_without_a_server_is_not_asked_about(rig: Rig, witness: Witness) -> None:
    rig.strike("update_status", "500")
    assert witness.ask(replace(rig.instance, server=""))["status"] == "UNKNOWN"
    assert len(rig.provider.faults.pending) == 1


def test_a_deleted_instance_is_gone_whatever_the_cloud_says(rig: Rig, witness: Witness) -> None:
    rig.delete()
    rig.run()
    assert witness.ask(rig.instance)["status"] == "DELETED"
