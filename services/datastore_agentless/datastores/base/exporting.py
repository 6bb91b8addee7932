"""The port of an export: one engine's data as one stream that its own tools read, without DTrove.

A manager names its class in `exporting_class`. What `sends` gives is bash, run as root inside one pipeline with `set -euo pipefail`.
To the descriptor 7 it may say what it has counted, a line for each table: `say`, and JSON as ExportedTable has it. Bash's own
`printf` writes such a line at one stroke; what others write in pieces would get between the lines of others.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.datastore_agentless.domain.export import Choice
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Run, Script
from shared.contracts.exports import ExportedTable
from shared.errors import Failure
from shared.secrets import Secret

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.base.manager import BaseManager


class Exporting(ABC):
    """How one engine's data leave a node in a form that others read. Nothing of it changes what serves."""

    # The dialect whose formats it makes (shared.contracts.exports).
    engine: str
    # A standby that has to tell apart what it replays from what is read may end a long reader: then the primary is asked.
    from_primary = False
    # Whether what it counts is what it sends.
    counts_exactly = False

    def __init__(self, manager: BaseManager) -> None:
        self.manager = manager

    @property
    @abstractmethod
    def tool(self) -> str:
        """The program that makes the stream, as a shell calls it."""

    def version(self, node: Instance) -> Script:
        """What that says of its version."""
        said = yield Run(f"{self.tool} --version", title="see the version of what exports", changes=False,
                         sample=f"{self.tool.rpartition('/')[2]} 1.0\n")  # fmt: skip
        return said.text[:200]

    def login(self, node: Instance) -> Secret:
        """One line that `sends` finds in the variable `login` of its shell; empty where it asks for none."""
        return Secret("")

    @abstractmethod
    def databases(self, node: Instance, choice: Choice) -> Script:
        """The names of the databases that are to be exported, in order. Raises Failure where one that was chosen is not there."""

    @abstractmethod
    def sends(self, node: Instance, choice: Choice, databases: Sequence[str]) -> str:
        """What prints the stream."""

    @abstractmethod
    def restore(self, choice: Choice) -> str:
        """One line of shell that reads the stream from standard input, on a machine with the engine's own tools and no DTrove."""

    def extension(self, choice: Choice) -> str:
        """How the name of the file ends."""
        return "dump" if choice.format == "custom" else choice.format

    def said(self, databases: Sequence[str]) -> str:
        """What is said to the descriptor 7 where all is well and nothing is there."""
        return "".join(f"say {json.dumps({'database': name, 'table': '', 'rows': 0})}\n" for name in databases)


def named(output: str) -> list[str]:
    """The databases of which there is a line of JSON each. Raises CommandFailed for anything else."""
    try:
        return [str(json.loads(line)["database"]) for line in output.splitlines()]
    except (ValueError, KeyError, TypeError) as error:
        raise CommandFailed(f"the database does not say what databases it has: {output[:200]!r}", code=1,
                            what_to_do="look at the database's own log") from error  # fmt: skip


def chosen(choice: Choice, there: Sequence[str]) -> list[str]:
    """What was chosen of what is there, or all of it. Raises Failure where something is not there, or nothing is."""
    missing = [name for name in choice.databases if name not in there]
    if missing:
        raise Failure(f"there is no database {missing[0]!r}", what_to_do=f"choose of {', '.join(there[:50]) or 'none'}")
    if not there:
        raise Failure("there is no database to export", what_to_do="create one, or wait until somebody has")
    return list(choice.databases or there)


def sample(choice: Choice, usual: str) -> str:
    """What a well server answers to the question for its databases."""
    return "".join(f"{json.dumps({'database': name})}\n" for name in choice.databases or (usual,))


def counted(said: Sequence[str]) -> list[ExportedTable]:
    """What was said of tables. Raises CommandFailed for anything else."""
    try:
        told = [json.loads(line) for line in said]
        return [ExportedTable(database=one["database"], table=one["table"], rows=int(one["rows"])) for one in told]
    except (ValueError, KeyError, TypeError) as error:
        raise CommandFailed(f"the node does not say what was exported: {error}", code=1,
                            what_to_do="export once more") from error  # fmt: skip
