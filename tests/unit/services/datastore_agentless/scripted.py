"""A host that answers from a table: what a script asks of it is written down, nothing runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.datastore_agentless.hosts.base import CommandFailed, Job, Phase, Put, Result, Run, Script
from services.datastore_agentless.hosts.driver import describe

Answer = Result | str | Callable[[Any], Result]


class ScriptedHost:
    """Answers each command by the first words of its title that the table has; else with success and no words."""

    def __init__(self, **answers: Answer) -> None:
        self._answers = {title.replace("_", " "): answer for title, answer in answers.items()}
        self.commands: list[Run | Job | Put] = []

    def drive(self, script: Script) -> Any:
        """Drive a script to its end; a code that a command does not allow is raised inside it, as on a real host."""
        step: Callable[[], Any] = lambda: next(script)  # noqa: E731
        while True:
            try:
                command = step()
            except StopIteration as end:
                return end.value
            if isinstance(command, Phase):
                step = lambda: script.send(Result(changed=False))  # noqa: E731
                continue
            self.commands.append(command)
            result = self._answer(command)
            if not isinstance(command, Put) and result.code not in command.ok_codes:
                failed = CommandFailed(f"`{command.title}` ended with code {result.code}", code=result.code,
                                       stderr=result.stderr)  # fmt: skip
                step = lambda failed=failed: script.throw(failed)  # noqa: E731
            else:
                step = lambda result=result: script.send(result)  # noqa: E731

    @property
    def titles(self) -> list[str]:
        return [command.title for command in self.commands]

    @property
    def lines(self) -> str:
        return "\n".join(describe(command) for command in self.commands)

    def _answer(self, command: Run | Job | Put) -> Result:
        for words, answer in self._answers.items():
            if command.title.startswith(words):
                if callable(answer):
                    return answer(command)
                return Result(stdout=answer) if isinstance(answer, str) else answer
        return Result()
