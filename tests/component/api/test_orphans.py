"""Orphans over HTTP: an administrator sees them, and has them removed; every removal is written down."""

from __future__ import annotations

from tests.support.api import Api


def test_an_administrator_sees_what_belongs_to_nobody(api: Api) -> None:
    api.provisioner.find("server-1", "doubled")
    (one,) = api.get("/v1/orphans", token=api.admin)["orphans"]
    assert (one["id"], one["why"], one["removal"]) == ("server-1", "doubled", "none")
    assert one["instance"]


def test_nobody_else_sees_or_removes_them(api: Api) -> None:
    api.provisioner.find("server-1")
    for token, status in (("", 401), (api.reader, 403), (api.member, 403)):
        assert api.ask("GET", "/v1/orphans", token=token).status_code == status
        assert api.ask("POST", "/v1/orphans/clean", {"ids": ["server-1"]}, token=token).status_code == status
    assert api.provisioner.cleaned == []


def test_a_removal_is_filed_once_for_each_key_and_audited(api: Api) -> None:
    api.provisioner.find("server-1")
    api.provisioner.find("s" * 200)
    body = {"ids": ["server-1", "s" * 200, "server-1"]}
    for _ in range(2):
        answer = api.ask("POST", "/v1/orphans/clean", body, token=api.admin, key="once")
        assert answer.status_code == 202
        assert [one["removal"] for one in answer.json["orphans"]] == ["under_way", "under_way"]
    assert api.provisioner.cleaned == ["server-1", "s" * 200]
    audited = [(row.action, row.subject) for row in api.rows("audit")]
    request = ("POST /v1/orphans/clean", "")
    # The second request is one as well, and has removed nothing.
    assert audited == [("orphans.clean", "server-1"), ("orphans.clean", "s" * 64), request, request]


def test_what_is_no_orphan_is_refused_by_field_and_audited_as_refused(api: Api) -> None:
    answer = api.ask("POST", "/v1/orphans/clean", {"ids": ["server-9"]}, token=api.admin)
    assert answer.status_code == 422
    assert answer.json["errors"] == [{"field": "ids", "reason": "server-9 is no orphan"}]
    assert [(row.action, row.status) for row in api.rows("audit")] == [("POST /v1/orphans/clean", 422)]


def test_bodies_that_name_nothing_or_too_much_are_refused(api: Api) -> None:
    for body in ({}, {"ids": []}, {"ids": [""]}, {"ids": "server-1"}, {"ids": [1]}, {"ids": ["x"] * 101},
                 {"ids": ["x" * 256]}, {"ids": ["x"], "all": True}):  # fmt: skip
        assert api.ask("POST", "/v1/orphans/clean", body, token=api.admin).status_code == 422
    assert api.provisioner.cleaned == []
