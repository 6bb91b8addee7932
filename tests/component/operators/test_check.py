"""`dtrove check` over a whole DTrove: each fault is made for real, is told by the check it concerns, and ends with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import kombu
import pytest
import requests

from client.exits import Exit
from client.rabbitmq import PrivateRabbit
from services.provisioner.providers.fake import Cloud
from services.provisioner.providers.fake.provider import STATE_FILE
from shared.db.engine import make_engine
from shared.secrets import Keyring, new_key, read_keyring, write_keyring
from tests.support.installation import Installation, wait_for

pytestmark = [pytest.mark.rabbit, pytest.mark.slow]

STRANGER = "77777777-2222-4333-8444-555555555555"
Checks = dict[str, dict[str, Any]]


def look(dtrove: Installation) -> tuple[int, Checks]:
    """The exit code, and every check by its name."""
    done = dtrove.dtrove("check", "--json", timeout=120, check=False)
    assert done.stdout, done.stderr
    return done.returncode, {one["name"]: one for one in json.loads(done.stdout)["checks"]}


def seen(dtrove: Installation) -> Checks:
    """What the API alone sees; nothing while it does not answer."""
    try:
        answer = dtrove.ask("GET", "/v1/check")
    except requests.RequestException:
        return {}
    return {one["name"]: one for one in answer.json()["checks"]} if answer.ok else {}


def until(dtrove: Installation, wanted: Callable[[Checks], bool], seconds: float = 90) -> tuple[int, Checks]:
    """Wait until the checks are as wanted; return what the command line makes of that."""
    wait_until(dtrove, wanted, seconds)
    return look(dtrove)


def wait_until(dtrove: Installation, wanted: Callable[[Checks], bool], seconds: float = 90) -> None:
    """Wait until the API's checks are as wanted."""

    def so() -> bool:
        found = seen(dtrove)
        return bool(found) and wanted(found)

    try:
        wait_for(so, seconds, 0.3, "the check's new mind")
    except AssertionError as error:
        raise AssertionError(f"{error}: {json.dumps(seen(dtrove), indent=1)}\n{dtrove.logs(5)}") from None


def well(found: Checks) -> bool:
    return {one["status"] for one in found.values()} == {"ok"}


def is_now(name: str, status: str) -> Callable[[Checks], bool]:
    return lambda found: bool(found[name]["status"] == status)


@pytest.fixture
def healthy(dtrove: Installation) -> Installation:
    """All is well before a test, so that what it sees is its own fault's doing."""
    wait_until(dtrove, well)
    return dtrove


def cloud(dtrove: Installation) -> Cloud:
    """The same cloud that the provisioner has, seen from here."""
    return Cloud(path=dtrove.home / STATE_FILE)


def test_where_all_is_well_every_check_says_so_and_it_ends_with_nought(healthy: Installation) -> None:
    code, found = until(healthy, well)
    assert code == 0
    assert well(found)
    assert {"rabbitmq", "provisioner", "provider", "keyring", "processes", "databases"} <= set(found)


def test_a_service_that_hangs_is_named_and_nobody_else(healthy: Installation) -> None:
    with healthy.frozen("scheduler"):
        code, found = until(healthy, is_now("scheduler", "failed"))
    assert code == Exit.FAILED
    assert "did not answer" in found["scheduler"]["message"]
    assert found["provisioner"]["status"] == found["rabbitmq"]["status"] == "ok"
    wait_until(healthy, well)


def test_an_api_that_hangs_leaves_what_the_machine_itself_can_see(healthy: Installation) -> None:
    with healthy.frozen("api"):
        code, found = look(healthy)
    assert code == Exit.UNAVAILABLE
    assert found["api"]["status"] == "failed"
    assert found["keyring file"]["status"] == found["databases"]["status"] == "ok"
    wait_until(healthy, well)


def test_an_operation_whose_service_hangs_is_stuck_until_that_goes_on(healthy: Installation) -> None:
    with healthy.frozen("provisioner"):
        _, operation = healthy.create("stuck", "redis 7.0")
        code, found = until(healthy, is_now("operations", "failed"))
    assert code == Exit.FAILED
    assert f"create_cluster {operation} of stuck" in found["operations"]["message"]
    assert "provisioner cannot be asked for its work" in found["operations"]["message"]
    assert healthy.end_of(operation)["status"] == "succeeded"
    wait_until(healthy, well)


