"""Parameters of each engine to change on real hosts, and how its nodes are asked with what they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.support.clients import Redis, Sql
from tests.support.installation import Installation


@dataclass(frozen=True)
class Case:
    """One that an engine takes live, one that it takes or starts with never, and one that it takes only as it starts.

    `ask` asks a node, by its URL, for the value of a name; `said_live` and `said_late` are what it says then, `complaint` words
    of which the engine uses one.
    """

    ask: Callable[[str, str], str]
    live: Mapping[str, str]
    said_live: str
    bad: Mapping[str, str]
    complaint: tuple[str, ...]
    late: Mapping[str, str]
    said_late: str


def _postgresql(url: str, name: str) -> str:
    return _sql(url, f"show {name}")


def _mariadb(url: str, name: str) -> str:
    return _sql(url, f"select @@global.{name}")


def _sql(url: str, question: str) -> str:
    database = Sql(url)
    try:
        return str(database.rows(question)[0][0])
    finally:
        database.close()


def _redis(url: str, name: str) -> str:
    database = Redis(url)
    try:
        # An array of two.
        database.ask("CONFIG", "GET", name)
        words = [database.answer() for _ in range(2)]
        return words[1]
    finally:
        database.close()


CASES = {
    "pgsql": Case(
        _postgresql, {"work_mem": "8MB"}, "8MB", {"shared_buffers": "4TB"}, ("could not map", "shared memory"),
        {"max_pred_locks_per_transaction": "65"}, "65",
    ),
    "mysql": Case(
        _mariadb, {"max_connections": "171"}, "171", {"character_set_server": "nosuch"}, ("Unknown character set",),
        {"ft_min_word_len": "3"}, "3",
    ),
    "redis": Case(
        _redis, {"timeout": "77"}, "77", {"io-threads": "999"}, ("must be between",), {"databases": "19"}, "19",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Tuner:
    """Changes the parameters of a cluster, and looks what came of it."""

    dtrove: Installation
    cluster: dict[str, Any]

    def change(self, values: Mapping[str, str], query: str = "") -> dict[str, Any]:
        """Ask for these; returns the operation as it ended."""
        answer = self.dtrove.ask("PATCH", f"{self._path}{query}", {"parameters": dict(values)})
        assert answer.status_code == 202, answer.text
        return self.dtrove.end_of(answer.json()["id"])

    def on_all_nodes(self, ask: Callable[[str, str], str], values: Mapping[str, str]) -> str:
        """What all nodes say of the one parameter that is named; else what each says."""
        (name,) = values
        places = (self.cluster["endpoint"]["primary"], *self.cluster["endpoint"]["replicas"])
        said = [ask(self._url(place), name) for place in places]
        return said[0] if len(set(said)) == 1 else " ".join(said)

    def pending(self) -> list[str]:
        """What waits for a restart."""
        return [one["name"] for one in self.dtrove.get(self._path)["parameters"] if one["pending_restart"]]

    def written(self, operation: dict[str, Any]) -> list[str]:
        """The hosts on which something was changed by an operation: a file, or by a statement."""
        entries = self.dtrove.get(f"/v1/operations/{operation['id']}/transcript")["transcript"]
        telling = ("have it take them while it runs", "read the configuration again")
        return [one["host"] for one in entries if one["title"] in telling or "stop " in one["title"]]

    @property
    def _path(self) -> str:
        return f"/v1/clusters/{self.cluster['id']}/parameters"

    def _url(self, place: dict[str, Any]) -> str:
        parts = urlsplit(self.cluster["login"]["url"])
        login = parts.netloc.rpartition("@")[0]
        return parts._replace(netloc=f"{login}@{place['host']}:{place['port']}", query="").geturl()
