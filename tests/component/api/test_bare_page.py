"""The benchmark's bare application does the same work as the API: else its requests per second are no baseline."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import requests

from services.api.actions.access import DEFAULT_PROJECT
from tests.component.api.test_clusters import active
from tests.support.api import Api, open_database
from tests.support.installation import ROOT


def test_the_bare_page_of_clusters_is_the_apis(tmp_path: Path) -> None:
    file = tmp_path / "api.sqlite"
    api = Api(open_database(f"sqlite:///{file}"))
    api.know_choices()
    api.create("shop", volume_gb=3)
    active(api, *api.create("desk"))
    command = [sys.executable, "-W", "ignore", "-m", "bench.bare", str(file), DEFAULT_PROJECT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as bare:
        try:
            assert bare.stdout is not None
            answer = requests.get(f"http://127.0.0.1:{int(bare.stdout.readline())}/v1/clusters", timeout=30)
        finally:
            bare.kill()
    assert answer.json() == api.get("/v1/clusters")
