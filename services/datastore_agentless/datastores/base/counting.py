"""The port of an engine's numbers: while a node is watched, the command that asks how it is asks for them as well.

They never decide what is made of a node: whoever answers the first half of the command, answers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace

from services.datastore_agentless.hosts.base import ANY_CODE, CommandFailed, Run, Script, tail

# What the engine is asked to say between its answer and the numbers.
MARK = "dtrove-numbers"
Numbers = Mapping[str, float]


class Counting(ABC):
    """The numbers of one engine, by the names of shared.contracts.numbers.

    `sample` is what a server where all is well prints of them; `received` the name of what a replica's Standing counts.
    """

    sample: str = ""
    received: str = ""

    @abstractmethod
    def beside(self, asking: Run) -> Run:
        """The same command, which after its own answer prints MARK on a line, then the numbers. It looks, no more."""

    @abstractmethod
    def read(self, told: str) -> dict[str, float]:
        """The numbers in what was printed; what is not there, or is none, is left out."""

    def along(self, script: Script) -> Script:
        """Drive a script of one command, which asks the engine; returns what the script does, and the numbers.

        Raises CommandFailed where the engine did not answer.
        """
        asking = next(script)
        assert isinstance(asking, Run)
        beside = self.beside(asking)
        answer = yield replace(beside, ok_codes=ANY_CODE, sample=f"{asking.sample}{MARK}\n{self.sample}")
        said, mark, told = answer.stdout.partition(f"{MARK}\n")
        if not mark and answer.code not in asking.ok_codes:
            raise CommandFailed(f"`{asking.title}` ended with code {answer.code}", code=answer.code,
                                stderr=tail(answer.stderr or answer.stdout))  # fmt: skip
        try:
            script.send(replace(answer, stdout=said, code=0 if mark else answer.code))
        except StopIteration as end:
            return end.value, self.read(told)
        raise AssertionError(f"`{asking.title}` is not all that is asked")


def number(text: str | None) -> float | None:
    """A number as an engine writes it; None for anything else."""
    try:
        found = float(text or "")
    except ValueError:
        return None
    # What is infinite, or no number, has no place in JSON.
    return found if abs(found) < float("inf") else None


def chosen(told: Mapping[str, str], names: Mapping[str, str]) -> dict[str, float]:
    """Of what an engine has told those numbers that have a name here; `names` maps its words to ours."""
    found = {ours: number(told.get(theirs)) for theirs, ours in names.items()}
    return {name: value for name, value in found.items() if value is not None}
