"""The power of a given host: on or off only where its board says so."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from services.provisioner.providers.base import ProviderBusy, ProviderError
from services.provisioner.providers.static import power
from services.provisioner.providers.static.inventory import PoolHost
from shared.errors import Unsupported


def host(**commands: str) -> PoolHost:
    return PoolHost("rack1", "10.0.0.1", 22, "root", "ssh-ed25519 AAAA", Path("key"), "big", **commands)


def saying(text: str, code: int = 0) -> PoolHost:
    return host(power_status=shlex.join(["sh", "-c", f"printf %s {shlex.quote(text)}; exit {code}"]))


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("Chassis Power is off\n", power.OFF), ("Chassis Power is on\n", power.ON), ("shut off\n\n", power.OFF),
        ("running\n", power.ON), ('"Off"', power.OFF), ('{"PowerState": "On"}', power.ON),
        ("", power.UNKNOWN), ("on its way", power.UNKNOWN), ("powered", power.UNKNOWN), ("off-line", power.UNKNOWN),
    ],
)  # fmt: skip
def test_the_last_word_says_whether_a_host_is_on(text: str, state: str) -> None:
    said, why = power.power_of(saying(text))
    assert said == state
    assert bool(why) == (state == power.UNKNOWN)


def test_a_command_that_fails_says_nothing_even_if_it_says_off() -> None:
    assert power.power_of(saying("off", code=1))[0] == power.UNKNOWN


def test_a_board_that_hangs_or_that_nobody_has_named_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power, "SECONDS", 0.05)
    assert power.power_of(host(power_status="sleep 5"))[0] == power.UNKNOWN
    assert power.power_of(host(power_status="/nowhere/ipmitool"))[0] == power.UNKNOWN
    assert "power: {status" in power.power_of(host())[1]
    with pytest.raises(ProviderBusy):
        power.switch_off(host(power_off="sleep 5"))


def test_a_switch_that_fails_or_that_nobody_has_named_is_an_error_with_a_remedy() -> None:
    with pytest.raises(ProviderError, match="rack1 could not be powered off") as failed:
        power.switch_off(host(power_off="sh -c 'echo no route >&2; exit 1'"))
    assert "no route" in failed.value.stderr
    with pytest.raises(Unsupported) as unknown:
        power.switch_on(host())
    assert "list of hosts" in unknown.value.what_to_do
