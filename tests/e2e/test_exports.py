"""An export, and its restore by the line that it prints, without DTrove: on real hosts, for each engine, format and kind of store."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from shlex import quote
from typing import Any

import pyrage
import pytest
import requests

from tests.e2e.filling import FILLINGS, ROWS
from tests.e2e.test_backups import DATASTORES, STORES, _succeeded, _urls, dtrove, objects
from tests.support.installation import Installation

pytestmark = [pytest.mark.real, pytest.mark.slow]
__all__ = ["dtrove", "objects"]

# Whoever runs the line on a node: the engine's own superuser comes in over its socket, where it has one.
AS = {"pgsql": "su postgres -s /bin/bash -c", "mysql": "bash -c", "redis": "bash -c"}
RESTORED = [("pgsql", {"format": "sql"}), ("pgsql", {"format": "custom", "databases": ["postgres"]}),
            ("mysql", {"format": "sql"}), ("redis", {"format": "jsonl"})]  # fmt: skip


@pytest.fixture(scope="module")
def filled(dtrove: Installation) -> Iterator[dict[str, str]]:
    """A cluster of two nodes of each datastore, with data."""
    asked = {name: dtrove.create(f"from-{name}", version, size=2, volume_gb=1) for name, version in DATASTORES.items()}
    for name, (cluster, operation) in asked.items():
        _succeeded(dtrove, operation)
        FILLINGS[name].fill(_urls(dtrove, cluster)[0])
    yield {name: cluster for name, (cluster, _) in asked.items()}
    dtrove.remove(*(cluster for cluster, _ in asked.values()))


def exported(dtrove: Installation, cluster: str, **asked: Any) -> dict[str, Any]:
    """An export that is whole."""
    answer = dtrove.ask("POST", f"/v1/clusters/{cluster}/exports", asked)
    assert answer.status_code == 202, answer.text
    _succeeded(dtrove, answer.json()["id"])
    return dict(dtrove.get(f"/v1/exports/{answer.json()['export']['id']}"))


def content(dtrove: Installation, export: dict[str, Any], **headers: str) -> requests.Response:
    """What the API answers who asks for it."""
    return requests.get(f"{dtrove.url}/v1/exports/{export['id']}/content", timeout=60,
                        headers={"Authorization": f"Bearer {dtrove.token}", **headers})  # fmt: skip


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("datastore", DATASTORES)
def test_what_is_kept_is_what_was_told_and_its_own_key_opens_it(
    dtrove: Installation, filled: dict[str, str], datastore: str, store: str
) -> None:
    export = exported(dtrove, filled[datastore], store=store)
    facts, whole = export["facts"], content(dtrove, export).content
    assert (len(whole), hashlib.sha256(whole).hexdigest()) == (facts["stored_bytes"], facts["sha256"])
    part = content(dtrove, export, Range="bytes=100-199")
    assert (part.status_code, part.content) == (206, whole[100:200])
    key = dtrove.get(f"/v1/exports/{export['id']}/key")["key"]
    # Source: RFC 8878, the magic number of a frame.
    assert pyrage.decrypt(whole, [pyrage.x25519.Identity.from_str(key)])[:4] == b"\x28\xb5\x2f\xfd"
    assert facts["rows"] >= ROWS
    if datastore != "redis":
        assert {one["rows"] for one in facts["tables"] if "orders" in one["table"]} == {ROWS + 2}


@pytest.mark.parametrize(("datastore", "asked"), RESTORED)
def test_the_line_that_is_printed_restores_it_without_dtrove(
    dtrove: Installation, filled: dict[str, str], datastore: str, asked: dict[str, Any]
) -> None:
    export = exported(dtrove, filled[datastore], store="objects", **asked)
    cluster, operation = dtrove.create(f"to-{datastore}-{asked['format']}", DATASTORES[datastore], volume_gb=1)
    _succeeded(dtrove, operation)
    own = dtrove.get(f"/v1/exports/{export['id']}/key")
    url = requests.get(f"{dtrove.url}/v1/exports/{export['id']}/content", timeout=60, allow_redirects=False,
                       headers={"Authorization": f"Bearer {dtrove.token}"}).headers["Location"]  # fmt: skip
    login, line = dtrove.get(f"/v1/clusters/{cluster}/credentials"), export["facts"]["command"]
    host = dtrove.get(f"/v1/clusters/{cluster}")["endpoint"]["primary"]["host"]
    who = (
        f"redis-cli -h {host} --user {quote(login['username'])} -a {quote(login['password'])} --no-auth-warning --pipe"
    )
    line = line.replace("redis-cli --pipe", who)
    commands = [
        "apt-get install -y age zstd curl python3 >/dev/null",
        "install -d -m 777 /var/tmp/export",
        f"curl -fsS -o /var/tmp/export/{export['facts']['file']} {quote(url)}",
        f"echo {own['key']} > /var/tmp/export/{own['file']}",
        f"cd /var/tmp/export && {AS[datastore]} {quote(f'set -eo pipefail; {line}')}",
    ]
    (node,) = dtrove.get(f"/v1/clusters/{cluster}/instances")["instances"]
    answer = dtrove.ask("POST", f"/v1/instances/{node['id']}/perform", {"name": "restore", "commands": commands})
    assert answer.status_code == 202, answer.text
    _succeeded(dtrove, answer.json()["id"])
    before, after = (FILLINGS[datastore].digest(_urls(dtrove, one)[0]) for one in (filled[datastore], cluster))
    assert before == after
    dtrove.remove(cluster)


def test_an_rdb_is_one_that_redis_itself_finds_whole(dtrove: Installation, filled: dict[str, str]) -> None:
    export = exported(dtrove, filled["redis"], encrypted=False, store="objects")
    assert content(dtrove, export).content[:4] == b"\x28\xb5\x2f\xfd"
    url = requests.get(f"{dtrove.url}/v1/exports/{export['id']}/content", timeout=60, allow_redirects=False,
                       headers={"Authorization": f"Bearer {dtrove.token}"}).headers["Location"]  # fmt: skip
    node = dtrove.get(f"/v1/clusters/{filled['redis']}/instances")["instances"][0]
    look = f"curl -fsS {quote(url)} | zstd -dc > /var/tmp/dump.rdb && redis-check-rdb /var/tmp/dump.rdb"
    answer = dtrove.ask("POST", f"/v1/instances/{node['id']}/perform", {"name": "look", "commands": [look]})
    (result,) = _succeeded(dtrove, answer.json()["id"])["result"]["results"]
    keys = re.search(r"(\d+) keys read", result["stdout"])
    assert keys is not None
    assert int(keys[1]) == export["facts"]["rows"]


def test_some_tables_are_in_it_and_no_others(dtrove: Installation, filled: dict[str, str]) -> None:
    export = exported(dtrove, filled["pgsql"], databases=["postgres"], tables=["shop.nothing"])
    assert [(one["table"], one["rows"]) for one in export["facts"]["tables"]] == [("shop.nothing", 0)]
    failed = dtrove.ask(
        "POST", f"/v1/clusters/{filled['pgsql']}/exports", {"databases": ["postgres"], "tables": ["x; DROP"]}
    )
    ended = dtrove.end_of(failed.json()["id"], 120)
    assert (ended["status"], ended["problem"]["step"]) == ("failed", "send")
    missing = dtrove.ask("POST", f"/v1/clusters/{filled['pgsql']}/exports", {"databases": ["it's not there"]})
    ended = dtrove.end_of(missing.json()["id"], 120)
    assert (ended["status"], "no database" in ended["problem"]["message"]) == ("failed", True)


def test_nothing_is_left_of_exports_that_are_deleted(dtrove: Installation, objects: Any) -> None:
    for export in dtrove.get("/v1/exports?limit=100")["exports"]:
        _succeeded(dtrove, dtrove.ask("DELETE", f"/v1/exports/{export['id']}").json()["id"])
    assert objects.kept() == []
    assert not [one for one in (dtrove.home / "backups").rglob("*") if one.is_file()]
