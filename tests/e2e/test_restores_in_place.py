"""A cluster that is given the data of a backup in place of its own, gets those back, and is given the others for good: on real hosts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.filling import FILLINGS
from tests.support.clients import LoginRefused, Redis, Sql
from tests.support.golden import gild
from tests.support.installation import Installation, wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow]
# A primary, and a replica that is made anew.
SIZE = 2

DATASTORES = {"pgsql": "pgsql 15", "mysql": "mysql 10.11", "redis": "redis 7.0"}
GUEST = {"name": "guest", "password": "g'u\\e:st 9"}
LATE = {"name": "late", "password": "g'u\\e:st 9"}
LOOK = (
    "find / \\( -path /proc -o -path /sys \\) -prune -o "
    "\\( -name '*.former' -o -name '*.restored' -o -name '*.undone' -o -name 'dtrove-kept*' \\) -print 2>/dev/null || true"
)


@pytest.fixture(scope="module")
def dtrove(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation that keeps backups in its own folder."""
    with Installation(tmp_path_factory.mktemp("in-place")) as made:
        gild(made)
        yield made


@pytest.mark.parametrize("datastore", DATASTORES)
def test_data_are_replaced_come_back_and_are_replaced_for_good(dtrove: Installation, datastore: str) -> None:
    cluster, operation = dtrove.create(f"here-{datastore}", DATASTORES[datastore], size=SIZE, volume_gb=2)
    _succeeded(dtrove, operation)
    _asked(dtrove, f"/v1/clusters/{cluster}/users", GUEST)
    url, filling = _urls(dtrove, cluster)[0], FILLINGS[datastore]
    filling.fill(url)
    then = filling.digest(url)
    answer = dtrove.ask("POST", f"/v1/clusters/{cluster}/backups", {})
    _succeeded(dtrove, answer.json()["id"])
    backup, before = answer.json()["backup"]["id"], dtrove.get(f"/v1/clusters/{cluster}")
    filling.more(url)
    _asked(dtrove, f"/v1/clusters/{cluster}/users", LATE)
    now = filling.digest(url)
    assert now != then

    _asked(dtrove, f"/v1/clusters/{cluster}/restore", {"backup": backup})
    assert _digests(dtrove, cluster, datastore, SIZE, 1) == SIZE * [then]
    shown = dtrove.get(f"/v1/clusters/{cluster}")
    assert [shown[key] for key in ("id", "name", "size")] == [before[key] for key in ("id", "name", "size")]
    assert shown["endpoint"]["primary"] == before["endpoint"]["primary"]
    assert shown["restored_in_place"]["backup"] == backup
    _comes_in(datastore, url, GUEST)
    with pytest.raises(LoginRefused):
        _comes_in(datastore, url, LATE)
    assert "former" in _beside(dtrove, cluster)

    filling.more(url)
    _asked(dtrove, f"/v1/clusters/{cluster}/restore/undo", {})
    assert _digests(dtrove, cluster, datastore, SIZE, 2) == SIZE * [now]
    _comes_in(datastore, url, LATE)
    assert dtrove.get(f"/v1/clusters/{cluster}")["restored_in_place"] is None
    assert _beside(dtrove, cluster) == ""

    _asked(dtrove, f"/v1/clusters/{cluster}/restore", {"backup": backup})
    assert _digests(dtrove, cluster, datastore, SIZE, 3) == SIZE * [then]
    answer = dtrove.ask("POST", f"/v1/clusters/{cluster}/backups", {})
    _succeeded(dtrove, answer.json()["id"])
    made = dtrove.get(f"/v1/backups/{answer.json()['backup']['id']}")
    assert (made["status"], made["kind"]) == ("completed", "full")
    _asked(dtrove, f"/v1/clusters/{cluster}/restore/confirm", {})
    assert _digests(dtrove, cluster, datastore, SIZE, 3) == SIZE * [then]
    assert _beside(dtrove, cluster) == ""
    refused = dtrove.ask("POST", f"/v1/clusters/{cluster}/restore/undo", {})
    assert refused.status_code == 409
    filling.more(url)
    dtrove.remove(cluster)


