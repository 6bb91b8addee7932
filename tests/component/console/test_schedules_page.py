"""Schedules of backups in the console: made, shown with their next times, changed, paused, removed; and what proofs have answered."""

from __future__ import annotations

import json
import re

import pytest

from tests.component.api.test_scaling import wished
from tests.component.console.scene import Scene, made
from tests.support.api import Api
from tests.support.browser import Browser, found

WISH = {"cron": "0 4 * * *", "timezone": "Europe/Berlin", "kind": "incremental", "full_days": "14", "store": "", "retention.count": "5",
        "retention.days": "", "verify_days": "30", "enabled": "on"}  # fmt: skip


@pytest.fixture
def scene(api: Api) -> Scene:
    return made(api)


@pytest.fixture
def path(scene: Scene) -> str:
    return f"/clusters/{scene.cluster}/schedules"


def test_a_schedule_is_made_as_it_was_wished_for_once_for_each_form(api: Api, path: str, member: Browser) -> None:
    key = found(r'name="key" value="([^"]+)"', member.get(f"{path}/new").text)
    for _ in range(2):
        assert member.post(f"{path}/new", {**WISH, "key": key}).headers["Location"] == path
    _, new = api.get(f"/v1{path}")["schedules"]
    assert (new["cron"], new["timezone"], new["kind"], new["full_days"]) == (
        "0 4 * * *",
        "Europe/Berlin",
        "incremental",
        14,
    )
    assert (new["retention"], new["verify_days"], new["store"], new["enabled"]) == (
        {"count": 5, "days": None},
        30,
        None,
        True,
    )


def test_schedules_are_shown_with_their_next_five_times_what_they_keep_and_how_the_last_run_went(
    path: str, member: Browser
) -> None:
    text = member.get(path).text
    for words in (
        "30 3 * * *, Europe/Berlin",
        "the last 3, and all of the last 7 days",
        "the newest, every 14 days",
        "how it went",
    ):
        assert words in text
    assert found(r"Next times</dt><dd>(.*?)</dd>", text).count("<time") == 5


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cron", "whenever"),
        ("cron", "* * * * *"),
        ("timezone", "Mars/Base"),
        ("full_days", "0"),
        ("retention.count", "many"),
        ("retention.days", "-1"),
        ("verify_days", "x"),
        ("store", "../x"),
    ],
)
def test_a_wrong_field_is_told_beside_it_in_the_apis_words_and_the_rest_is_kept(
    api: Api, scene: Scene, path: str, member: Browser, field: str, value: str
) -> None:
    before = api.get(f"/v1{path}")
    for place in (f"{path}/new", scene.at_schedule):
        member.get(place)
        page = member.post(place, {**WISH, field: value})
        assert page.status_code == 422, page.text
        assert f'id="{field}-wrong"' in page.text
        assert re.search(rf'<input id="{re.escape(field)}"[^>]*aria-invalid="true"', page.text)
        assert "<option selected>incremental</option>" in page.text
    assert api.get(f"/v1{path}") == before


def test_a_schedule_is_changed_from_what_it_was(api: Api, scene: Scene, path: str, member: Browser) -> None:
    text = member.get(scene.at_schedule).text
    for field, value in (
        ("cron", "30 3 * * *"),
        ("retention.count", "3"),
        ("retention.days", "7"),
        ("verify_days", "14"),
    ):
        assert re.search(rf'id="{re.escape(field)}"[^>]* value="{re.escape(value)}"', text), field
    assert member.post(scene.at_schedule, WISH).headers["Location"] == path
    (now,) = api.get(f"/v1{path}")["schedules"]
    assert (now["cron"], now["retention"]) == ("0 4 * * *", {"count": 5, "days": None})


def test_a_schedule_is_paused_and_goes_on(api: Api, scene: Scene, path: str, member: Browser) -> None:
    member.get(path)
    assert member.post(f"{scene.at_schedule}/pause", {"enabled": "off"}).status_code == 303
    text = member.get(path).text
    assert ("none while it is paused" in text, "Go on" in text) == (True, True)
    member.post(f"{scene.at_schedule}/pause", {"enabled": "on"})
    assert api.get(f"/v1{path}")["schedules"][0]["enabled"] is True
    assert member.post(f"{scene.at_schedule}/pause", {"enabled": "perhaps"}).status_code == 422


def test_a_schedule_is_removed_after_what_becomes_of_its_backups_was_told(
    api: Api, scene: Scene, path: str, member: Browser
) -> None:
    assert "is kept for 7 days" in member.get(f"{scene.at_schedule}/remove").text
    assert len(api.get(f"/v1{path}")["schedules"]) == 1
    assert member.post(f"{scene.at_schedule}/remove").headers["Location"] == path
    assert api.get(f"/v1{path}")["schedules"] == []
    assert "nothing is backed up by itself" in member.get(path).text
    assert member.get(scene.at_schedule).status_code == 404


def test_a_backup_can_be_one_of_what_has_changed(api: Api, scene: Scene, member: Browser) -> None:
    form = f"/clusters/{scene.cluster}/backups"
    assert "<option>incremental</option>" in member.get(form).text
    assert member.post(form, {"kind": "incremental"}).status_code == 303
    assert json.loads(wished(api, "backup.requested")[-1].body)["kind"] == "incremental"
