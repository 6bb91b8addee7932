"""The door to the providers, and what is remembered of the one in use."""

from __future__ import annotations

import pytest

from services.provisioner.providers import get_provider
from services.provisioner.providers.base import BaseProvider, ProviderBusy, ProviderError, fitting
from services.provisioner.providers.clouds import Clouds
from services.provisioner.providers.fake import Fault, Provider
from services.provisioner.providers.watch import ProviderWatch
from shared.clock import ManualClock
from shared.contracts.values import Flavor


def test_a_provider_is_known_by_its_short_name_or_by_its_path() -> None:
    assert isinstance(get_provider("fake", {}), Provider)
    assert isinstance(get_provider("services.provisioner.providers.fake.Provider", {}), Provider)


@pytest.mark.parametrize("name", ["nimbus", "no.such.module.Provider", "shared.clock.SystemClock", "", "fake.", "..."])
def test_what_is_no_provider_is_refused_with_what_to_do(name: str) -> None:
    with pytest.raises(ProviderError) as refused:
        get_provider(name, {})
    assert refused.value.what_to_do


def test_a_class_that_lacks_calls_of_the_port_is_refused() -> None:
    with pytest.raises(ProviderError, match="lacks") as refused:
        get_provider(f"{__name__}.HalfProvider", {})
    assert "update_status" in refused.value.message


class HalfProvider(BaseProvider):
    """Has nothing of the port."""


def test_flavors_are_those_that_a_datastore_runs_well_on_the_smallest_first() -> None:
    sizes = [Flavor(id=str(ram), name=str(ram), vcpus=1, ram_mb=ram, disk_gb=1) for ram in (1024, 64, 256, 512, 128)]
    assert [one.ram_mb for one in fitting(sizes, None)] == [64, 128, 256, 512, 1024]
    assert [one.ram_mb for one in fitting(sizes, "redis")] == [128, 256, 512, 1024]
    assert [one.ram_mb for one in fitting(sizes, "mysql")] == [512, 1024]
    assert [one.ram_mb for one in fitting(sizes, "backyard")] == [256, 512, 1024]


def test_whoever_asks_for_the_providers_state_is_told_of_the_last_look() -> None:
    provider, clock = Provider({}), ManualClock()
    watch = ProviderWatch("fake", Clouds(provider), clock)
    assert watch.status()["answers"] is False
    assert watch.look_at_flavors()[0].name == "micro"
    watch.look_at_ours()
    assert watch.status() | {"checked_at": ""} == {
        "provider": "fake", "answers": True, "message": "", "checked_at": "", "flavors": 5, "servers": 0, "volumes": 0,
        "supports_volumes": True, "supports_snapshots": True,
    }  # fmt: skip


def test_a_provider_that_does_not_answer_is_told_with_its_reason_and_its_flavors_are_remembered() -> None:
    provider, clock = Provider({}), ManualClock()
    watch = ProviderWatch("fake", Clouds(provider), clock)
    watch.look_at_flavors()
    provider.faults.pending.append(Fault("list_ours", "500"))
    clock.advance(60)
    with pytest.raises(ProviderBusy):
        watch.look_at_ours()
    state = watch.status()
    assert state["answers"] is False
    assert "HTTP 500" in state["message"]
    assert state["checked_at"] == clock.now().isoformat()
    assert [one.name for one in watch.flavors("mysql")] == ["tiny", "small", "medium", "large"]


def test_a_provider_is_asked_for_all_that_is_ours_no_more_often_than_it_bears() -> None:
    provider, clock = Provider({}), ManualClock()
    watch = ProviderWatch("fake", Clouds(provider), clock)
    assert watch.wants_a_look()
    watch.look_at_ours()
    clock.advance(provider.sweep_seconds - 1)
    assert not watch.wants_a_look()
    clock.advance(1)
    assert watch.wants_a_look()
