"""What a script can ask of a host, and what comes back: plain values, no SSH.

A datastore manager's method is a generator: it yields these and is sent a Result for each. Who drives it decides what
happens: the SSH runner runs it, the planner writes it down, a test answers from a table.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.errors import Failure, Retryable
from shared.secrets import Secret

TAIL_LINES = 20
ANY_CODE = tuple(range(256))


@dataclass(frozen=True)
class Run:
    """Run one short command (under ten seconds as a rule) and wait for it.

    `command` is a shell line, or a sequence that is quoted with shlex. It runs as root through DTROVE_PREFIX, or as
    the system user `user`. A code outside `ok_codes` fails the step. `stdin` may be a Secret: it never shows.
    `changes` is false for a command that only looks: a planner may then skip it. `sample` is what a host where all is
    well prints: simulated hosts answer with it. With `hides` its output is in no transcript.
    """

    command: str | Sequence[str]
    title: str = ""
    stdin: str | Secret | None = None
    ok_codes: tuple[int, ...] = (0,)
    timeout: float = 30.0
    user: str = ""
    changes: bool = True
    sample: str = ""
    hides: bool = False

    @property
    def line(self) -> str:
        """The command as one shell line."""
        return self.command if isinstance(self.command, str) else shlex.join(self.command)


@dataclass(frozen=True)
class Progress:
    """How far a job is, in its own words; percent of the whole script, as a Phase has it."""

    title: str
    percent: int | None = None


@dataclass(frozen=True)
class Job:
    """Run a long command detached from the connection; `script` is POSIX sh. It survives any drop of the line.

    It is started at most once for the same task and `name`; a second run attaches to the first. `progress` reads a line
    of standard output that tells how far the job is (such lines are told, not kept), or returns None for any other. `sample`
    is what it prints where all is well: simulated hosts answer with it. Files of its own it may keep in the folder that `$0`
    lies in, which goes when the job is forgotten.
    """

    name: str
    script: str
    title: str = ""
    stdin: str | Secret | None = None
    ok_codes: tuple[int, ...] = (0,)
    timeout: float = 900.0
    progress: Callable[[str], Progress | None] | None = None
    sample: str = ""


@dataclass(frozen=True)
class Put:
    """Write a file atomically, if its content differs. `Result.changed` tells whether it was written."""

    path: str
    content: str | Secret
    mode: int = 0o644
    owner: str = "root:root"
    title: str = ""


@dataclass(frozen=True)
class Phase:
    """No command: tells the user what the script is about to do, and how far it has come (percent of the script)."""

    title: str
    percent: int | None = None


@dataclass(frozen=True)
class Result:
    """What a command came to. `changed` speaks of Put; it is true for commands."""

    code: int = 0
    stdout: str = ""
    stderr: str = ""
    changed: bool = True

    @property
    def text(self) -> str:
        """Standard output without surrounding white space."""
        return self.stdout.strip()


Command = Run | Job | Put | Phase
Script = Generator[Command, Result, Any]


class HostUnreachable(Retryable):
    """The host does not answer over SSH; nothing is known about work that ran there."""


class HostKeyChanged(Failure):
    """The host shows another key than the pinned one. No authentication was attempted."""

    def __init__(self, message: str, *, expected: str = "", seen: str = "", what_to_do: str = "") -> None:
        super().__init__(message, what_to_do=what_to_do)
        self.expected = expected
        self.seen = seen


class CommandFailed(Failure):
    """A command ended with a code that was not expected, or ran past its timeout."""

    def __init__(self, message: str, *, code: int, command: str = "", stderr: str = "", what_to_do: str = "") -> None:
        super().__init__(message, command=command, stderr=stderr, what_to_do=what_to_do)
        self.code = code


@dataclass(frozen=True)
class Target:
    """How to reach one host. `known_host` is the pinned public host key; `prefix` is DTROVE_PREFIX, filled in.

    `jump` is a host to go through first.
    """

    name: str
    addr: str
    port: int
    user: str
    private_key: Secret
    known_host: str
    passphrase: Secret = field(default_factory=lambda: Secret(""))
    prefix: str = ""
    jump: Target | None = None


def quote(value: object) -> str:
    """Quote a value for the shell."""
    return shlex.quote(str(value))


def tail(text: str, lines: int = TAIL_LINES) -> str:
    """The last lines of a text, as a user is shown them."""
    return "\n".join(text.rstrip().splitlines()[-lines:])
