"""What a command ends with, for scripts; docs/guides/cli.md says the same in a table."""

from __future__ import annotations

from enum import IntEnum

from shared.config import EXIT_CODE


class Exit(IntEnum):
    """Exit codes. 2 is also what the command line's own parser ends with."""

    DONE = 0
    FAILED = 1
    REFUSED = 2
    NOT_FOUND = 3
    NOT_ALLOWED = 4
    UNAVAILABLE = 5
    TIMEOUT = 6
    CONFLICT = 7
    CONFIGURATION = EXIT_CODE
    INTERRUPTED = 130


MEANINGS = {
    Exit.DONE: "done; with --wait: the operation succeeded",
    Exit.FAILED: "the operation failed or was cancelled, a command of `perform` failed, or something unforeseen happened",
    Exit.REFUSED: "the request or the command line was not accepted",
    Exit.NOT_FOUND: "there is no such thing, or the name fits several",
    Exit.NOT_ALLOWED: "no token, an unknown one, or one whose role is too low",
    Exit.UNAVAILABLE: "the API, or what it depends on, does not answer",
    Exit.TIMEOUT: "--timeout passed; the operation goes on",
    Exit.CONFLICT: "the thing exists already, or its state forbids the request",
    Exit.CONFIGURATION: "the configuration is wrong; all that is wrong is listed",
    Exit.INTERRUPTED: "Ctrl-C; an operation that runs goes on",
}
