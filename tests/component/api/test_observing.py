"""What an operator can see of the API: health, readiness, metrics, logs, request ids."""

from __future__ import annotations

import json
import logging

import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.api.readiness import Readiness
from services.api.schemas import operating
from shared import log as logs
from shared.clock import ManualClock
from shared.db import Database
from shared.errors import Unavailable
from tests.component.api.test_clusters import active
from tests.support.api import Api
from tests.support.postgres import PrivatePostgres


def metrics(api: Api) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = api.ask("GET", "/metrics", token="").text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_count_things_by_state_and_requests_by_route(api: Api) -> None:
    cluster, operation = api.create("one")
    active(api, cluster, operation)
    api.create("two")
    for path in (
        f"/v1/clusters/{cluster}",
        "/v1/clusters/6f811716-0744-413b-ad49-f0107806eb37",
        "/nowhere/x",
        "/nowhere/y",
    ):
        api.ask("GET", path)
    found = metrics(api)
    assert found["dtrove_clusters", (("status", "active"),)] == 1
    assert found["dtrove_clusters", (("status", "requested"),)] == 1
    assert found["dtrove_instances", (("status", "active"),)] == 1
    assert found["dtrove_operations", (("status", "succeeded"),)] == 1
    assert found["dtrove_parked_messages", ()] == 0
    route = "/v1/clusters/{cluster_id}"
    requests = "dtrove_http_requests_total"
    assert found[requests, (("method", "GET"), ("route", route), ("status", "200"))] == 2
    assert found[requests, (("method", "GET"), ("route", route), ("status", "404"))] == 1
    assert found[requests, (("method", "GET"), ("route", "none"), ("status", "404"))] == 2
    assert found["dtrove_http_request_seconds_count", (("method", "GET"), ("route", route))] == 3


def test_metrics_do_not_grow_with_what_strangers_send(api: Api) -> None:
    def size() -> int:
        return len(metrics(api))

    api.ask("GET", "/nowhere")
    api.ask("TRACE", "/nowhere")
    size()
    before = size()
    for number in range(30):
        api.ask("GET", f"/nowhere/{number}")
        api.ask("CONNECT", f"/nowhere/{number}")
    assert size() == before


def test_readiness_names_what_is_missing(api: Api) -> None:
    assert api.ask("GET", "/readyz", token="").status_code == 200
    api.ready["provisioner"] = "provisioner did not answer within 3 s"
    answer = api.ask("GET", "/readyz", token="")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json["checks"]["provisioner"] == "provisioner did not answer within 3 s"
    assert not operating.Readiness().validate(answer.json)
    assert api.ask("GET", "/healthz", token="").json == {"status": "ok"}


def test_readiness_asks_every_dependency_but_not_for_everyone_who_asks(database: Database) -> None:
    asked: list[str] = []

    def away() -> None:
        asked.append("scheduler")
        raise Unavailable("scheduler did not answer within 3 s")

    database.clock = clock = ManualClock()
    readiness = Readiness(
        database, {"provisioner": lambda: None, "scheduler": away}, lambda checks: [one() for one in checks]
    )
    wanted = {"database": "ok", "datastores": "not heard of yet", "flavors": "not heard of yet", "provisioner": "ok",
              "scheduler": "scheduler did not answer within 3 s"}  # fmt: skip
    assert readiness.checks() == readiness.checks() == wanted
    assert len(asked) == 1
    clock.advance(3)
    readiness.checks()
    assert len(asked) == 2


def test_every_answer_has_an_id_and_the_clients_own_is_kept_where_it_is_sane(api: Api) -> None:
    assert api.ask("GET", "/v1/clusters", headers={"X-Request-ID": "mine-7"}).headers["x-request-id"] == "mine-7"
    for bad in ("a b", "x" * 65, "x;y", "\u00e4"):
        assert len(api.ask("GET", "/v1/clusters", headers={"X-Request-ID": bad}).headers["x-request-id"]) == 36
    ids = {api.ask("GET", path).headers["x-request-id"] for path in ("/v1/clusters", "/nowhere", "/healthz")}
    assert len(ids) == 3


@pytest.mark.parametrize("path", ["/v1/clusters", "/healthz", "/docs", "/nowhere"])
def test_every_answer_keeps_browsers_careful(api: Api, path: str) -> None:
    headers = api.ask("GET", path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"


def test_every_request_is_one_line_of_json_in_the_log_without_its_token(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    try:
        logs.configure("api")
        answer = api.ask("GET", "/v1/clusters?name=secret-name")
        api.ask("GET", "/nowhere\n{}", token="bad-token")
    finally:
        root.handlers[:], root.level = before[0], before[1]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    first, second = [line for line in lines if line["event"] == "request"]
    assert (first["method"], first["path"], first["status"]) == ("GET", "/v1/clusters", 200)
    assert first["request_id"] == answer.headers["x-request-id"]
    assert first["ms"] > 0
    assert second["status"] == 401
    assert api.member not in str(lines)
    assert "bad-token" not in str(lines)


def test_a_database_that_is_away_is_503_and_no_harm_is_done(postgres: PrivatePostgres) -> None:
    from tests.support.api import open_database

    api = Api(open_database(postgres.fresh("away")))
    api.know_choices()
    api.create("one")
    postgres.pause()
    try:
        for method, path, body in (
            ("GET", "/v1/clusters", None), ("POST", "/v1/clusters", {"name": "two", "datastore": "pgsql 15"}),
            ("GET", "/metrics", None),
        ):  # fmt: skip
            answer = api.ask(method, path, body)
            assert answer.status_code == 503, (path, answer.text)
            assert int(answer.headers["retry-after"]) > 0
            assert "try again" in answer.json["detail"]
        assert api.ask("GET", "/healthz", token="").status_code == 200
    finally:
        postgres.resume()
    api.create("two")
    assert len(api.get("/v1/clusters")["clusters"]) == 2


def test_paths_that_are_open_can_be_closed(database: Database) -> None:
    from dataclasses import replace

    from falcon.testing import TestClient

    from services.api.app import make_app
    from services.api.settings import parse_open_paths

    api = Api(database)
    closed = TestClient(make_app(replace(api.context, open_paths=parse_open_paths("/healthz"))))
    assert closed.simulate_get("/healthz").status_code == 200
    for path in ("/metrics", "/readyz", "/v1/openapi.json", "/docs"):
        assert closed.simulate_get(path).status_code == 401
        assert closed.simulate_get(path, headers={"Authorization": f"Bearer {api.reader}"}).status_code == 200
    assert parse_open_paths("none") == ()
    with pytest.raises(ValueError, match="always needs a token"):
        parse_open_paths("/v1/clusters")