def test_a_restore_whose_service_is_killed_at_any_step_comes_to_its_end(dtrove: Installation) -> None:
    cluster, operation = dtrove.create("here-killed", DATASTORES["pgsql"], volume_gb=2)
    _succeeded(dtrove, operation)
    url, filling = _urls(dtrove, cluster)[0], FILLINGS["pgsql"]
    filling.fill(url)
    then = filling.digest(url)
    answer = dtrove.ask("POST", f"/v1/clusters/{cluster}/backups", {})
    _succeeded(dtrove, answer.json()["id"])
    backup = answer.json()["backup"]["id"]
    filling.more(url)
    now = filling.digest(url)
    for step in ("fetch", "exchange", "serve"):
        operation = dtrove.ask("POST", f"/v1/clusters/{cluster}/restore", {"backup": backup}).json()["id"]
        dtrove.step_begins(operation, step)
        dtrove.kill("datastore_agentless")
        _succeeded(dtrove, operation)
        assert filling.digest(url) == then
        operation = dtrove.ask("POST", f"/v1/clusters/{cluster}/restore/undo", {}).json()["id"]
        dtrove.step_begins(operation, "exchange")
        dtrove.kill("datastore_agentless")
        _succeeded(dtrove, operation)
        assert filling.digest(url) == now
    dtrove.remove(cluster)


def _succeeded(dtrove: Installation, operation: str) -> dict[str, Any]:
    ended = dtrove.end_of(operation, 300)
    assert ended["status"] == "succeeded", ended["problem"]
    return ended


def _asked(dtrove: Installation, path: str, body: dict[str, Any]) -> None:
    answer = dtrove.ask("POST", path, body)
    assert answer.status_code == 202, answer.text
    _succeeded(dtrove, answer.json()["id"])


def _digests(dtrove: Installation, cluster: str, datastore: str, size: int, times: int) -> list[str]:
    """What each node has, once replicas have copied the primary's data so many times."""

    def whole() -> bool:
        there = dtrove.get(f"/v1/operations?cluster={cluster}&limit=100")["operations"]
        back = [one["status"] for one in there if one["kind"] == "rejoin_node"]
        return back == times * (size - 1) * ["succeeded"]

    wait_for(whole, 300, what="replicas to follow")
    return [FILLINGS[datastore].digest(url) for url in _urls(dtrove, cluster)]


def _beside(dtrove: Installation, cluster: str) -> str:
    """What lies beside the data on the primary's disk, by its names."""
    found = dtrove.get(f"/v1/clusters/{cluster}")["instances"]
    node = next(one for one in found if one["role"] in ("primary", None))
    answer = dtrove.ask("POST", f"/v1/instances/{node['id']}/perform", {"name": "look", "commands": [LOOK]})
    (result,) = _succeeded(dtrove, answer.json()["id"])["result"]["results"]
    return str(result["stdout"]).strip()


def _urls(dtrove: Installation, cluster: str) -> list[str]:
    """Of each node by itself, the primary's first."""
    login, endpoint = (
        dtrove.get(f"/v1/clusters/{cluster}/credentials"),
        dtrove.get(f"/v1/clusters/{cluster}")["endpoint"],
    )
    scheme = login["url"].partition(":")[0]
    return [f"{scheme}://{login['username']}:{login['password']}@{place['host']}:{place['port']}"
            for place in (endpoint["primary"], *endpoint["replicas"])]  # fmt: skip


def _comes_in(datastore: str, url: str, who: dict[str, str]) -> None:
    if datastore == "redis":
        Redis(url.replace("//dtrove:", f"//{who['name']}:"), password=who["password"]).close()
    else:
        Sql(url, user=who["name"], password=who["password"]).close()
