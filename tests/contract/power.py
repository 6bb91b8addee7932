"""What a management board does for a real machine: `python -m tests.contract.power HOME INSTANCE off|on|status`."""

from __future__ import annotations

import sys
from pathlib import Path

from services.provisioner.providers.local.engine import connect


def main(home: str, instance_id: str, verb: str) -> None:
    """Pull the plug of a given host, put it back, or say which it is."""
    host = connect(Path(home)).containers.get(f"dtrove-{instance_id}")
    if verb == "on":
        host.start()
    elif verb == "status":
        print("Chassis Power is", "on" if host.status == "running" else "off")  # noqa: T201 - its answer
    elif host.status == "running":
        host.kill()


if __name__ == "__main__":
    main(*sys.argv[1:])
