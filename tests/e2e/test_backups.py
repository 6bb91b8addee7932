"""A backup, the end of its cluster, and a new one that begins with it: on real hosts, for each datastore and each kind of store."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.filling import FILLINGS, ROWS
from tests.support.clients import Redis, Sql
from tests.support.golden import gild
from tests.support.installation import Installation, wait_for
from tests.support.s3 import BUCKET, S3

pytestmark = [pytest.mark.real, pytest.mark.slow]

DATASTORES = {"pgsql": "pgsql 15", "mysql": "mysql 10.11", "redis": "redis 7.0"}
STORES = ("local", "objects")
GUEST = {"name": "guest", "password": "g'u\\e:st 9"}


@pytest.fixture(scope="module")
def objects() -> Iterator[S3]:
    """An object store that hosts reach as well."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        # Nothing is sent: this is the address that others see.
        asked.connect(("198.51.100.1", 9))
        own = asked.getsockname()[0]
    made = S3(own)
    yield made
    made.close()


@pytest.fixture(scope="module")
def dtrove(tmp_path_factory: pytest.TempPathFactory, objects: S3) -> Iterator[Installation]:
    """An installation with two stores: a folder, and a bucket."""
    home = tmp_path_factory.mktemp("backups")
    stores = f"local=file://{home}/backups objects=s3://{BUCKET}/here?endpoint={objects.url}&region=us-east-1"
    options = {"DTROVE_BACKUP_STORES": stores, "DTROVE_S3_ACCESS_KEY_ID": "one", "DTROVE_S3_SECRET_ACCESS_KEY": "two"}
    with Installation(home, **options) as made:
        gild(made)
        yield made


@pytest.fixture(scope="module")
def backed_up(dtrove: Installation) -> dict[str, dict[str, Any]]:
    """Of each datastore what a cluster of two nodes had when it was backed up to each store, and its backups; it is gone now."""
    asked = {name: dtrove.create(f"old-{name}", version, size=2, volume_gb=1) for name, version in DATASTORES.items()}
    found = {}
    for name, (cluster, operation) in asked.items():
        _succeeded(dtrove, operation)
        _succeeded(dtrove, dtrove.ask("POST", f"/v1/clusters/{cluster}/users", GUEST).json()["id"])
        url, filling = _urls(dtrove, cluster)[0], FILLINGS[name]
        filling.fill(url)
        had: dict[str, Any] = {"digest": filling.digest(url), "cluster": cluster, "backups": {}}
        for store in STORES:
            answer = dtrove.ask("POST", f"/v1/clusters/{cluster}/backups", {"store": store})
            assert answer.status_code == 202, answer.text
            _succeeded(dtrove, answer.json()["id"])
            had["backups"][store] = answer.json()["backup"]["id"]
        filling.more(url)
        assert filling.digest(url) != had["digest"]
        found[name] = had
    dtrove.remove(*(had["cluster"] for had in found.values()))
    return found


def _succeeded(dtrove: Installation, operation: str) -> dict[str, Any]:
    ended = dtrove.end_of(operation, 300)
    assert ended["status"] == "succeeded", ended["problem"]
    return ended


@pytest.mark.parametrize("datastore", DATASTORES)
def test_a_backup_outlives_its_cluster_and_says_what_it_is(
    dtrove: Installation, backed_up: dict[str, dict[str, Any]], datastore: str
) -> None:
    had = backed_up[datastore]
    for store, backup in had["backups"].items():
        shown = dtrove.get(f"/v1/backups/{backup}")
        assert (shown["status"], shown["store"], shown["cluster_name"]) == ("completed", store, f"old-{datastore}")
        assert shown["facts"]["stored_bytes"] > 1000
        assert shown["facts"]["begun_at"] <= shown["facts"]["ended_at"]
    listed = dtrove.get("/v1/backups?deleted_clusters=true")["backups"]
    assert {one["id"] for one in listed} >= set(had["backups"].values())


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("datastore", DATASTORES)
def test_a_new_cluster_begins_with_the_data_and_the_users_of_the_backup_on_all_of_its_nodes(
    dtrove: Installation, backed_up: dict[str, dict[str, Any]], datastore: str, store: str
) -> None:
    had = backed_up[datastore]
    cluster, operation = dtrove.create(f"new-{datastore}-{store}", DATASTORES[datastore], size=2, volume_gb=1,
                                       restore={"backup": had["backups"][store]})  # fmt: skip
    _succeeded(dtrove, operation)
    places = _urls(dtrove, cluster)
    assert [FILLINGS[datastore].digest(url) for url in places] == 2 * [had["digest"]]
    for url in places:
        _guest_comes_in(datastore, url)
    users = dtrove.get(f"/v1/clusters/{cluster}/users")["users"]
    assert "guest" in {one["name"] for one in users}
    dtrove.remove(cluster)


def _urls(dtrove: Installation, cluster: str) -> list[str]:
    """Of each node by itself, the primary's first."""
    login, endpoint = (
        dtrove.get(f"/v1/clusters/{cluster}/credentials"),
        dtrove.get(f"/v1/clusters/{cluster}")["endpoint"],
    )
    scheme = login["url"].partition(":")[0]
    return [f"{scheme}://{login['username']}:{login['password']}@{place['host']}:{place['port']}"
            for place in (endpoint["primary"], *endpoint["replicas"])]  # fmt: skip


def _guest_comes_in(datastore: str, url: str) -> None:
    if datastore == "redis":
        Redis(url.replace("//dtrove:", "//guest:"), password=GUEST["password"]).close()
    else:
        Sql(url, user=GUEST["name"], password=GUEST["password"]).close()


