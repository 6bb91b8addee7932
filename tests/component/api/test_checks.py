"""`GET /v1/check`, readiness and metrics: each of them says what is the matter, and only while it is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete

from services.api.actions import parked
from services.api.observer import Observer
from services.api.store import tables
from shared.clock import ManualClock
from shared.contracts.base import dump
from shared.contracts.operations import OperationProgressed
from shared.contracts.state import Disk, HostClocks, OpenTask, ProviderState, Revision, Sealing, ServiceState, Waiting
from shared.db import Database
from tests.component.api.test_observing import metrics
from tests.support.api import Api

NAMES = ["rabbitmq", "api", "datastore_agentless", "provisioner", "scheduler", "provider", "clock", "keyring",
         "backup stores", "backup proofs", "orphans", "operations", "parked", "migrations", "outbox", "disk"]  # fmt: skip
GB = 1024**3


@pytest.fixture
def clock(database: Database) -> ManualClock:
    database.clock = made = ManualClock()
    return made


@pytest.fixture
def api(database: Database, clock: ManualClock) -> Api:
    made = Api(database)
    made.know_choices()
    return made


def looked(api: Api) -> dict[str, dict[str, Any]]:
    """The checks by name, as they are now."""
    api.database.clock.sleep(2)
    return {one["name"]: one for one in api.get("/v1/check", token=api.admin)["checks"]}


def trouble(api: Api) -> dict[str, str]:
    return {name: one["status"] for name, one in looked(api).items() if one["status"] != "ok"}


def test_where_all_is_well_every_check_says_so_and_nothing_is_to_be_done(api: Api) -> None:
    found = looked(api)
    assert list(found) == NAMES
    assert {one["status"] for one in found.values()} == {"ok"}
    assert {one["what_to_do"] for one in found.values()} == {""}


TROUBLES: dict[str, tuple[str, dict[str, Any], dict[str, str], str]] = {
    "its database is away": ("scheduler", {"database": "the database does not answer"}, {"scheduler": "failed"},
                             "the database does not answer"),
    "the provider does not answer": (
        "provisioner", {"provider": ProviderState(name="fake", answers=False, message="HTTP 500")}, {"provider": "failed"},
        "HTTP 500"),
    "the keyring is gone": ("datastore_agentless", {"keyring": "no keyring at /x"}, {"keyring": "failed"}, "no keyring"),
    "secrets that no key opens": ("api", {"secrets": Sealing(total=9, unreadable=2)}, {"keyring": "failed"}, "api: 2 of 9"),
    "secrets of old keys": ("api", {"secrets": Sealing(total=9, old=4)}, {"keyring": "warning"}, "api: 4 of 9"),
    "a server too many": ("provisioner", {"orphans": {"unknown": 1, "doubled": 1, "gone": 0}}, {"orphans": "warning"},
                          "2 things that belong to nobody"),
    "a server too few": ("provisioner", {"orphans": {"unknown": 0, "gone": 1}}, {"orphans": "failed"},
                         "1 server of live instances is gone"),
    "an old database": ("scheduler", {"revision": Revision(database="0001", code="0002", known=True)},
                        {"migrations": "failed"}, "scheduler: its database has 0001, its code 0002"),
    "an old service": ("scheduler", {"revision": Revision(database="0003", code="0002", known=False)},
                       {"migrations": "failed"}, "newer than the code"),
    "messages that wait": ("provisioner", {"outbox": Waiting(messages=3, oldest_seconds=90, error="no queue is bound")},
                           {"outbox": "warning"}, "3 messages, the oldest for 90 s: no queue is bound"),
    "messages that wait for long": ("provisioner", {"outbox": Waiting(messages=1, oldest_seconds=900)},
                                    {"outbox": "failed"}, "1 message, the oldest for 900 s"),
    "a disk that fills": ("api", {"disk": Disk(free_bytes=GB, total_bytes=9 * GB)}, {"disk": "warning"}, "1.0 GB are free"),
    "a full disk": ("api", {"disk": Disk(free_bytes=0, total_bytes=9 * GB)}, {"disk": "failed"}, "0.0 GB are free"),
    "a database's clock": ("api", {"database_ahead": -3.0}, {"clock": "warning"},
                           "the database's clock of api is 3.0 s behind"),
    "a database's wrong clock": ("api", {"database_ahead": 300.0}, {"clock": "failed"}, "300.0 s ahead of"),
    "a store of backups that is away": (
        "datastore_agentless", {"stores": {"local": "", "far": "the store far does not answer"}}, {"backup stores": "warning"},
        "far: the store far does not answer"),
    "a host's clock": ("datastore_agentless", {"hosts": HostClocks(known=4, worst_host="shop-1", worst_seconds=31.0)},
                       {"clock": "warning"}, "the clock of the host shop-1 was 31.0 s ahead of"),
}  # fmt: skip


@pytest.mark.parametrize("case", TROUBLES)
def test_each_trouble_is_told_by_the_check_it_concerns_and_by_no_other_and_ends_with_it(api: Api, case: str) -> None:
    service, state, wanted, words = TROUBLES[case]
    api.states.change(service, **state)
    found = looked(api)
    assert {name: one["status"] for name, one in found.items() if one["status"] != "ok"} == wanted
    (name,) = wanted
    assert words in found[name]["message"]
    assert found[name]["what_to_do"]
    api.states.change(service)
    assert trouble(api) == {}


def test_a_service_that_does_not_answer_is_named_and_what_it_alone_knows_is_not_guessed(api: Api) -> None:
    api.states.said["provisioner"] = "provisioner did not answer within 3 s"
    found = looked(api)
    assert found["provisioner"]["status"] == "failed"
    assert "within 3 s" in found["provisioner"]["message"]
    assert "dtrove status" in found["provisioner"]["what_to_do"]
    assert {found[name]["status"] for name in ("provider", "orphans")} == {"warning"}
    assert found["scheduler"]["status"] == "ok"


def test_rabbitmq_is_told_apart_from_the_services_behind_it(api: Api) -> None:
    api.states.broker = "RabbitMQ cannot be reached: refused"
    assert trouble(api) == {"rabbitmq": "failed"}


@pytest.mark.parametrize(("ahead", "status"), [(0.5, None), (-3.0, "warning"), (60.0, "failed")])
def test_a_services_clock_is_held_against_the_apis(api: Api, ahead: float, status: str | None) -> None:
    api.states.ahead["scheduler"] = ahead
    (found,) = [one for one in api.observer.checks() if one.name == "clock"]
    assert found.status == (status or "ok")
    assert ("the clock of scheduler" in found.message) == (status is not None)


def test_what_the_journey_of_an_answer_takes_is_not_taken_for_a_wrong_clock(api: Api, clock: ManualClock) -> None:
    def slow(_: list[str]) -> dict[str, Any]:
        state = api.states.well("scheduler")
        clock.sleep(6)
        return dump(state)

    (found,) = [one for one in Observer(api.database, {"scheduler": slow}).checks() if one.name == "clock"]
    assert found.status == "ok"


def test_a_service_that_speaks_in_other_words_is_one_that_does_not_answer(api: Api) -> None:
    observer = Observer(api.database, {"scheduler": lambda _: {"service": "scheduler", "now": "yesterday"}})
    (found,) = [one for one in observer.checks() if one.name == "scheduler"]
    assert found.status == "failed"
    assert "another version" in found.message


def test_a_newer_service_that_says_more_is_understood(api: Api) -> None:
    known = dump(api.states.well("scheduler"))
    observer = Observer(api.database, {"scheduler": lambda _: {**known, "mood": "good"}})
    assert [one.status for one in observer.checks() if one.name == "scheduler"] == ["ok"]


def progress(cluster: str, operation: str, clock: ManualClock, message: str = "") -> OperationProgressed:
    return OperationProgressed(
        operation_id=operation, cluster_id=cluster, service="provisioner", kind="build_instance", step="wait_for_server",
        status="waiting", host="shop-1", sequence=int(clock.now().timestamp() * 1_000_000), message=message,
    )  # fmt: skip


def task(operation: str, clock: ManualClock, *, worked_on: bool, due: float) -> OpenTask:
    return OpenTask(operation_id=operation, kind="build_instance", step="wait_for_server", attempt=4, worked_on=worked_on,
                    due_at=clock.now() + timedelta(seconds=due), message="the cloud is busy")  # fmt: skip


def test_an_operation_that_is_silent_for_ten_minutes_is_stuck_and_one_that_speaks_is_not(
    api: Api, clock: ManualClock
) -> None:
    cluster, operation = api.create()
    clock.advance(590)
    assert trouble(api) == {}
    clock.advance(20)
    found = looked(api)["operations"]
    assert found["status"] == "failed"
    assert f"create_cluster {operation} of shop: before its first step" in found["message"]
    assert "no service has work filed for it" in found["message"]
    assert "dtrove operation cancel" in found["what_to_do"]
    api.hear(progress(cluster, operation, clock))
    assert trouble(api) == {}
    clock.advance(610)
    api.hear(progress(cluster, operation, clock, "the server is BUILD"))
    clock.advance(610)
    assert "step wait_for_server on shop-1 (the server is BUILD), silent for" in looked(api)["operations"]["message"]
    assert api.states.wanted == [operation]


@pytest.mark.parametrize(
    ("worked_on", "due", "words"),
    [
        (True, -5.0, "provisioner works on wait_for_server, and has said nothing since: look at the host"),
        (False, 33.0, "provisioner tries wait_for_server again in"),
        (False, -99.0, "provisioner has wait_for_server filed, and nobody takes it"),
    ],
)
def test_a_stuck_operation_says_who_is_at_it(
    api: Api, clock: ManualClock, worked_on: bool, due: float, words: str
) -> None:
    _, operation = api.create()
    clock.advance(700)
    api.states.change("provisioner", tasks=(task(operation, clock, worked_on=worked_on, due=due),))
    assert words in looked(api)["operations"]["message"]


def test_a_stuck_operation_says_whose_work_is_not_known(api: Api, clock: ManualClock) -> None:
    api.create()
    clock.advance(700)
    api.states.said["provisioner"] = "provisioner did not answer within 3 s"
    assert "provisioner cannot be asked for its work" in looked(api)["operations"]["message"]


def test_an_operation_that_has_ended_is_not_stuck(api: Api, clock: ManualClock) -> None:
    _, operation = api.create()
    answer = api.ask("POST", f"/v1/operations/{operation}/cancel")
    assert answer.status_code == 202
    with api.database.write() as tx:
        tx.connection.execute(tables.operations.update().values(status="cancelled", finished_at=clock.now()))
    clock.advance(10_000)
    assert trouble(api) == {}


def park(api: Api) -> None:
    parked.keep(api.database, message_id="5b1f0f0e-6f2b-4a5e-9b0a-0c5a4a3d2f10", service="scheduler", queue="q",
                topic="t", reason="refused", body="{}", headers={})  # fmt: skip


def test_a_parked_message_is_a_warning_until_it_is_dropped(api: Api) -> None:
    park(api)
    found = looked(api)["parked"]
    assert (found["status"], found["message"]) == ("warning", "1 message could not be taken in")
    assert "dtrove parked list" in found["what_to_do"]
    with api.database.write() as tx:
        tx.connection.execute(delete(tables.parked))
    assert trouble(api) == {}


def test_only_an_administrator_may_look(api: Api) -> None:
    for token, status in (("", 401), (api.reader, 403), (api.member, 403), (api.admin, 200)):
        assert api.ask("GET", "/v1/check", token=token).status_code == status


def test_whoever_asks_in_a_loop_does_not_keep_the_bus_busy(api: Api) -> None:
    looked(api)
    before = api.states.asked
    for _ in range(5):
        api.get("/v1/check", token=api.admin)
    assert api.states.asked == before


def test_readiness_tells_what_was_last_seen_and_stays_ready(api: Api, clock: ManualClock) -> None:
    assert api.ask("GET", "/readyz", token="").json["notices"] == {}
    _, operation = api.create()
    clock.advance(700)
    park(api)
    api.states.change("provisioner", orphans={"unknown": 2})
    api.observer.look()
    asked = api.states.asked
    answer = api.ask("GET", "/readyz", token="")
    assert answer.status_code == 200
    notices = answer.json["notices"]
    assert list(notices) == NAMES
    assert notices["parked"] == "1 message could not be taken in"
    assert notices["orphans"] == "the provider holds 2 things that belong to nobody"
    assert notices["operations"].startswith("1 operation stuck")
    assert notices["outbox"] == "ok"
    # It needs no token: it gives no id away, and asks nobody.
    assert operation not in answer.text
    assert api.states.asked == asked


def test_metrics_tell_what_was_last_seen_without_asking_anybody(api: Api, clock: ManualClock) -> None:
    assert not any(name == "dtrove_check" for name, _ in metrics(api))
    api.create()
    clock.advance(700)
    park(api)
    api.states.said["scheduler"] = "scheduler did not answer within 3 s"
    api.states.change(
        "provisioner",
        orphans={"unknown": 2, "gone": 1},
        outbox=Waiting(messages=7, oldest_seconds=70.0),
        provider=ProviderState(name="fake", answers=False, calls=7),
        secrets=Sealing(total=5, old=2, unreadable=1),
    )
    api.states.change(
        "api", database_ahead=4.0, revision=Revision(database="0001", code="0002", known=True), keyring="no keyring"
    )
    api.states.change("datastore_agentless", hosts=HostClocks(known=1, worst_host="shop-1", worst_seconds=9.0))
    api.observer.look()
    asked = api.states.asked
    clock.advance(5)
    found = metrics(api)
    one = lambda name, **labels: found[f"dtrove_{name}", tuple(sorted(labels.items()))]  # noqa: E731
    assert one("seen_seconds_ago") == 5
    assert one("up", service="scheduler") == 0
    assert one("up", service="rabbitmq") == one("up", service="provisioner") == 1
    assert one("stuck_operations") == 1
    assert one("parked_messages") == 1
    assert one("orphans", why="unknown") == 2
    assert one("orphans", why="gone") == 1
    assert one("provider_answers", provider="fake") == 0
    assert one("provider_calls", provider="fake") == 7
    assert one("outbox_depth", service="provisioner") == 7
    assert one("outbox_oldest_seconds", service="provisioner") == 70
    assert one("secrets_sealed_by_old_keys", service="provisioner") == 2
    assert one("secrets_unreadable", service="provisioner") == 1
    assert one("keyring_readable", service="api") == 0
    assert one("migrations_pending", service="api") == 1
    assert one("migrations_pending", service="provisioner") == 0
    assert one("clock_ahead_seconds", of="api", kind="database") == 4
    assert one("clock_ahead_seconds", of="hosts", kind="host") == 9
    assert one("disk_free_bytes", service="provisioner") == 2**40
    assert one("check", check="scheduler") == 2
    assert one("check", check="parked") == 1
    assert one("check", check="disk") == 0
    assert api.states.asked == asked


def test_a_state_goes_over_the_bus_and_comes_back_the_same(api: Api) -> None:
    from shared.contracts.base import load

    whole = api.states.well(
        "provisioner",
        tasks=(task("o", ManualClock(), worked_on=True, due=1.0),),
        database_ahead=0.5,
        hosts=HostClocks(known=1),
        outbox=Waiting(messages=1),
    )
    assert load(ServiceState, dump(whole)) == whole
