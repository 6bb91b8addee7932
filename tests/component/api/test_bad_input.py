"""What is wrong is refused with a sentence, and nothing is made of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.api.domain.limits import BODY_BYTES
from services.api.openapi import methods_of
from services.api.routes import ROUTES
from tests.support.api import Api

GOOD = {"name": "shop", "datastore": "pgsql 15"}
NAMES = [
    "", "Shop", "shop's", 'shop"', "shop\n", "shop\x00", "shop;reboot", "$(reboot)", "`id`", "shop && id", "../shop", "a b",
    "shop-", "-shop", "1shop", "läden", "店", "shop\u202e", "a" * 64, "a" * 10_000, "%s%s%n", "' or 1=1 --", "\ud800",
]  # fmt: skip
BODIES = {
    "unknown field": ({**GOOD, "colour": "red"}, "colour"),
    "no datastore": ({"name": "shop"}, "datastore"),
    "unknown datastore": ({**GOOD, "datastore": "oracle 23"}, "datastore"),
    "unknown version": ({**GOOD, "datastore": "pgsql 8"}, "datastore"),
    "datastore with a NUL": ({**GOOD, "datastore": "pgsql\x00 15"}, "datastore"),
    "unknown flavor": ({**GOOD, "flavor": "gigantic"}, "flavor"),
    "datastore as a number": ({**GOOD, "datastore": 15}, "datastore"),
    "size 0": ({**GOOD, "size": 0}, "size"),
    "size -1": ({**GOOD, "size": -1}, "size"),
    "size ten": ({**GOOD, "size": "ten"}, "size"),
    "size as text": ({**GOOD, "size": "1"}, "size"),
    "size 2 of what has no replicas": ({**GOOD, "datastore": "mysql 10.11", "size": 2}, "size"),
    "an unknown mode": ({**GOOD, "size": 2, "topology": {"mode": "both"}}, "topology.mode"),
    "an unknown policy": ({**GOOD, "size": 2, "topology": {"failover": "sometimes"}}, "topology.failover"),
    "a topology as text": ({**GOOD, "size": 2, "topology": "sync"}, "topology"),
    "a mode of one node": ({**GOOD, "topology": {"mode": "async"}}, "topology.mode"),
    "a mode that the datastore has not": (
        {**GOOD, "datastore": "redis 7.0", "size": 2, "topology": {"mode": "sync"}}, "topology.mode"
    ),
    "size 6": ({**GOOD, "size": 6}, "size"),
    "size 1e100": ({**GOOD, "size": 1e100}, "size"),
    "size 1.5": ({**GOOD, "size": 1.5}, "size"),
    "size 1.0": ({**GOOD, "size": 1.0}, "size"),
    "size true": ({**GOOD, "size": True}, "size"),
    "size null": ({**GOOD, "size": None}, "size"),
    "size of 100 digits": ({**GOOD, "size": 10**100}, "size"),
    "volume 0": ({**GOOD, "volume_gb": 0}, "volume_gb"),
    "volume of many": ({**GOOD, "volume_gb": 10**9}, "volume_gb"),
    "protection yes": ({**GOOD, "deletion_protection": "yes"}, "deletion_protection"),
    "protection 1": ({**GOOD, "deletion_protection": 1}, "deletion_protection"),
    "name as a list": ({**GOOD, "name": ["shop"]}, "name"),
    "name null": ({**GOOD, "name": None}, "name"),
}  # fmt: skip


def nothing_was_made(api: Api) -> None:
    assert api.rows("clusters") == []
    assert api.rows("operations") == []
    assert api.rows("outbox") == []
    assert api.rows("idempotency") == []


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:20]))
def test_a_name_that_is_no_label_is_refused_by_field(api: Api, name: str) -> None:
    answer = api.ask("POST", "/v1/clusters", {**GOOD, "name": name}, key="k")
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == "name"
    assert answer.json["errors"][0]["reason"]
    nothing_was_made(api)


@pytest.mark.parametrize("case", BODIES)
def test_each_wrong_field_is_named(api: Api, case: str) -> None:
    body, field = BODIES[case]
    answer = api.ask("POST", "/v1/clusters", body, key="k")
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json["errors"]] == [field]
    nothing_was_made(api)


def test_several_nodes_of_what_has_no_replicas_are_refused_with_a_sentence(api: Api) -> None:
    answer = api.ask("POST", "/v1/clusters", {**GOOD, "datastore": "mysql 10.11", "size": 2})
    assert answer.json["errors"][0]["reason"] == "mysql - 10.11 has no replicas here: ask for size 1"


def test_the_longest_names_of_unknown_fields_are_cut(api: Api) -> None:
    answer = api.ask("POST", "/v1/clusters", {**GOOD, "x" * 10_000: 1, "\ud800": 2})
    assert answer.status_code == 422
    assert len(answer.text) < 1000


RAW = {
    "not JSON": (b"{", 400),
    "a word": (b"shop", 400),
    "NaN": (b'{"size": NaN}', 400),
    "Infinity": (b'{"size": Infinity}', 400),
    "invalid UTF-8": (b'{"name": "\xff\xfe"}', 400),
    "UTF-16": ('{"name": "shop"}'.encode("utf-16"), 400),
    "thousands of digits": (b'{"size": ' + b"9" * 5000 + b"}", 400),
    "an array": (b"[]", 422),
    "a number": (b"7", 422),
    "null": (b"null", 422),
    "a text": (b'"shop"', 422),
    "nothing": (b"", 422),
    "blanks": (b"  \n ", 422),
    "deep arrays": (b'{"name": ' + b"[" * 5000 + b"]" * 5000 + b"}", 400),
    "deep objects": (b'{"a":' * 500 + b"1" + b"}" * 500, 422),
    "half a character": (b'{"name": "\\ud800"}', 422),
    "a NUL in a key": (b'{"\\u0000": 1}', 422),
    "too large": (b'{"name": "' + b"a" * BODY_BYTES + b'"}', 413),
}


@pytest.mark.parametrize("case", RAW)
def test_a_body_that_is_no_json_object_is_refused(api: Api, case: str) -> None:
    raw, status = RAW[case]
    answer = api.ask("POST", "/v1/clusters", raw=raw, key="k", headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    nothing_was_made(api)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "multipart/form-data"]
)
def test_a_body_of_another_kind_is_refused(api: Api, kind: str) -> None:
    answer = api.ask("POST", "/v1/clusters", raw=json.dumps(GOOD).encode(), headers={"Content-Type": kind})
    assert answer.status_code == 415
    assert "Content-Type: application/json" in answer.json["detail"]
    nothing_was_made(api)


# Every worker of a run has to find the same tests.
NOBODY = "0b0d1e5a-0000-4000-8000-000000000000"
QUERIES = {
    "/v1/clusters": ["limit=0", "limit=-1", "limit=101", "limit=ten", "limit=1_0", "limit=%20%205", "limit=", "limit=1e2",
                     "limit=9" + "9" * 400, "limit=5&limit=6", "marker=x", f"marker={NOBODY}", "marker=%00",
                     "marker=" + "a" * 3000, "status=%00", "name=" + "a" * 3000, "colour=red", "limit=%C2%B2"],
    "/v1/operations": ["limit=0", "marker=x", f"marker={NOBODY}", "cluster=x", "cluster=%00", "sort=up"],
    "/v1/events": ["since=-1", "since=x", "since=1.5", "since=" + "9" * 30, "limit=0", "follow=maybe"],
    "/v1/tokens": ["limit=0", "marker=x"],
    "/v1/projects": ["limit=0", "marker=x"],
    "/v1/flavors": ["datastore=oracle", "datastore=%00", "x=y"],
    "/v1/datastores": ["x=y"],
}  # fmt: skip


@pytest.mark.parametrize(("path", "query"), [(path, query) for path, found in QUERIES.items() for query in found],
                         ids=lambda text: text[:40])  # fmt: skip
def test_a_wrong_query_is_refused_by_field(api: Api, path: str, query: str) -> None:
    answer = api.ask("GET", f"{path}?{query}", token=api.admin)
    assert answer.status_code == 422, answer.text
    assert answer.json["errors"][0]["field"] in query


@pytest.mark.parametrize("header", ["x", "-1", "9" * 30])
def test_a_stream_resumes_only_after_the_id_of_an_event(api: Api, header: str) -> None:
    assert api.ask("GET", "/v1/events?follow=true", headers={"Last-Event-ID": header}).status_code == 422


def test_a_plan_that_is_perhaps_wanted_is_refused_and_nothing_is_made(api: Api) -> None:
    assert api.ask("POST", "/v1/clusters?plan=maybe", GOOD, key="k").status_code == 422
    nothing_was_made(api)


@pytest.mark.parametrize("name", ["x", "1", "%00", "..%2f..%2fetc%2fpasswd", "'%20or%201=1", "%FF", "a" * 5000, "{}",
                                  "urn:uuid:6f811716-0744-413b-ad49-f0107806eb37"], ids=lambda text: text[:20])  # fmt: skip
def test_what_is_no_id_is_not_there_on_every_route(api: Api, name: str) -> None:
    for path, method, url in _with_ids(name):
        answer = api.ask(method, url, {} if method in ("POST", "PUT", "PATCH") else None, token=api.admin)
        assert answer.status_code == 404, (path, method, answer.text)


def _with_ids(name: str) -> Iterator[tuple[str, str, str]]:
    for route in ROUTES:
        if "{" in route[0]:
            url = "/".join(name if part.startswith("{") else part for part in route[0].split("/"))
            yield from ((route[0], method.upper(), url) for method in methods_of(route))


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/clusters", "/v1/clusters/x/y/z", "/v1/" + "a" * 20_000, "/v1/%00"],
                         ids=lambda text: text[:30])  # fmt: skip
def test_an_unknown_path_is_not_found(api: Api, path: str) -> None:
    assert api.ask("GET", path).status_code == 404


@pytest.mark.parametrize("key", ["a" * 256, "a b", "ä", "\x01"])
def test_an_idempotency_key_that_no_log_could_show_is_refused(api: Api, key: str) -> None:
    answer = api.ask("POST", "/v1/clusters", GOOD, key=key)
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == "Idempotency-Key"
    nothing_was_made(api)


OTHERS = [
    ("/v1/tokens", {"name": ""}, "name"),
    ("/v1/tokens", {"name": "x\x00"}, "name"),
    ("/v1/tokens", {"name": "x", "role": "god"}, "role"),
    ("/v1/tokens", {"name": "x", "project": "nowhere"}, "project"),
    ("/v1/tokens", {"name": "x", "expires_at": "tomorrow"}, "expires_at"),
    ("/v1/tokens", {"name": "x", "expires_at": "2199-01-01T00:00:00"}, "expires_at"),
    ("/v1/tokens", {"name": "x", "expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
    ("/v1/tokens", {"name": "x", "expires_at": "9999-12-31T23:59:59-14:00"}, "expires_at"),
    ("/v1/tokens", {"name": "x", "expires_at": "0001-01-01T00:00:00+14:00"}, "expires_at"),
    ("/v1/projects", {"name": "Bad Name"}, "name"),
    ("/v1/projects", {}, "name"),
    ("/v1/datastores", {"manager": "mysql", "version": "8.0; reboot", "packages": ["x"]}, "version"),
    ("/v1/datastores", {"manager": "mysql", "version": "8.0", "packages": ["x; reboot"]}, "packages.0"),
    ("/v1/datastores", {"manager": "mysql", "version": "8.0", "packages": "x"}, "packages"),
    ("/v1/datastores", {"manager": "mysql", "version": "8.0", "packages": ["-o=x"]}, "packages.0"),
]


@pytest.mark.parametrize(("path", "body", "field"), OTHERS)
def test_other_bodies_are_as_strict(api: Api, path: str, body: dict[str, Any], field: str) -> None:
    answer = api.ask("POST", path, body, token=api.admin)
    assert answer.status_code == 422, answer.text
    assert field in [one["field"] for one in answer.json["errors"]]
    assert not api.databases.asked


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=20), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["name", "datastore", "size", "flavor", "volume_gb", "deletion_protection", "parameters"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changed=st.dictionaries(FIELDS, JSON, max_size=4), whole=st.one_of(st.none(), JSON))
def test_no_json_whatever_brings_the_api_down(api: Api, changed: dict[str, Any], whole: Any) -> None:
    body = {**GOOD, **changed} if whole is None else whole
    answer = api.ask(
        "POST", "/v1/clusters", raw=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (202, 409, 422)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=200), path=st.text(max_size=40))
def test_no_bytes_whatever_bring_the_api_down(api: Api, raw: bytes, path: str) -> None:
    sent = {"Content-Type": "application/json"}
    assert api.ask("POST", "/v1/clusters", raw=raw, headers=sent).status_code in (400, 422)
    url = "/v1/clusters/x" + quote(path.encode("utf-8", "surrogatepass"))
    assert api.ask("GET", url).status_code == 404
