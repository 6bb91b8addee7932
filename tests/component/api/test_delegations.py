"""What a project lends over HTTP: its own members do so, its secret is sealed on its way and never shown."""

from __future__ import annotations

from typing import Any

import pytest

from services.api.actions.access import DEFAULT_PROJECT
from shared.errors import Unavailable
from tests.support.api import RING, Api

PATH = f"/v1/projects/{DEFAULT_PROJECT}/delegation"
CREDENTIAL = {"kind": "application_credential", "credential_id": "a" * 32, "secret": "hush-hush"}
TRUST = {"kind": "trust", "credential_id": "b" * 32}


def test_what_is_lent_is_shown_without_its_secret_until_it_is_taken_back(api: Api) -> None:
    assert api.ask("GET", PATH).status_code == 404
    lent = api.ask("PUT", PATH, CREDENTIAL)
    assert lent.status_code == 200, lent.text
    shown = api.get(PATH, token=api.reader)
    assert shown == lent.json == {"kind": "application_credential", "credential_id": "a" * 32, "cloud_project": "c"}
    assert api.ask("PUT", PATH, TRUST).json["kind"] == "trust"
    assert api.ask("DELETE", PATH).status_code == 204
    assert api.ask("GET", PATH).status_code == 404


def test_a_secret_goes_over_the_bus_sealed_and_into_no_log(api: Api) -> None:
    api.ask("PUT", PATH, CREDENTIAL)
    (sent,) = api.provisioner.lent.values()
    assert RING.open(sent["secret"]).reveal() == "hush-hush"
    assert "hush-hush" not in str(sent)
    assert [row for row in api.rows("audit") if "hush-hush" in str(row)] == []


def test_a_member_lends_for_its_own_project_and_an_administrator_for_any(api: Api) -> None:
    other = f"/v1/projects/{api.project()}/delegation"
    for method, body in (("GET", None), ("PUT", TRUST), ("DELETE", None)):
        assert api.ask(method, other, body).status_code == 404
        assert api.ask(method, PATH, body, token="").status_code == 401
    for method, body in (("PUT", TRUST), ("DELETE", None)):
        assert api.ask(method, PATH, body, token=api.reader).status_code == 403
    assert api.ask("PUT", other, TRUST, token=api.admin).status_code == 200


def test_a_project_takes_what_it_has_lent_with_it_or_stays(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    project = api.project()
    api.ask("PUT", f"/v1/projects/{project}/delegation", TRUST, token=api.admin)

    def away(method: str, *_: Any, **__: Any) -> Any:
        raise Unavailable(f"no answer to {method}")

    with monkeypatch.context() as broken:
        broken.setattr(type(api.provisioner), "call", lambda _self, *args, **kwargs: away(*args, **kwargs))
        assert api.ask("DELETE", f"/v1/projects/{project}", token=api.admin).status_code == 503
    assert list(api.provisioner.lent) == [project]
    assert api.ask("DELETE", f"/v1/projects/{project}", token=api.admin).status_code == 204
    assert api.provisioner.lent == {}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "kind"), ({**TRUST, "kind": "password"}, "kind"), ({"kind": "trust"}, "credential_id"),
        ({**TRUST, "secret": "s"}, "secret"), ({**CREDENTIAL, "secret": ""}, "secret"),
        ({**TRUST, "credential_id": "../x"}, "credential_id"), ({**TRUST, "auth_url": "http://evil"}, "auth_url"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_by_field(api: Api, body: dict[str, Any], field: str) -> None:
    refused = api.ask("PUT", PATH, body)
    assert refused.status_code == 422
    assert field in {one["field"] for one in refused.json["errors"]}
    assert api.provisioner.lent == {}
