"""The document and the routes say the same, and the answers are as the document says."""

from __future__ import annotations

import json
import re

import pytest

from services.api import routes
from services.api.openapi import METHODS, document, methods_of
from tests.support.api import Api

DOCUMENT = document(routes.ROUTES, "0")


def test_the_document_has_every_route_and_method_and_no_other(api: Api) -> None:
    served = {
        (path, method) for path, resource, suffix in routes.ROUTES for method in methods_of((path, resource, suffix))
    }
    described = {(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert served == described
    for path, method in described:
        answer = api.ask(method.upper(), re.sub(r"{\w+}", "0" * 8 + "-0000" * 3 + "-" + "0" * 12, path), token="")
        assert answer.status_code != 405, (method, path)


def test_every_method_that_is_not_described_is_refused(api: Api) -> None:
    for path, methods in DOCUMENT["paths"].items():
        for method in METHODS:
            if method not in methods:
                target = re.sub(r"{\w+}", "0" * 8 + "-0000" * 3 + "-" + "0" * 12, path)
                answer = api.ask(method.upper(), target)
                assert answer.status_code == 405, (method, path, answer.text)
                assert "Allow" in {name.title() for name in answer.headers}


def test_every_reference_in_the_document_leads_somewhere() -> None:
    for found in re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(DOCUMENT)):
        assert found in DOCUMENT["components"]["schemas"], found


def test_every_json_answer_and_every_body_has_a_schema() -> None:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            for status, answer in operation["responses"].items():
                for kind, content in answer.get("content", {}).items():
                    assert content["schema"], (path, method, status, kind)
                    assert "json" not in kind or "$ref" in content["schema"] or path == "/v1/openapi.json", (
                        path,
                        method,
                    )


def test_what_needs_no_token_says_so_and_all_the_rest_needs_one(api: Api) -> None:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            answer = api.ask(method.upper(), re.sub(r"{\w+}", "x", path), token="")
            assert (answer.status_code == 401) == bool(operation["security"]), (path, method)


@pytest.mark.parametrize("field", ["openapi", "info", "paths", "components"])
def test_the_document_is_served_without_a_token(api: Api, field: str) -> None:
    served = api.get("/v1/openapi.json", token="")
    assert served[field]
    assert served["openapi"] == "3.1.0"
    assert served["paths"] == DOCUMENT["paths"]


def test_the_page_for_people_shows_every_path_and_needs_nothing_from_elsewhere(api: Api) -> None:
    page = api.ask("GET", "/docs", token="").text
    for path in DOCUMENT["paths"]:
        assert f"<code>{path}</code>" in page
    assert "<script" not in page
    assert not re.search(r'(src|href)="(https?:)?//', page)


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for methods in DOCUMENT["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names)), names
