"""A backup that a server of Nova's brings to Swift, and another server has from there; an export that is read there."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import requests
from openstack.connection import Connection

from tests.e2e.filling import FILLINGS
from tests.support import clouds
from tests.support.installation import Installation

pytestmark = [pytest.mark.real, pytest.mark.slow]

DATASTORES = {"pgsql": "pgsql 15", "mysql": "mysql 10.11", "redis": "redis 7.0"}
MADE = 300


def _succeeded(dtrove: Installation, operation: str) -> dict[str, Any]:
    ended = dtrove.end_of(operation, MADE)
    assert ended["status"] == "succeeded", ended["problem"]
    return ended


def _asked(dtrove: Installation, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """The answer to a wish, once it is granted."""
    answer = dtrove.ask(method, path, body)
    assert answer.status_code == 202, answer.text
    told: dict[str, Any] = answer.json()
    _succeeded(dtrove, told["id"])
    return told


def _url(dtrove: Installation, cluster: str) -> str:
    return str(dtrove.get(f"/v1/clusters/{cluster}/credentials")["url"])


def _kept(cloud: Connection, backup: str) -> list[str]:
    return [one.name for one in cloud.object_store.objects(clouds.CONTAINER) if backup in one.name]


@pytest.mark.parametrize("datastore", DATASTORES)
def test_a_backup_of_one_server_is_restored_on_another_and_leaves_nothing_once_it_is_deleted(
    dtrove: Installation, cloud: Connection, datastore: str
) -> None:
    cluster, operation = dtrove.create(f"kept-{datastore}", DATASTORES[datastore], volume_gb=1)
    _succeeded(dtrove, operation)
    FILLINGS[datastore].fill(_url(dtrove, cluster))
    had = FILLINGS[datastore].digest(_url(dtrove, cluster))
    backup = _asked(dtrove, "POST", f"/v1/clusters/{cluster}/backups", {"store": "swift"})["backup"]["id"]
    assert {name.rpartition("/")[2] for name in _kept(cloud, backup)} >= {"backup.zst.age", "manifest.json"}
    FILLINGS[datastore].more(_url(dtrove, cluster))
    dtrove.remove(cluster)

    again, operation = dtrove.create(f"again-{datastore}", DATASTORES[datastore], volume_gb=1,
                                     restore={"backup": backup})  # fmt: skip
    _succeeded(dtrove, operation)
    assert FILLINGS[datastore].digest(_url(dtrove, again)) == had
    dtrove.remove(again)
    _asked(dtrove, "DELETE", f"/v1/backups/{backup}")
    assert _kept(cloud, backup) == []


def test_an_export_is_read_from_swift_whole_and_in_ranges(dtrove: Installation) -> None:
    cluster, operation = dtrove.create("told", DATASTORES["pgsql"], volume_gb=1)
    _succeeded(dtrove, operation)
    FILLINGS["pgsql"].fill(_url(dtrove, cluster))
    export = _asked(dtrove, "POST", f"/v1/clusters/{cluster}/exports", {"store": "swift"})["export"]["id"]
    answer = dtrove.ask("GET", f"/v1/exports/{export}/content", allow_redirects=False)
    assert answer.status_code == 307
    whole = requests.get(answer.headers["Location"], timeout=60)
    assert hashlib.sha256(whole.content).hexdigest() == dtrove.get(f"/v1/exports/{export}")["facts"]["sha256"]
    part = requests.get(answer.headers["Location"], headers={"Range": "bytes=5-9"}, timeout=60)
    assert (part.status_code, part.content) == (206, whole.content[5:10])
    _asked(dtrove, "DELETE", f"/v1/exports/{export}")
    dtrove.remove(cluster)
