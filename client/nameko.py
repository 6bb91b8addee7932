"""`nameko` in an environment that holds DTrove: nameko's own command line, told where the installation's RabbitMQ is.

`dtrove up` gives its private RabbitMQ a free port and a password of its own, and writes both down for its owner alone.
So that `nameko shell --config config.yaml` reaches the services without further ado, those lines are read first; a
variable that is set already wins.
"""

from __future__ import annotations

import importlib
import json
import os
import shlex
import sys
from collections.abc import MutableMapping
from pathlib import Path

from client import installation
from shared.broker import read_uris


def learn(place: Path, environ: MutableMapping[str, str]) -> None:
    """Add what the installation in `place` wrote down for others to `environ`; nothing where none runs."""
    written = place / "run" / "environment"
    if not written.exists():
        return
    for word in shlex.split(written.read_text()):
        name, _, value = word.partition("=")
        environ.setdefault(name, value)


def translate(environ: MutableMapping[str, str]) -> list[str]:
    """What nameko has to be given to understand what AMQP_URI says of TLS in RabbitMQ's words; nothing without TLS.

    nameko knows one name in certificates: of a cluster with TLS it is given the first node. Else kombu tries each.
    """
    node = read_uris(environ["AMQP_URI"])[0] if environ.get("AMQP_URI") else None
    if node is None or node.tls is None:
        return []
    environ["AMQP_URI"] = node.uri
    return ["--define", f"AMQP_SSL={json.dumps(node.tls)}"]


def main() -> int:
    """Run nameko with the arguments given."""
    learn(installation.home(), os.environ)
    words = translate(os.environ)
    if sys.argv[1:2] in (["shell"], ["run"]):
        sys.argv += words
    return int(importlib.import_module("nameko.cli").cli() or 0)


if __name__ == "__main__":
    sys.exit(main())
