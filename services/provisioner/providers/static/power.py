"""What switches a host of the pool off and on, and says which it is: commands of this machine, as the list of hosts has them."""

from __future__ import annotations

import shlex
import subprocess

from services.provisioner.providers.base import ProviderBusy, ProviderError
from services.provisioner.providers.static.inventory import PoolHost
from shared.errors import Unsupported

# A fence has less than a minute, and a management board that hangs is asked again.
SECONDS = 15.0
ON, OFF, UNKNOWN = "on", "off", "unknown"
# The last word of what ipmitool (`Chassis Power is off`), virsh (`shut off`, `running`) and a filtered Redfish answer print.
_WORDS = {"on": ON, "running": ON, "off": OFF}


def switch_off(host: PoolHost) -> None:
    """Have the host's board switch it off. Raises Unsupported, ProviderError, ProviderBusy."""
    _run(host, OFF, host.power_off)


def switch_on(host: PoolHost) -> None:
    """Have the host's board switch it on. Raises Unsupported, ProviderError, ProviderBusy."""
    _run(host, ON, host.power_on)


def power_of(host: PoolHost) -> tuple[str, str]:
    """ON, OFF or UNKNOWN, by the last word that the list's command for it prints; and why it is UNKNOWN."""
    if not host.power_status:
        return UNKNOWN, "nobody has said how one sees whether it is on (`power: {status: ...}` in the list of hosts)"
    try:
        done = _command(host.power_status)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return UNKNOWN, f"its power cannot be seen: {error}"
    words = done.stdout.split()
    said = _WORDS.get(words[-1].strip("\"'.,;}").casefold(), UNKNOWN) if words and done.returncode == 0 else UNKNOWN
    return said, "" if said != UNKNOWN else f"its power cannot be seen: {(done.stderr or done.stdout).strip()[-200:]}"


def _run(host: PoolHost, verb: str, command: str) -> None:
    if not command:
        raise Unsupported(f"nobody has said how host {host.name} is powered {verb}",
                          what_to_do="give it `power: {off: ..., on: ..., status: ...}` in the list of hosts")  # fmt: skip
    try:
        done = _command(command)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise ProviderBusy(f"host {host.name} could not be powered {verb}: {error}") from error
    if done.returncode != 0:
        raise ProviderError(f"host {host.name} could not be powered {verb}", command=command, stderr=done.stderr[-2000:],
                            what_to_do="try the command by hand, and mend it in the list of hosts")  # fmt: skip


def _command(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(shlex.split(command), stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                          timeout=SECONDS, check=False)  # fmt: skip
