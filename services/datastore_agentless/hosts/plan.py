"""Shows a script before it runs: drives it without a host and writes down what it would do."""

from __future__ import annotations

from dataclasses import dataclass

from services.datastore_agentless.hosts.base import Phase, Put, Result, Script
from services.datastore_agentless.hosts.driver import describe
from services.datastore_agentless.hosts.transcript import Transcript
from shared.errors import DtroveError
from shared.secrets import Secret

MAX_COMMANDS = 500


@dataclass(frozen=True)
class Planned:
    """One planned command; `content` is a file's masked content for a write, else empty."""

    title: str
    command: str
    path: str = ""
    content: str = ""


def plan(script: Script, secrets: tuple[Secret, ...] = ()) -> list[Planned]:
    """The commands of `script` on a fresh host, where each look finds nothing and each change succeeds."""
    masker = Transcript(host="", secrets=secrets)
    planned: list[Planned] = []
    result: Result | None = None
    try:
        for _ in range(MAX_COMMANDS):
            command = next(script) if result is None else script.send(result)
            result = Result()
            if isinstance(command, Phase):
                continue
            if isinstance(command, Put):
                masker.learn(command.content)
                content = "***" if isinstance(command.content, Secret) else masker.mask(command.content)
                planned.append(Planned(command.title, describe(command), command.path, content))
                continue
            masker.learn(command.stdin)
            planned.append(Planned(command.title, masker.mask(describe(command))))
            result = Result(code=command.ok_codes[0] if 0 not in command.ok_codes else 0)
    except (StopIteration, DtroveError):
        pass
    return planned
