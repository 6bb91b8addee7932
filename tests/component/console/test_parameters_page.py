"""Parameters in the console: found, written, what changes, applied, waited for, and taken back."""

from __future__ import annotations

import re

import pytest

from shared.contracts import datastore_agentless as databases
from shared.contracts.base import new_id
from shared.contracts.parameters import ParameterDefinition
from tests.component.api.test_parameters import last_wish, succeed
from tests.component.console.scene import KNOWN, Scene, made, settle
from tests.component.console.test_creating import hidden
from tests.support.api import Api
from tests.support.browser import Browser


@pytest.fixture
def scene(api: Api) -> Scene:
    return made(api)


@pytest.fixture
def path(scene: Scene) -> str:
    return f"/clusters/{scene.cluster}/parameters"


def wanted(api: Api, path: str) -> dict[str, str]:
    return {one["name"]: one["value"] for one in api.get(f"/v1{path}")["parameters"]}


def test_parameters_are_found_by_their_names_and_by_what_they_are_for(path: str, member: Browser) -> None:
    first = member.get(path).text
    assert ('name="p.work_mem" value="8MB"' in first, "p.shared_memory" in first) == (True, False)
    assert "There are 3, as 15.7 says" in first
    for word in ("shared", "OF ALL"):
        text = member.get(f"{path}?search={word}").text
        assert ('name="p.shared_memory"' in text, 'name="p.work_mem"' in text) == (True, False)
    refused = member.get(f"{path}?search=archive").text
    assert ("It cannot be changed" in refused, 'name="p.archive_command"' in refused) == (True, False)
    assert "There is none like that" in member.get(f"{path}?search=zzz").text


def test_what_changes_is_shown_before_it_is_applied_once(api: Api, scene: Scene, path: str, member: Browser) -> None:
    member.get(path)
    page = member.post(path, {"p.work_mem": "16MB", "p.shared_memory": "", "restart": "on", "step": "plan"})
    assert re.search(r"<del>8MB</del></td>\s*<td><ins>16MB</ins>", page.text)
    assert ("shared_memory" in page.text, "Restarts" in page.text) == (False, True)
    assert wanted(api, path) == {"work_mem": "8MB"}
    places = {member.post(path, {**hidden(page.text), "step": "change"}).headers["Location"] for _ in range(2)}
    assert len(places) == 1
    assert wanted(api, path) == {"work_mem": "16MB"}
    assert last_wish(api)["restart_now"] is True


def test_an_empty_field_is_the_default_again(api: Api, scene: Scene, path: str, member: Browser) -> None:
    member.get(path)
    page = member.post(path, {"p.work_mem": " ", "step": "plan"})
    assert "<ins>default (4096)</ins>" in page.text
    assert member.post(path, {**hidden(page.text), "step": "change"}).status_code == 303
    assert wanted(api, path) == {}


@pytest.mark.parametrize("step", ["plan", "change"])
def test_a_value_that_is_refused_is_told_beside_its_field_and_kept(
    api: Api, path: str, member: Browser, step: str
) -> None:
    member.get(path)
    page = member.post(path, {"p.work_mem": "lots", "p.shared_memory": "32768", "search": "mem", "step": step})
    assert page.status_code == 422
    assert 'id="parameters.work_mem-wrong"' in page.text
    assert re.search(r'<input id="parameters.work_mem"[^>]*value="lots"[^>]*aria-invalid="true"', page.text)
    assert 'name="p.shared_memory" value="32768"' in page.text
    assert wanted(api, path) == {"work_mem": "8MB"}
    nothing = member.post(path, {"step": step} if step == "change" else {"p.work_mem": "8MB", "step": step})
    assert (nothing.status_code, "Nothing is changed" in nothing.text) == (422, True)
    unknown = member.post(path, {"p.nothing": "1", "step": step})
    assert (unknown.status_code, "there is no such parameter" in unknown.text) == (422, True)


def test_another_search_keeps_what_was_written(path: str, member: Browser) -> None:
    member.get(path)
    page = member.post(path, {"p.work_mem": "16MB", "search": "shared", "step": "search"})
    assert page.status_code == 200
    assert ('name="p.work_mem" value="16MB"' in page.text, 'name="p.shared_memory"' in page.text) == (True, True)


def test_what_waits_for_a_restart_says_so(api: Api, scene: Scene, path: str, member: Browser) -> None:
    member.get(path)
    done = member.post(path, {"p.shared_memory": "32768", "step": "change"})
    succeed(api, scene.cluster, done.headers["Location"].rpartition("/")[2], shared_memory="16384 restart")
    text = member.get(path).text
    for words in ("Some wait for a restart", "/change/restart", "16384"):
        assert words in text


def test_an_earlier_version_is_shown_and_set_again(api: Api, scene: Scene, path: str, member: Browser) -> None:
    member.get(path)
    member.post(path, {"p.work_mem": "16MB", "step": "change"})
    settle(api, scene.cluster)
    text = member.get(f"{path}/history").text
    assert "work_mem: 8MB → 16MB" in text
    back = scene.change("rollback")
    assert f"{back}?version=1" in text
    assert "Parameters of shop as in version 1" in member.get(f"{back}?version=1&step=plan").text
    assert member.post(back, {"version": "1"}).status_code == 303
    assert wanted(api, path) == {"work_mem": "8MB"}
    assert member.get(f"{back}?version=77&step=plan").status_code == 404


def test_a_cluster_that_is_behind_its_group_is_brought_up_to_date(
    api: Api, scene: Scene, path: str, member: Browser
) -> None:
    wish = {"name": "usual", "datastore": "pgsql 15", "parameters": {"shared_memory": "20000"}}
    group = api.ask("POST", "/v1/parameter-groups", wish).json["id"]
    api.ask("PATCH", f"/v1{path}", {"parameter_group": group})
    text = member.get(path).text
    assert "Parameter group: usual, version 1" in text
    settle(api, scene.cluster)
    back = scene.change("apply-group")
    assert "Show the plan" in member.get(back).text
    assert member.post(back, {"restart": "on"}).status_code == 303
    assert last_wish(api)["restart_now"] is True


def test_an_engine_that_nobody_has_asked_yet_is_said_to_be_so(api: Api, scene: Scene, member: Browser) -> None:
    assert "are not known yet" in member.get(f"/clusters/{scene.asleep}/parameters").text


def test_a_page_has_no_more_fields_than_a_form_may_have(api: Api, scene: Scene, path: str, member: Browser) -> None:
    many = tuple(ParameterDefinition(name=f"mem_{number}", kind="integer", default="1") for number in range(300))
    datastore = api.get(f"/v1/clusters/{scene.cluster}")["datastore"]["id"]
    api.hear(
        databases.ParametersDefined(datastore_id=datastore, engine=f"15.8 {new_id()}", definitions=(*KNOWN, *many))
    )
    text = member.get(f"{path}?search=mem_").text
    assert text.count('name="p.') == 40
    assert "260 more" in text
