"""Makes a host's identity its own: a new ed25519 host key, made on the node, that no cloud has ever seen."""

from __future__ import annotations

from services.datastore_agentless.hosts.base import ANY_CODE, Phase, Run, Script
from shared.errors import Failure

_FRESH = "/etc/ssh/dtrove_host_ed25519_key"
_USED = "/etc/ssh/ssh_host_ed25519_key"

_USE = f"""set -e
if [ -f {_FRESH} ]; then
  cp -p {_FRESH} {_USED}.new && cp -p {_FRESH}.pub {_USED}.pub && mv {_USED}.new {_USED} && rm -f {_FRESH} {_FRESH}.pub
fi
if [ -d /run/systemd/system ]; then systemctl reload ssh 2>/dev/null || systemctl reload sshd
elif [ "$(cat /proc/1/comm)" = sshd ]; then kill -HUP 1
else kill -HUP "$(cat /run/sshd.pid)"; fi
"""


def make_host_key() -> Script:
    """Make a new host key beside the one in use; returns its public half. A second run returns the same."""
    yield from reach()
    yield Phase("making a new host key")
    made = yield Run(
        f"umask 077; if [ ! -f {_USED}.rotated ]; then "
        f"[ -f {_FRESH}.pub ] || {{ rm -f {_FRESH}; ssh-keygen -q -t ed25519 -N '' -C '' -f {_FRESH}; }}; cat {_FRESH}.pub; "
        f"else cat {_USED}.pub; fi",
        title="make a new host key",
    )
    return " ".join(made.text.split()[:2])


def reach() -> Script:
    """See that commands get through to the host and run as root there. Raises Failure with a plain sentence."""
    asked = yield Run("id -u", title="see that commands run as root", ok_codes=ANY_CODE, changes=False, sample="0\n")
    if asked.code == 0 and asked.text == "0":
        return
    words = asked.stderr.strip().splitlines()
    raise Failure(
        f"commands on the host do not run as root: {words[-1] if words else f'they run as user {asked.text}'}",
        stderr=asked.stderr,
        what_to_do="let the login user run sudo without a password, or set DTROVE_PREFIX so that commands run as root",
    )


def use_host_key() -> Script:
    """Have sshd show the new key from the next connection on; repeating it is harmless."""
    yield Run(f"{_USE}touch {_USED}.rotated", title="show the new host key")
