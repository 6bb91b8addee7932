"""The port of an import: a stream that one engine's own tools read, loaded into a cluster that serves.

A manager names its class in `importing_class`. What `sees` and `load` give is bash, run as root with `set -euo pipefail`; a line of
`login` is in the variable of that name. To the descriptor 4 `load` says what it has counted afterwards, a line for each table, as
an export does to its own.

Nothing that is there is written over: what is in the way is named before the first byte is fetched, and once more right before
the first one is loaded. So what an import has made can be told from what was there, and goes again where it fails. A mark
beside the data, which outlives a restart of the node, says that it has begun to make something.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.datastore_agentless.domain.importing import Contents
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Run, Script, quote
from shared.secrets import Secret

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.base.manager import BaseManager

_YES = "yes"
# Whoever is told what is in the way need not read of a thousand tables.
NAMED = 20


class Importing(ABC):
    """How data come into one engine's cluster, on its primary; its replicas follow by themselves."""

    # The dialect whose formats it reads (shared.contracts.exports).
    engine: str
    # What a node needs for it beside the database.
    packages: Sequence[str] = ()

    def __init__(self, manager: BaseManager) -> None:
        self.manager = manager

    def login(self, node: Instance) -> Secret:
        """One line for the variable `login`; empty where nobody asks for one."""
        return Secret("")

    @abstractmethod
    def sees(self, node: Instance, contents: Contents) -> str:
        """What prints a line for each thing that is in the way, as in `database shop`."""

    @abstractmethod
    def load(self, node: Instance, contents: Contents) -> str:
        """What reads the stream from standard input, has the engine take it, and counts it there."""

    @abstractmethod
    def drop(self, node: Instance, contents: Contents) -> Script:
        """Take away what `load` has made, all or some of it."""

    @abstractmethod
    def stays(self, contents: Contents) -> str:
        """What `drop` does not put right, as a sentence; empty where a failed import leaves everything as it was."""

    def undone(self, contents: Contents) -> str:
        """How a failed one is undone, as a sentence for people."""
        return "what it has made is taken away again"

    def in_the_way(self, node: Instance, contents: Contents) -> Script:
        """The same lines, asked by themselves."""
        told = yield Run(("bash", "-c", _ASK + self.sees(node, contents)), title="see what is in the way", changes=False,
                         stdin=Secret(f"{self.login(node).reveal()}\n"), timeout=300)  # fmt: skip
        return [line for line in told.stdout.splitlines() if line.strip()]

    def loads(self, node: Instance, contents: Contents, import_id: str) -> str:
        """All that the node does with the stream."""
        return _LOADS.format(
            mark=self._mark(node, import_id), sees=self.sees(node, contents), load=self.load(node, contents)
        )

    def clear(self, node: Instance, contents: Contents, import_id: str) -> Script:
        """Take away what was made by an attempt that has come to nothing, where one has begun to make something."""
        mark = self._mark(node, import_id)
        begun = yield Run(f"[ ! -e {mark} ] || echo {_YES}", title="see whether the import has begun", changes=False)
        if begun.text == _YES:
            yield from self.drop(node, contents)
            yield from self.forget(node, import_id)

    def forget(self, node: Instance, import_id: str) -> Script:
        """What has come in is the cluster's own from now on."""
        yield Run(f"rm -f {self._mark(node, import_id)}", title="forget that the import has begun")

    def settle(self, node: Instance, contents: Contents) -> Script:
        """Once all is there: have it belong to those to whom it would if it had been made here."""
        yield from ()

    def said(self, contents: Contents) -> str:
        """What `load` says of its counts where all is well."""
        return "".join(f"say {json.dumps(vars(one))}\n" for one in contents.counted)

    def _mark(self, node: Instance, import_id: str) -> str:
        return quote(f"{self.manager.data_path(node)}.import-{import_id}")


_ASK = "set -euo pipefail; cd /; IFS= read -r login || true\n"

_LOADS = """mark={mark}
[ ! -e "$mark" ] || {{ echo 'what an earlier attempt has made is still there' >&2; exit 1; }}
seen=$({sees})
[ -z "$seen" ] || {{ echo "it is there already: $seen" | head -c 500 >&2; exit 1; }}
: > "$mark"
sync -f "$mark"
{load}"""
