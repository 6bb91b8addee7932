"""Faults on request: what goes wrong in the fake cloud, at which call, how many times.

Written as `CALL:FAULT` or `CALL:FAULT*TIMES`, several with commas between, taken in that order: `create:busy*2,create:late,
update_status:500*`. `CALL` is a method of BaseProvider. TIMES is once where it is left out, for ever where it is
empty. What each fault does is in FAULTS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from services.provisioner.providers.base import BaseProvider, ProviderBusy, ProviderError

FOR_EVER = -1
# Faults after which the cloud has done what it was asked.
DONE_ALL_THE_SAME = ("late", "hidden")
CALLS = BaseProvider.__abstractmethods__ | {
    "extend_volume",
    "resize",
    "take_address",
    "move_address",
    "release_address",
}
OF_SERVERS = ("error", "stuck", "hidden")
OF_POWER, IGNORED = ("power_off", "power_on"), "ignored"

_RAISED: dict[str, Callable[[str], Exception]] = {
    "busy": lambda call: ProviderBusy(f"{call}: the cloud has no time just now"),
    "429": lambda call: ProviderBusy(f"{call}: HTTP 429, too many requests"),
    "500": lambda call: ProviderBusy(f"{call}: HTTP 500, the cloud stumbled"),
    "late": lambda call: ProviderBusy(f"{call}: no answer came in time"),
    "hidden": lambda call: ProviderBusy(f"{call}: no answer came in time"),
    "quota": lambda call: ProviderError(
        f"{call}: the quota of servers is used up",
        what_to_do="delete what is not needed, or have the project's quota raised; then retry the operation",
    ),
    "image": lambda call: ProviderError(
        f"{call}: the cloud has no such image",
        what_to_do="upload the image, or name another one in the datastore; then retry the operation",
    ),
    "refused": lambda call: ProviderError(
        f"{call}: the cloud refused the call", what_to_do="look at the cloud's own log, then retry the operation"
    ),
}

FAULTS = {
    "busy": "the call fails; the same call may work later",
    "429": "the call fails for its rate",
    "500": "the call fails inside the cloud",
    "late": "the cloud does what it was asked, but the answer never comes",
    "quota": "the call fails until somebody raises the quota",
    "image": "the call fails until somebody brings the image",
    "refused": "the call fails until somebody acts",
    "hidden": "create only: as late, and for a quarter of a minute nobody is shown the server",
    "error": "create only: the server is accepted and ends in state ERROR",
    "stuck": "create only: the server is accepted and stays in state BUILD",
    "ignored": "power_off and power_on only: the call is accepted and the server stays as it is",
}


@dataclass
class Fault:
    """`name` (one of FAULTS) strikes `call`, `times` times; FOR_EVER never ends."""

    call: str
    name: str
    times: int = 1


@dataclass
class Faults:
    """The faults that are still to strike, in order; a test may append to `pending` at any time."""

    pending: list[Fault] = field(default_factory=list)

    def take(self, call: str) -> str:
        """The name of the fault that strikes this call of `call`, used up by that; empty for none."""
        for fault in self.pending:
            if fault.call == call:
                if fault.times != FOR_EVER:
                    fault.times -= 1
                if fault.times == 0:
                    self.pending.remove(fault)
                return fault.name
        return ""


def error_for(name: str, call: str) -> Exception | None:
    """What the struck call raises, if it raises."""
    make = _RAISED.get(name)
    return None if make is None else make(call)


def parse_faults(text: str) -> list[Fault]:
    """Read the notation above. Raises ValueError with a sentence."""
    return [_parse_one(item.strip()) for item in text.split(",") if item.strip()]


def _parse_one(item: str) -> Fault:
    call, _, rest = item.partition(":")
    name, star, times = rest.partition("*")
    if call not in CALLS:
        raise ValueError(f"{item!r}: a provider has no call {call!r}; it has {_listed(CALLS)}")
    if name not in FAULTS:
        raise ValueError(f"{item!r}: there is no fault {name!r}; there are {_listed(FAULTS)}")
    if name in OF_SERVERS and call != "create":
        raise ValueError(f"{item!r}: {name} is what becomes of a server, so it strikes `create` only")
    if name == IGNORED and call not in OF_POWER:
        raise ValueError(f"{item!r}: {name} is what becomes of a switch, so it strikes {_listed(OF_POWER)} only")
    if times and not (times.isdigit() and int(times) > 0):
        raise ValueError(f"{item!r}: {times!r} is no number of times")
    return Fault(call, name, int(times) if times else FOR_EVER if star else 1)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
