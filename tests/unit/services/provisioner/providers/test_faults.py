"""The notation of faults, and what is refused of it."""

from __future__ import annotations

import pytest

from services.provisioner.domain.instance import Instance
from services.provisioner.providers.base import ProviderBusy
from services.provisioner.providers.fake import Cloud, Provider
from services.provisioner.providers.fake.faults import FAULTS, FOR_EVER, Fault, Faults, error_for, parse_faults
from shared.clock import ManualClock


def test_faults_are_read_with_their_number_of_times() -> None:
    assert parse_faults("create:busy*2, create:late,update_status:500*") == [
        Fault("create", "busy", 2), Fault("create", "late", 1), Fault("update_status", "500", FOR_EVER),
    ]  # fmt: skip


def test_no_faults_are_an_empty_text() -> None:
    assert parse_faults("") == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("make:busy", "no call 'make'"),
        ("create:sulking", "no fault 'sulking'"),
        ("create", "no fault ''"),
        ("create:busy*many", "'many' is no number"),
        ("create:busy*0", "'0' is no number"),
        ("destroy:error", "strikes `create` only"),
        ("destroy:ignored", "strikes power_off, power_on only"),
    ],
)
def test_what_means_nothing_is_refused_with_what_there_is(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse_faults(text)


def test_faults_strike_in_order_and_are_used_up() -> None:
    faults = Faults(parse_faults("create:busy*2,destroy:500*,create:quota"))
    assert [faults.take("create") for _ in range(4)] == ["busy", "busy", "quota", ""]
    assert [faults.take("destroy") for _ in range(3)] == ["500"] * 3
    assert faults.take("flavors") == ""


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_every_fault_is_raised_or_becomes_of_a_server_or_of_its_switch(name: str) -> None:
    assert (error_for(name, "create") is None) == (name in ("error", "stuck", "ignored"))


def test_a_hidden_server_comes_to_light_later_and_its_instance_keeps_the_one_it_knows() -> None:
    clock = ManualClock()
    provider = Provider({"DTROVE_FAKE_FAULTS": "create:hidden"}, Cloud(0.0, clock=clock))
    ids = {"id": "11111111-2222-4333-8444-555555555555", "cluster_id": "c", "project_id": "p", "operation_id": "o"}
    instance = Instance(name="shop-1", image="debian-12", flavor=provider.flavors()[0], **ids)
    with pytest.raises(ProviderBusy):
        provider.create(instance)
    assert provider.find(instance.id) is None
    provider.create(instance)
    own = instance.server
    clock.advance(60)
    assert provider.update_status(instance) == ("ACTIVE", 100)
    provider.create(instance)
    assert instance.server == own
    assert len([one for one in provider.list_ours() if one.instance_id == instance.id]) == 2
