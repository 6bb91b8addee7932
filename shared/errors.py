"""Errors that cross a module or a service: one small tree, each with what a user can do about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FieldError:
    """One rejected input: which field, why, and what would be accepted."""

    field: str
    reason: str


class DtroveError(Exception):
    """Root of every error that DTrove raises on purpose.

    `what_to_do` is one sentence for the person who reads the error; it may be empty.
    """

    def __init__(self, message: str, *, what_to_do: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.what_to_do = what_to_do


class Invalid(DtroveError):
    """Input was refused; `errors` names each field. HTTP 422 (400 where the body is not JSON at all)."""

    def __init__(self, message: str, errors: tuple[FieldError, ...] = (), *, what_to_do: str = "") -> None:
        super().__init__(message, what_to_do=what_to_do)
        self.errors = errors


class NotFound(DtroveError):
    """The thing does not exist, or belongs to another project. HTTP 404."""


class Conflict(DtroveError):
    """The thing is in a state that forbids the request. HTTP 409."""


class Unauthorized(DtroveError):
    """No token, or one that is unknown, expired or revoked. HTTP 401."""


class Forbidden(DtroveError):
    """The token is good but its role is too low. HTTP 403."""


class Unavailable(DtroveError):
    """A dependency does not answer just now; the same request may succeed later. HTTP 503."""


class Retryable(DtroveError):
    """A step met a passing trouble: try it again, with backoff, until its deadline.

    `after` is how many seconds whoever refused has asked to be left alone for.
    """

    def __init__(self, message: str, *, what_to_do: str = "", after: float = 0.0) -> None:
        super().__init__(message, what_to_do=what_to_do)
        self.after = after


class Failure(DtroveError):
    """A step cannot succeed. Carries the evidence that the user is shown.

    `command` is already redacted; `stderr` holds at most the last lines that the command wrote.
    """

    def __init__(self, message: str, *, command: str = "", stderr: str = "", what_to_do: str = "") -> None:
        super().__init__(message, what_to_do=what_to_do)
        self.command = command
        self.stderr = stderr


class Unsupported(Failure):
    """This datastore, provider or version has no such ability."""


class StaleEpoch(DtroveError):
    """Someone with a newer claim on the task works on it; whoever sees this stops at once."""


class Cancelled(DtroveError):
    """The operation was cancelled while the step ran."""
