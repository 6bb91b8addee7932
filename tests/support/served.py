"""The API's app behind the server that DTrove runs, without the rest of DTrove."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import requests

from tests.support.installation import ROOT, wait_for

MEMBER = "member-token"


class Served:
    """The app in a process of its own, behind eventlet, as in a nameko container; events are told over a socket.

    `options` are fields of Limits and of Door; `certificate` is a pair of files.
    """

    def __init__(self, directory: Path, url: str = "", **options: Any) -> None:
        self.log = directory / "log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.component.api.stage", url or f"sqlite:///{directory}/served.sqlite", MEMBER,
                 json.dumps(options)],
                stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
        self.port = int(wait_for(self._port, 30, what="the served app"))
        self.url = f"{'https' if 'certificate' in options else 'http'}://127.0.0.1:{self.port}"
        self.verify: bool | str = True
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {MEMBER}"

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.session.request(method, self.url + path, timeout=20, verify=self.verify, **options)

    def tell(self, **event: Any) -> None:
        """Have the process hear an event."""
        answer = self.ask("POST", "/tell", json=event)
        assert answer.status_code == 200, answer.text

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)

    def _port(self) -> str | None:
        found = re.search(r"port (\d+)", self.log.read_text())
        if self._process.poll() is not None:
            raise AssertionError(self.log.read_text())
        return found[1] if found else None
