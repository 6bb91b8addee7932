"""What an answer has to be, whoever asked for whatever."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import requests
from schemathesis import Case
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from services.api.openapi import PROBLEM
from services.api.schemas import shown
from tests.security.cast import WORTHLESS

SERVER_ERROR, CLIENT_ERROR = 500, 400
INSIDES = ("Traceback (most recent call last)", "site-packages", "sqlalchemy", "sqlite3.", "psycopg2")
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
TOLD = 40


@dataclass
class Docket:
    """Counts calls by role and answers by status, and keeps what was wrong with them. `secrets` may stand in none.

    `owned` are ids of a project's things: no stranger is to hear of them, or to be served by them.
    """

    secrets: frozenset[str] = frozenset()
    owned: frozenset[str] = field(default=frozenset(), kw_only=True)
    calls: Counter[str] = field(default_factory=Counter, kw_only=True)
    statuses: Counter[int] = field(default_factory=Counter, kw_only=True)
    wrong: Counter[str] = field(default_factory=Counter, kw_only=True)
    told: list[str] = field(default_factory=list, kw_only=True)

    def enter(
        self, role: str, what: str, answer: requests.Response, text: str, found: Iterable[tuple[str, str]]
    ) -> None:
        """One call of `role` and what was found wrong with its answer: kinds, each with a sentence."""
        self.calls[role] += 1
        self.statuses[answer.status_code] += 1
        for kind, sentence in found:
            self.wrong[kind] += 1
            if len(self.told) < TOLD:
                self.told.append(f"{kind}: {role} {what}: {answer.status_code} {sentence} {text[:300]}")


@dataclass
class Judge(Docket):
    """Hears the answers of the API."""

    open_paths: frozenset[str] = frozenset()

    def hear(
        self, role: str, what: str, answer: requests.Response, text: str, case: Case | None = None, sent: str = ""
    ) -> None:
        """One call of `role` was answered; `case` is what it was made of, where the document describes such a call.

        What was `sent` reveals nothing when it comes back: Hypothesis takes words out of the code that it finds.
        """
        found = (
            *self._of_all(answer, text, sent),
            *self._of_role(role, what, answer),
            *self._of_stranger(role, what, answer, text, sent),
            *_of_document(answer, case),
        )
        self.enter(role, what, answer, text, found)

    def report(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "calls": self.calls.total(), "by_role": dict(sorted(self.calls.items())), "wrong": dict(self.wrong),
            "server_errors": self.wrong["server error"], "bare": self.wrong["bare"], "revealed": self.wrong["revealed"],
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())}, "told": self.told,
        }  # fmt: skip

    def _of_all(self, answer: requests.Response, text: str, sent: str) -> Iterable[tuple[str, str]]:
        if answer.status_code >= SERVER_ERROR:
            yield "server error", ""
        if answer.status_code >= CLIENT_ERROR and not _is_problem(answer, text):
            yield "bare", answer.headers.get("Content-Type", "")
        for secret in (*self.secrets, *INSIDES):
            if secret not in sent and (secret in text or secret in str(answer.headers)):
                yield "revealed", "a secret, or something of the insides"

    def _of_role(self, role: str, what: str, answer: requests.Response) -> Iterable[tuple[str, str]]:
        if role in WORTHLESS and what.split()[1] not in self.open_paths and answer.status_code not in REFUSALS:
            yield "let in", ""

    def _of_stranger(
        self, role: str, what: str, answer: requests.Response, text: str, sent: str
    ) -> Iterable[tuple[str, str]]:
        if role != "stranger" or what.split()[1].startswith(INSTALLATIONS):
            return
        if answer.status_code < CLIENT_ERROR and any(one in sent for one in self.owned):
            yield "let in", "to a thing of another project"
        if any(one in text and one not in sent for one in self.owned):
            yield "revealed", "the id of another project's thing"


# What speaks of the whole installation, to any administrator.
INSTALLATIONS = ("/v1/orphans", "/v1/check", "/v1/parked")
# What a request without a good token may be answered, beside 401: it could not even be read.
REFUSALS = (400, 401, 408, 414, 431)


def _is_problem(answer: requests.Response, text: str) -> bool:
    kind = answer.headers.get("Content-Type", "").partition(";")[0]
    if answer.status_code == requests.codes.service_unavailable and kind == "application/json":
        return True
    try:
        return kind == PROBLEM and not shown.ProblemDetails().validate(json.loads(text))
    except ValueError:
        return False


def _of_document(answer: requests.Response, case: Case | None) -> Iterable[tuple[str, str]]:
    if case is None:
        return
    try:
        case.validate_response(answer, checks=CHECKS)
    except FailureGroup as group:
        yield from (("not as described", f"{one.title}: {str(one)[:200]}") for one in group.exceptions)