CHECKS = {
    "pgsql": {
        "name": "orders",
        "database": "postgres",
        "sql": "SELECT count(*) FROM shop.orders",
        "expect": f"{ROWS + 2}",
    },
    "mysql": {"name": "orders", "database": "shop", "sql": "SELECT COUNT(*) FROM orders", "expect": f"{ROWS + 2}"},
    "redis": {"name": "queue", "sql": "LLEN queue", "expect": "4"},
}


def _proved(dtrove: Installation, backup: str, *checks: dict[str, str]) -> dict[str, Any]:
    """The end of a proof, by when its server is gone as well."""
    answer = dtrove.ask("POST", f"/v1/backups/{backup}/verify", {"checks": list(checks)})
    assert answer.status_code == 202, answer.text
    proof, ended = answer.json()["cluster"], dtrove.end_of(answer.json()["id"], 300)
    assert proof not in {one["id"] for one in dtrove.get("/v1/clusters")["clusters"]}
    (delete,) = [
        one for one in dtrove.get(f"/v1/operations?cluster={proof}")["operations"] if one["kind"] == "delete_cluster"
    ]
    _succeeded(dtrove, delete["id"])
    assert dtrove.ask("GET", f"/v1/clusters/{proof}").status_code == 404
    return ended


@pytest.mark.parametrize("datastore", DATASTORES)
def test_a_good_backup_is_verified_and_nothing_is_left_of_the_server(
    dtrove: Installation, backed_up: dict[str, dict[str, Any]], datastore: str
) -> None:
    backup = backed_up[datastore]["backups"]["local"]
    ended = _proved(dtrove, backup, CHECKS[datastore])
    assert ended["status"] == "succeeded", ended["problem"]
    proof = dtrove.get(f"/v1/backups/{backup}")["verified"]
    assert all(one["passed"] for one in proof["checks"])
    (compared,) = [one for one in proof["checks"] if one["name"] == "compared"]
    tally = dtrove.get(f"/v1/backups/{backup}")["facts"]["tally"]
    assert (tally["why"], tally["rows"] > 0) == ("", True), tally
    assert str(tally["rows"]) in compared["found"], compared
    assert proof["checks"][-1]["found"] == CHECKS[datastore]["expect"]
    assert proof["counts"]["keys" if datastore == "redis" else "rows"] > 0
    assert 0 < proof["restore_seconds"] <= proof["seconds"]
    assert proof["rpo_seconds"] > 0


def test_a_backup_with_a_corrupted_object_fails_its_proof_loudly(dtrove: Installation, objects: S3) -> None:
    """Row 22 of the faults: a byte of an object has changed in the store. A new full backup follows by itself."""
    cluster, operation = dtrove.create("damaged", DATASTORES["redis"], volume_gb=1)
    _succeeded(dtrove, operation)
    FILLINGS["redis"].fill(_urls(dtrove, cluster)[0])
    made = dtrove.ask("POST", f"/v1/clusters/{cluster}/backups", {"store": "objects"}).json()
    _succeeded(dtrove, made["id"])
    backup = made["backup"]["id"]
    (key,) = [one for one in objects.kept() if backup in one and "manifest" not in one]
    whole = objects.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    torn = bytes((*whole[:-100], whole[-100] ^ 1, *whole[-99:]))
    objects.client.put_object(Bucket=BUCKET, Key=key, Body=torn)
    try:
        ended = _proved(dtrove, backup)
    finally:
        objects.client.put_object(Bucket=BUCKET, Key=key, Body=whole)
    assert (ended["status"], ended["problem"]["step"]) == ("failed", "restore")
    told = dtrove.get(f"/v1/backups/{backup}")
    assert (told["status"], told["verified"]) == ("failed", None)
    assert "it cannot be restored any more: " in told["message"]
    assert told["verification_failed"]["problem"]["message"]

    def followed() -> bool:
        newest = dtrove.get(f"/v1/clusters/{cluster}/backups")["backups"][0]
        return newest["created_at"] > told["finished_at"] and newest["status"] == "completed"

    wait_for(followed, 120, every=1.0, what="a full backup in the place of the one that is damaged")
    newest = dtrove.get(f"/v1/clusters/{cluster}/backups")["backups"][0]
    assert (newest["kind"], bool(newest["schedule"])) == ("full", True)
    _succeeded(dtrove, dtrove.ask("DELETE", f"/v1/backups/{newest['id']}").json()["id"])
    assert "backup.verification_failed" in {one["type"] for one in dtrove.events()}
    assert _proved(dtrove, backup)["status"] == "succeeded", "it was the object, and it is whole again"
    told = dtrove.get(f"/v1/backups/{backup}")
    assert (told["status"], told["verification_failed"]) == ("completed", None)
    _succeeded(dtrove, dtrove.ask("DELETE", f"/v1/backups/{backup}").json()["id"])
    dtrove.remove(cluster)


def test_what_is_kept_is_encrypted_and_goes_with_its_backup(
    dtrove: Installation, backed_up: dict[str, dict[str, Any]], objects: S3
) -> None:
    kept = [key for key in objects.kept() if "manifest" not in key]
    assert len(kept) == len(DATASTORES)
    for key in kept:
        assert objects.client.get_object(Bucket=BUCKET, Key=key)["Body"].read(21) == b"age-encryption.org/v1"
    for had in backed_up.values():
        for backup in had["backups"].values():
            answer = dtrove.ask("DELETE", f"/v1/backups/{backup}")
            assert answer.status_code == 202, answer.text
            _succeeded(dtrove, answer.json()["id"])
            assert dtrove.ask("GET", f"/v1/backups/{backup}").status_code == 404
    assert objects.kept() == []
    assert not [one for one in (dtrove.home / "backups").rglob("*") if one.is_file()]
