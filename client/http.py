"""The API over HTTP, as the command line uses it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import requests

from client import installation

TIMEOUT = 30.0
TRIES = 4
CODES = {401: 4, 403: 4, 404: 3, 400: 2, 409: 2, 413: 2, 422: 2, 503: 5}


class ApiError(Exception):
    """The API refused, or did not answer. `exit_code` is what the command ends with."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Api:
    """A session with one API."""

    def __init__(self) -> None:
        place = installation.home()
        self.url = installation.url(place)
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {installation.token(place)}"

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

    def follow(self, path: str) -> Iterator[Any]:
        """The data of each server-sent event, until the stream ends."""
        with self._ask("GET", path, params={"follow": "true"}, stream=True, timeout=(5, 60)) as answer:
            for line in answer.iter_lines():
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])

    def _ask(self, method: str, path: str, **options: Any) -> requests.Response:
        options.setdefault("timeout", TIMEOUT)
        for attempt in range(TRIES):
            try:
                answer = self._session.request(method, self.url + path, **options)
            except requests.RequestException as error:
                if attempt == TRIES - 1:
                    raise ApiError(
                        f"the API at {self.url} does not answer: {error}\nstart it with `dtrove up`", 5
                    ) from error
            else:
                if answer.ok:
                    return answer
                if answer.status_code != requests.codes.unavailable or attempt == TRIES - 1:
                    raise _refused(answer)
            time.sleep(0.3 * 2**attempt)
        raise ApiError(f"the API at {self.url} does not answer", 5)


def _refused(answer: requests.Response) -> ApiError:
    try:
        problem = answer.json()
        lines = [problem.get("detail") or problem.get("title") or answer.reason]
        lines += [f"  {one['field']}: {one['reason']}" for one in problem.get("errors", [])]
    except ValueError:
        lines = [f"{answer.status_code} {answer.reason}"]
    return ApiError("\n".join(lines), CODES.get(answer.status_code, 1))
