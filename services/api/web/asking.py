"""Asks the API as any other client does, with no socket between: through its WSGI application, by the visitor's own session.

So roles, projects, quotas, limits, idempotency and audit are the API's, by construction. Source of the protocol: PEP 3333.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

WsgiApp = Callable[..., Any]
# What the API learns of the browser's request: from where it came, and over what.
_KEPT = ("SERVER_NAME", "SERVER_PORT", "SERVER_PROTOCOL", "REMOTE_ADDR", "HTTP_HOST", "HTTP_X_FORWARDED_FOR", "wsgi.version",
         "wsgi.url_scheme", "wsgi.errors", "wsgi.multithread", "wsgi.multiprocess", "wsgi.run_once")  # fmt: skip
DATA, ID, OK, MULTIPLE, ERRORS = b"data: ", b"id: ", 200, 300, 400


class Refused(Exception):
    """The API said no: its status, its sentence, and what it said of single fields."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.detail = str(problem.get("detail") or "the API has answered without a word")
        self.errors: dict[str, str] = {one["field"]: one["reason"] for one in problem.get("errors") or ()}
        super().__init__(self.detail)


@dataclass(frozen=True)
class Sent:
    """What came of a change: the answer's body, and the operation's id, empty for none."""

    body: Any
    operation: str


@dataclass(frozen=True)
class Fetched(Iterator[bytes]):
    """A file of the API's on its way: status, headers by their names in lower case, and its bytes, once. Close it."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]
    whole: Any

    def __next__(self) -> bytes:
        return next(self.chunks)

    def close(self) -> None:
        """As WSGI says."""
        _close(self.whole)


@dataclass(frozen=True)
class Asking:
    """The API as one visitor may use it. `environ` is that of the browser's request, `request_id` its id in the logs."""

    application: WsgiApp
    environ: Mapping[str, Any]
    request_id: str
    token: str
    of_keystone: bool = False

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of a GET. Raises Refused."""
        return self._whole("GET", path, query)[0]

    def send(self, method: str, path: str, body: Any = None, *, key: str = "", **query: Any) -> Sent:
        """Change something, once for each `key`. Raises Refused."""
        answer, headers = self._whole(method, path, query, body, key)
        return Sent(answer, headers.get("location", "").rpartition("/")[2])

    def follow(self, path: str, *, place: str = "", **query: Any) -> Events:
        """What each server-sent event carries, and None for a sign of life; what comes after `place`, where one is given.

        Raises Refused before the first.
        """
        status, _, chunks = self._ask("GET", path, {**query, "follow": "true"}, place=place)
        if status != OK:
            raise Refused(status, _problem(_read(chunks)))
        return Events(chunks)

    def fetch(self, path: str, asked: Mapping[str, str]) -> Fetched:
        """A file, whole or a part, or where else it is to be had. `asked` are headers of the browser's. Raises Refused."""
        status, headers, chunks = self._ask("GET", path, {}, headers=asked)
        if not OK <= status < ERRORS:
            raise Refused(status, _problem(_read(chunks)))
        return Fetched(status, headers, iter(chunks), chunks)

    def _whole(
        self, method: str, path: str, query: Mapping[str, Any], body: Any = None, key: str = ""
    ) -> tuple[Any, Mapping[str, str]]:
        status, headers, chunks = self._ask(method, path, query, body, key)
        raw = _read(chunks)
        if not OK <= status < MULTIPLE:
            raise Refused(status, _problem(raw))
        return (json.loads(raw) if raw else None), headers

    def _ask(
        self, method: str, path: str, query: Mapping[str, Any], body: Any = None, key: str = "", place: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, dict[str, str], Any]:  # fmt: skip
        raw = b"" if body is None else json.dumps(body).encode()
        environ = {name: self.environ[name] for name in _KEPT if name in self.environ} | {
            "REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path.encode().decode("latin-1"),
            "QUERY_STRING": urlencode({name: value for name, value in query.items() if value != ""}),
            "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(raw)), "wsgi.input": BytesIO(raw),
            "HTTP_X_REQUEST_ID": self.request_id,
        }  # fmt: skip
        if self.of_keystone:
            environ["HTTP_X_AUTH_TOKEN"] = self.token
        else:
            environ["HTTP_AUTHORIZATION"] = f"Bearer {self.token}"
        if key:
            environ["HTTP_IDEMPOTENCY_KEY"] = key
        if place:
            environ["HTTP_LAST_EVENT_ID"] = place
        environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in (headers or {}).items()}
        taken: list[tuple[str, list[tuple[str, str]]]] = []

        def start(status: str, headers: list[tuple[str, str]], _error: Any = None) -> None:
            taken.append((status, headers))

        chunks = self.application(environ, start)
        status, told = taken[-1]
        return int(status.split()[0]), {name.lower(): value for name, value in told}, chunks


def _read(chunks: Iterable[bytes]) -> bytes:
    try:
        return b"".join(chunks)
    finally:
        _close(chunks)


def _close(chunks: Any) -> None:
    getattr(chunks, "close", lambda: None)()


def _problem(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class Events(Iterator[Any]):
    """What each message of a stream carries, None for one that carries nothing; `place` is the id of the last one that had any.

    `close` ends what the API streams, for its counts, also where nobody ever read of it.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.place = ""
        self._chunks, self._carried = chunks, self._read(chunks)

    def __next__(self) -> Any:
        return next(self._carried)

    def close(self) -> None:
        """As WSGI says."""
        _close(self._chunks)

    def _read(self, chunks: Iterable[bytes]) -> Iterator[Any]:
        rest = b""
        for chunk in chunks:
            *messages, rest = (rest + chunk).split(b"\n\n")
            for message in messages:
                lines = message.split(b"\n")
                self.place = next((_after(ID, line).decode() for line in lines if line.startswith(ID)), self.place)
                data = b"".join(_after(DATA, line) for line in lines if line.startswith(DATA))
                yield json.loads(data) if data else None


def _after(mark: bytes, line: bytes) -> bytes:
    return line.removeprefix(mark)
