"""The port of a proof: what one engine is asked to see that the data which it was given are whole, on a server that nobody uses.

A check that does not pass is a result, and no failure of the script: all of them are made, and all are told.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.domain.tally import Tally
from services.datastore_agentless.hosts.base import ANY_CODE, Job, Phase, Script, quote, tail
from shared.contracts.backups import CheckResult, ProofCheck
from shared.secrets import Secret

if TYPE_CHECKING:
    from services.datastore_agentless.datastores.base.manager import BaseManager

READABLE, COUNTED = "readable", "counted"
# Reading all of a large database takes hours.
READ_SECONDS, ASK_SECONDS = 12 * 3600.0, 3600.0
FOUND_KEPT = 1000
BASH = 'case ${1:-} in bash) ;; *) exec bash "$0" bash;; esac\nset -euo pipefail\ncd /\n'
Seen = tuple[dict[str, int], list[CheckResult]]


class Proving(ABC):
    """How one engine's restored data are read, counted and asked. Scripts are find-or-do, as a manager's."""

    def __init__(self, manager: BaseManager) -> None:
        self.manager = manager

    def prove(self, node: Instance, checks: Sequence[ProofCheck], tally: Tally | None = None) -> Script:
        """Make every check; returns the counts, and what became of each, in order. `tally` is what was counted beside the backup."""
        yield Phase("reading all restored data")
        counts, results = yield from self.look(node)
        if tally is not None and self.manager.tallying is not None:
            yield Phase("holding the restored data against what was counted")
            results.append((yield from self.manager.tallying.compare(node, tally)))
        for number, check in enumerate(checks, 1):
            yield Phase(f"asking {check.name}")
            results.append((yield from self.ask(node, f"check-{number}", check)))
        return counts, tuple(results)

    @abstractmethod
    def look(self, node: Instance) -> Script:
        """Have the engine read all that it has, and count it; returns Seen."""

    @abstractmethod
    def ask(self, node: Instance, name: str, check: ProofCheck) -> Script:
        """Ask what a user wants to know; `name` is that of the job. Returns a CheckResult."""


def asked(job: str, check: ProofCheck, script: str, stdin: str | Secret) -> Script:
    """Ask it by a job that reads the statement from its standard input; returns a CheckResult."""
    done = yield Job(job, script, title=f"ask {check.name}", stdin=stdin, ok_codes=ANY_CODE, timeout=ASK_SECONDS,
                     sample=f"{check.expect or ''}\n")  # fmt: skip
    return judged(check, done.text, tail(done.stderr, 5) if done.code else "", well=done.code == 0)


def judged(check: ProofCheck, found: str, trouble: str, *, well: bool) -> CheckResult:
    """Whether an answer is what was expected."""
    if not well:
        return CheckResult(
            name=check.name, passed=False, found=found[:FOUND_KEPT], message=trouble or "it was not answered"
        )
    if check.expect is not None and found != check.expect.strip():
        return CheckResult(name=check.name, passed=False, found=found[:FOUND_KEPT],
                           message=f"{check.expect.strip()[:FOUND_KEPT]!r} was expected")  # fmt: skip
    return CheckResult(name=check.name, passed=True, found=found[:FOUND_KEPT])


def reads(name: str, script: str, title: str) -> Script:
    """A job of which only the end counts; returns a CheckResult."""
    done = yield Job(name, script, title=title, ok_codes=ANY_CODE, timeout=READ_SECONDS, sample="\n")
    return _ended(name, done.code, done.stderr, done.text)


def counts(script: str, sample: str) -> Script:
    """A job that prints lines of a name and a number; returns Seen, without a number where it failed."""
    done = yield Job(
        COUNTED, script, title="count what was restored", ok_codes=ANY_CODE, timeout=READ_SECONDS, sample=sample
    )
    found = {name: int(number) for name, _, number in (line.partition(" ") for line in done.stdout.splitlines())
             if number.isdecimal()}  # fmt: skip
    return found, [
        _ended(COUNTED, done.code, done.stderr, " ".join(f"{name} {number}" for name, number in found.items()))
    ]


def as_user(user: str) -> str:
    """What goes before a client's program, so that nothing a statement has it do is done as root."""
    name = quote(user)
    return f"setpriv --reuid={name} --regid={name} --init-groups"


def _ended(name: str, code: int, stderr: str, found: str) -> CheckResult:
    words = "" if code == 0 else tail(stderr or found, 5) or f"it ended with code {code}"
    return CheckResult(name=name, passed=code == 0, found=found[-FOUND_KEPT:], message=words)
