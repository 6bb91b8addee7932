"""Clients that go on asking whatever happens: clusters are asked for, become active, are counted, and deleted again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import requests

from services.provisioner.providers.fake import Cloud
from services.provisioner.providers.fake.provider import STATE_FILE
from tests.support.installation import Installation, wait_for

END_SECONDS = 300.0


def insist(dtrove: Installation, method: str, path: str, body: Any = None) -> requests.Response:
    """Ask as a careful client does: under one Idempotency-Key, until it is answered by something else than "not now"."""
    key = {"Idempotency-Key": str(uuid4())} if method == "POST" else {}

    def answer() -> list[requests.Response]:
        try:
            found = dtrove.ask(method, path, body, headers=key)
        except requests.RequestException:
            return []
        assert found.status_code < 500 or found.status_code == 503, found.text
        return [] if found.status_code == 503 or "is under way" in found.text else [found]

    return wait_for(answer, 120, 0.2, f"an answer to {method} {path}")[0]  # type: ignore[no-any-return]


def operation_of(answer: requests.Response) -> str:
    """The operation that was begun."""
    assert answer.status_code == 202, answer.text
    return answer.headers["Location"].rpartition("/")[2]


@dataclass
class Traffic:
    """So many clients at a time, each with one cluster after the other. What went wrong is kept in `wrong`."""

    dtrove: Installation
    clients: int = 6
    datastore: str = "redis 7.0"
    size: int = 1
    served: int = 0
    wrong: list[str] = field(default_factory=list)
    # Clusters that an earlier traffic could not delete are in nobody's way.
    _mine: str = field(default_factory=lambda: uuid4().hex[:4])
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def cloud(self) -> Cloud:
        """The cloud that the provisioner has, seen from here."""
        return Cloud(path=self.dtrove.home / STATE_FILE)

    @contextmanager
    def flowing(self) -> Iterator[Traffic]:
        """Clients come and go for the length of the block; at its end each sees its last cluster through."""
        threads = [threading.Thread(target=self._serve, args=(number,)) for number in range(self.clients)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(2 * END_SECONDS)

    def nothing_is_left(self) -> None:
        """At rest the cloud is empty, and nobody had a reason to complain."""
        assert not self.wrong, "\n".join(self.wrong)
        cloud = self.cloud
        wait_for(lambda: not cloud.servers() and not cloud.volumes(), 60, what=f"an empty cloud: {cloud.servers()}")

    def _serve(self, number: int) -> None:
        turn = 0
        while not self._stop.is_set():
            turn += 1
            try:
                self._one(f"round-{self._mine}-{number}-{turn}", self.size)
                self.served += 1
            except Exception as error:
                self.wrong.append(f"{type(error).__name__}: {error}"[:3000])

    def _one(self, name: str, size: int) -> None:
        wish = {"name": name, "datastore": self.datastore, "size": size, "volume_gb": 1}
        asked = insist(self.dtrove, "POST", "/v1/clusters", wish)
        operation, cluster = operation_of(asked), asked.json()["id"]
        ended = self.dtrove.end_of(operation, END_SECONDS)
        assert ended["status"] == "succeeded", ended
        servers = [one for one in self.cloud.servers() if one.cluster_id == cluster]
        assert len(servers) == len({one.instance_id for one in servers}) == size, servers
        gone = self.dtrove.end_of(operation_of(insist(self.dtrove, "DELETE", f"/v1/clusters/{cluster}")), END_SECONDS)
        assert gone["status"] == "succeeded", gone
