"""Exports and imports in the console: made, had and brought into a cluster."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest

from shared.contracts import imports
from tests.component.api.test_exports import FACTS, WHOLE, begun, shelf, shop
from tests.component.api.test_exports import made as exported
from tests.component.api.test_imports import PROBLEM
from tests.component.api.test_imports import begun as import_begun
from tests.support.api import EXPORT_KEY, READER_URL, Api
from tests.support.browser import Browser, found

__all__ = ["shelf", "shop"]
Open = Callable[..., Browser]


def test_data_are_exported_as_the_form_says_once_however_often_it_is_sent(api: Api, shop: str, member: Browser) -> None:
    page = member.get(f"/clusters/{shop}/exports").text
    assert [one in page for one in ("<option>sql", "<option>custom", "<option>rdb")] == [True, True, False]
    wish = {"key": found(r'name="key" value="([^"]+)"', page), "format": "custom", "databases": "shop",
            "tables": "orders, sales.invoices", "encrypted": "on"}  # fmt: skip
    places = {member.post(f"/clusters/{shop}/exports", wish).headers["Location"] for _ in range(3)}
    (made,) = api.get("/v1/exports")["exports"]
    assert places == {f"/exports/{made['id']}"}
    assert (made["format"], made["databases"], made["tables"], made["encrypted"]) == (
        "custom", ["shop"], ["orders", "sales.invoices"], True,
    )  # fmt: skip
    running = member.get(f"/exports/{made['id']}").text
    assert f'sse-connect="/operations/{made["operation"]}/live"' in running
    assert "/content" not in running


def test_a_wish_that_no_engine_can_fill_is_told_beside_its_field_and_kept(shop: str, member: Browser) -> None:
    member.get(f"/clusters/{shop}/exports")
    page = member.post(f"/clusters/{shop}/exports", {"tables": "orders", "databases": "a, b"})
    assert (page.status_code, 'aria-invalid="true"' in page.text) == (422, True)
    assert 'value="a, b"' in page.text
    assert 'name="encrypted" value="on" aria' in page.text


def test_an_export_that_is_whole_shows_the_line_that_restores_it_and_who_can_take_it(
    api: Api, shop: str, member: Browser
) -> None:
    export = exported(api, shop)
    text = unescape(member.get(f"/exports/{export}").text)
    assert api.get(f"/v1/exports/{export}")["facts"]["command"] in text
    for words in (FACTS.sha256, "public.orders", f"/exports/{export}/content", f"/change/import?export={export}"):
        assert words in text
    assert EXPORT_KEY not in text


def test_its_file_comes_through_the_console_whole_or_from_where_a_download_broke_off(
    api: Api, shop: str, shelf: Path, member: Browser
) -> None:
    path = f"/exports/{exported(api, shop)}/content"
    whole = member.client.get(path)
    assert (whole.status_code, whole.data, whole.headers["Content-Length"]) == (200, WHOLE, str(len(WHOLE)))
    assert 'filename="shop-1.sql.zst.age"' in whole.headers["Content-Disposition"]
    rest = member.client.get(path, headers={"Range": "bytes=9990-", "If-Range": f'"{FACTS.sha256}"'})
    assert (rest.status_code, rest.data) == (206, WHOLE[9990:])
    assert rest.headers["Content-Range"] == f"bytes 9990-{len(WHOLE) - 1}/{len(WHOLE)}"
    assert [one.action for one in api.rows("audit")].count("export.read") == 2
    assert member.get(path, Range=f"bytes={len(WHOLE)}-").status_code == 416


def test_what_lies_in_an_object_store_is_had_there(api: Api, shop: str, member: Browser) -> None:
    api.databases.in_object_store = True
    answer = member.get(f"/exports/{exported(api, shop)}/content")
    assert (answer.status_code, answer.headers["Location"]) == (307, READER_URL)


def test_files_and_keys_are_for_members_and_that_a_key_was_seen_is_written_down(
    api: Api, shop: str, shelf: Path, member: Browser, open_browser: Open
) -> None:
    export, reader = exported(api, shop), open_browser(api.reader)
    reader.get(f"/exports/{export}")
    assert reader.get(f"/exports/{export}/content").status_code == 403
    assert reader.post(f"/exports/{export}/key").status_code == 403
    stranger = open_browser(api.token("member", api.project()))
    assert stranger.get(f"/exports/{export}/content").status_code == 404
    assert EXPORT_KEY in member.post(f"/exports/{export}/key").text
    assert [one.subject for one in api.rows("audit") if one.action == "export_key.read"] == [export]


def test_an_export_is_deleted_by_the_name_of_its_cluster(api: Api, shop: str, member: Browser) -> None:
    export = exported(api, shop)
    member.get(f"/exports/{export}/delete")
    assert member.post(f"/exports/{export}/delete", {"name": "ship"}).status_code == 422
    assert member.post(f"/exports/{export}/delete", {"name": "shop"}).headers["Location"].startswith("/operations/")
    assert api.get(f"/v1/exports/{export}")["status"] == "deleting"


def test_the_plan_of_an_import_says_what_comes_in_and_what_is_in_the_way(api: Api, shop: str, member: Browser) -> None:
    export = exported(api, shop)
    form = member.get(f"/clusters/{shop}/change/import?export={export}").text
    assert f'<option value="{export}" selected>' in form
    plan = member.get(f"/clusters/{shop}/change/import?step=plan&export={export}").text
    for words in ("7 rows", "in the way", "the databases that it makes are dropped again", "On shop-1"):
        assert words in plan
    assert api.get("/v1/imports")["imports"] == []
    answer = member.post(f"/clusters/{shop}/change/import", {"export": export, "key": "k-1"})
    (made,) = api.get("/v1/imports")["imports"]
    assert answer.headers["Location"] == f"/operations/{made['operation']}"


def test_exports_of_another_engine_and_unfinished_ones_are_not_offered(api: Api, shop: str, member: Browser) -> None:
    half = begun(api, shop)["export_id"]
    assert half not in member.get(f"/clusters/{shop}/change/import").text
    refused = member.get(f"/clusters/{shop}/change/import?step=plan&export={half}")
    assert (refused.status_code, "requested" in refused.text) == (409, True)


@pytest.mark.parametrize("ended", [False, True])
def test_an_import_is_followed_until_its_end(api: Api, shop: str, member: Browser, ended: bool) -> None:
    ids = import_begun(api, shop, exported(api, shop))
    if ended:
        api.hear(imports.ImportFailed(**ids, problem=PROBLEM))
    text = member.get(f"/imports/{ids['import_id']}").text
    assert (f'sse-connect="/operations/{ids["operation_id"]}/live"' in text) is not ended
    assert ("the cluster has it already" in text) is ended