def test_a_parked_message_is_told_until_it_is_dropped(healthy: Installation, broker: PrivateRabbit) -> None:
    with kombu.Connection(broker.uri) as line:
        bad = {
            "event_id": STRANGER,
            "token": "no token of anybody's",
            "cluster": {"name": "x", "datastore": "redis 7.0"},
        }
        line.Producer().publish(bad, exchange="external.events", routing_key="cluster.requested", serializer="json")
    code, found = until(healthy, is_now("parked", "warning"))
    assert code == 0
    assert "dtrove parked list" in found["parked"]["what_to_do"]
    for message in json.loads(healthy.dtrove("parked", "list", "--json").stdout):
        healthy.dtrove("parked", "drop", message["id"], "--yes")
    wait_until(healthy, well)


def test_a_keyring_that_is_gone_fails_the_check_while_services_go_on_with_what_they_read(healthy: Installation) -> None:
    path, aside = healthy.home / "keyring", healthy.home / "keyring.aside"
    path.rename(aside)
    try:
        code, found = until(healthy, is_now("keyring", "failed"))
        assert code == Exit.FAILED
        assert found["keyring"]["status"] == found["keyring file"]["status"] == "failed"
        assert "provisioner: no keyring at" in found["keyring"]["message"]
        made, operation = healthy.create("without-keyring", "redis 7.0")
        assert healthy.end_of(operation)["status"] == "succeeded"
        assert healthy.end_of(healthy.delete(made))["status"] == "succeeded"
    finally:
        aside.rename(path)
    wait_until(healthy, well)


def test_secrets_of_an_old_key_are_counted_until_they_are_sealed_anew(healthy: Installation) -> None:
    _, operation = healthy.create("sealed", "redis 7.0")
    assert healthy.end_of(operation)["status"] == "succeeded"
    path = healthy.home / "keyring"
    write_keyring(path, Keyring((new_key(), *read_keyring(path).keys)))
    _, found = until(healthy, lambda found: "datastore_agentless: " in found["keyring"]["message"])
    assert found["keyring"]["status"] == "warning"
    healthy.dtrove("secrets", "rotate", "--drop-old")
    wait_until(healthy, well)


def test_secrets_that_no_key_opens_fail_the_check(healthy: Installation) -> None:
    path = healthy.home / "keyring"
    ring = read_keyring(path)
    _, operation = healthy.create("sealed-too", "redis 7.0")
    assert healthy.end_of(operation)["status"] == "succeeded"
    write_keyring(path, Keyring((new_key(),)))
    try:
        code, found = until(healthy, is_now("keyring", "failed"))
    finally:
        write_keyring(path, ring)
    assert code == Exit.FAILED
    assert "cannot be opened with any key" in found["keyring"]["message"]
    wait_until(healthy, well)


def test_a_database_that_a_newer_version_has_touched_fails_the_check(healthy: Installation) -> None:
    engine = make_engine(f"sqlite:///{healthy.home}/scheduler.sqlite")

    def version(number: str) -> None:
        with engine.connect() as connection:
            connection.exec_driver_sql("update alembic_version set version_num = ?", (number,))

    with engine.connect() as connection:
        before = str(connection.exec_driver_sql("select version_num from alembic_version").scalar())
    version("9999")
    try:
        code, found = until(healthy, is_now("migrations", "failed"))
    finally:
        version(before)
        engine.dispose()
    assert code == Exit.FAILED
    assert "scheduler: its database has 9999" in found["migrations"]["message"]
    assert "an old service is still running" in found["migrations"]["what_to_do"]
    assert "newer than the code here" in found["databases"]["message"]
    wait_until(healthy, well)


def test_a_broker_that_is_away_is_told_apart_and_all_is_well_once_it_is_back(
    healthy: Installation, broker: PrivateRabbit
) -> None:
    broker.stop()
    try:
        code, found = until(healthy, is_now("rabbitmq", "failed"))
    finally:
        broker.start()
        broker.wait_ready(60)
    assert code == Exit.FAILED
    assert found["rabbitmq port"]["status"] == "failed"
    assert found["databases"]["status"] == "ok"
    wait_until(healthy, well)


def test_metrics_and_readiness_tell_of_an_orphan_within_half_a_minute_and_stay_ready(healthy: Installation) -> None:
    theirs = cloud(healthy).add_server(STRANGER, STRANGER, "a stranger's", "small")
    try:
        wait_for(
            lambda: 'dtrove_orphans{why="unknown"} 1.0' in healthy.ask("GET", "/metrics").text, 90, 0.5, "the metric"
        )
        answer = healthy.ask("GET", "/readyz")
        assert answer.status_code == 200
        assert "belongs to nobody" in answer.json()["notices"]["orphans"]
    finally:
        cloud(healthy).remove_one("server", theirs.id, STRANGER)
    wait_until(healthy, well)
