"""The API over HTTP, as the command line uses it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import requests

from client import installation
from client.exits import Exit

CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 30.0
# The API sends a sign of life every 15 s while nothing happens.
SILENCE_SECONDS = 60.0
TRIES = 4
# How long to wait at most because the API says so, in seconds.
LONGEST_PAUSE = 5.0
PASSING = (429, 502, 503, 504)
CODES = {400: Exit.REFUSED, 401: Exit.NOT_ALLOWED, 403: Exit.NOT_ALLOWED, 404: Exit.NOT_FOUND, 409: Exit.CONFLICT,
         413: Exit.REFUSED, 422: Exit.REFUSED} | dict.fromkeys(PASSING, Exit.UNAVAILABLE)  # fmt: skip


class ApiError(Exception):
    """The API refused, or did not answer. `exit_code` is what the command ends with."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Happening:
    """A server-sent event: its id (empty without one) and its data."""

    id: str
    data: Any


class Api:
    """A session with one API. `tries` is how often a request is sent while nobody answers."""

    def __init__(self, tries: int = TRIES, answer_seconds: float = ANSWER_SECONDS) -> None:
        chosen = installation.settings()
        self.url = installation.url(chosen)
        self.token = installation.token(chosen)
        self._tries, self._answer_seconds = tries, answer_seconds
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {self.token}"
        # With each request, for there it goes before REQUESTS_CA_BUNDLE.
        self._verify = chosen.ca_file or None

    def get(self, path: str, **params: Any) -> Any:
        """The JSON answer of a GET."""
        return self._ask("GET", path, params=params).json()

    def all(self, path: str, noun: str, **params: Any) -> list[dict[str, Any]]:
        """Every item of a list, over all its pages."""
        items: list[dict[str, Any]] = []
        following: str | None = path
        while following:
            answer = self._ask("GET", following, params=params).json()
            items += answer[noun]
            following, params = answer.get("next"), {}
        return items

    def send(self, method: str, path: str, body: Any = None, **params: Any) -> tuple[Any, str]:
        """Send a change; returns the answer and the operation's id, empty for none. Tried again it is done once."""
        answer = self._ask(method, path, json=body, params=params, headers={"Idempotency-Key": str(uuid4())})
        location = answer.headers.get("Location", "")
        return answer.json() if answer.content else None, location.rpartition("/")[2]

    def follow(
        self, path: str, after: str = "", silence: float = SILENCE_SECONDS, **params: Any
    ) -> Iterator[Happening]:
        """Each server-sent event that comes after the one with id `after`, until the stream ends.

        Raises requests.RequestException when the line drops, or nothing at all came for `silence` seconds.
        """
        headers = {"Last-Event-ID": after} if after else {}
        with self._ask("GET", path, params={**params, "follow": "true"}, stream=True, headers=headers,
                       timeout=(CONNECT_SECONDS, silence)) as answer:  # fmt: skip
            known = after
            for line in answer.iter_lines():
                if line.startswith(b"id: "):
                    known = line[4:].decode()
                elif line.startswith(b"data: "):
                    yield Happening(known, json.loads(line[6:]))

    def stream(self, path: str, headers: dict[str, str]) -> requests.Response:
        """The answer of a GET whose body is read as it comes; an answer that leads elsewhere is not followed."""
        return self._ask("GET", path, stream=True, headers=headers, allow_redirects=False,
                         timeout=(CONNECT_SECONDS, SILENCE_SECONDS))  # fmt: skip

    def _ask(self, method: str, path: str, **options: Any) -> requests.Response:
        options.setdefault("timeout", (CONNECT_SECONDS, self._answer_seconds))
        for attempt in range(1, self._tries + 1):
            pause = 0.0
            try:
                answer = self._session.request(method, self.url + path, verify=self._verify, **options)
            except requests.RequestException as error:
                if attempt == self._tries:
                    raise ApiError(
                        f"the API at {self.url} does not answer ({_reason(error)})\nstart it with `dtrove up --detach`, or "
                        "name another with DTROVE_URL", Exit.UNAVAILABLE
                    ) from error  # fmt: skip
            else:
                if answer.ok:
                    return answer
                if answer.status_code not in PASSING or attempt == self._tries:
                    raise self._refused(answer)
                if answer.status_code == requests.codes.too_many_requests:
                    pause = min(float(answer.headers.get("Retry-After") or 0), LONGEST_PAUSE)
            time.sleep(max(pause, 0.15 * 2**attempt))
        raise ApiError(f"the API at {self.url} does not answer", Exit.UNAVAILABLE)

    def _refused(self, answer: requests.Response) -> ApiError:
        try:
            problem = answer.json()
            lines = [problem.get("detail") or problem.get("title") or answer.reason]
            lines += [f"  {one['field']}: {one['reason']}" for one in problem.get("errors", [])]
        except (ValueError, AttributeError, KeyError):
            lines = [f"the API at {self.url} answers {answer.status_code} {answer.reason}"]
        if answer.status_code == requests.codes.unauthorized and not self.token:
            lines = ["no token: set DTROVE_TOKEN, or run `dtrove init` where DTrove is installed"]
        return ApiError("\n".join(lines), CODES.get(answer.status_code, Exit.FAILED))


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "it takes too long"
    if isinstance(error, requests.exceptions.SSLError):
        return f"its certificate is not trusted here; name the authority's with DTROVE_CA_FILE: {str(error)[-160:]}"
    return "nobody listens there" if "refused" in str(error) else str(error)[:200]
