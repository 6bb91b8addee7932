"""Moments between backups in the console: which there are, and a cluster that is wanted as of one."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from services.api.web import moments
from tests.component.api.test_backups import gone, shop
from tests.component.api.test_point_in_time import backup, kept, shown
from tests.component.console.test_creating import WISH, hidden
from tests.support.api import Api
from tests.support.browser import Browser, found

__all__ = ["shop"]


@pytest.fixture
def two(api: Api, shop: str) -> tuple[str, str]:
    """Two backups with a hole between: the log goes on from the first for 100 s, from the second for 400 s."""
    first, second = backup(api, shop, 10), backup(api, shop, 500)
    kept(api, shop, (110, (first,)), (900, (second,)))
    return first, second


def drawing(text: str, name: str) -> ET.Element:
    return ET.fromstring(found(rf'(?s)(<svg class="{name}".*?</svg>)', text))


def test_the_moments_of_a_cluster_are_a_slider_over_a_strip_with_its_holes(
    api: Api, shop: str, two: tuple[str, str], member: Browser
) -> None:
    text = member.get(f"/clusters/new?cluster={shop}").text
    slider = found(r'(<input type="range"[^>]*>)', text)
    assert [
        f'data-earliest="{shown(10)}"' in slider,
        f'data-latest="{shown(900)}"' in slider,
        'max="890"' in slider,
    ] == [True] * 3
    assert re.search(rf'name="restore.time" value="{shown(900)}"', text)
    bars = [(int(one.attrib["x"]), int(one.attrib["width"])) for one in drawing(text, "strip")]
    assert bars == [(0, 112), (551, 449)]
    hint = found(r'(?s)id="restore.time-hint">(.*?)</p>', text)
    assert [stamp[:19] for stamp in re.findall(r'datetime="([^"]+)"', hint)] == [
        shown(one)[:19] for one in (10, 900, 110, 500)
    ]


def test_a_cluster_is_made_as_of_the_moment_that_was_chosen(
    api: Api, shop: str, two: tuple[str, str], member: Browser
) -> None:
    member.get(f"/clusters/new?cluster={shop}")
    wish = {**WISH, "name": "again", "volume_gb": "10", "restore.cluster": shop, "restore.time": "2026-01-01 00:10:00"}
    planned = member.post("/clusters/new", {**wish, "step": "plan"})
    assert f"from backup {two[1]}" in planned.text
    assert member.post("/clusters/new", {**hidden(planned.text), "step": "create"}).status_code == 303
    made = api.get("/v1/clusters?name=again")["clusters"][0]
    assert (made["restored_from"], made["restored_to"]) == (two[1], shown(600))


def test_a_moment_in_a_hole_is_told_beside_its_field_with_those_that_there_are(
    shop: str, two: tuple[str, str], member: Browser
) -> None:
    member.get(f"/clusters/new?cluster={shop}")
    wish = {
        **WISH,
        "name": "again",
        "volume_gb": "10",
        "restore.cluster": shop,
        "restore.time": shown(300),
        "step": "plan",
    }
    page = member.post("/clusters/new", wish)
    assert page.status_code == 422
    assert "lies in a hole of the log" in found(r'(?s)id="restore.time-wrong">(.*?)</p>', page.text)
    assert 'type="range"' in page.text


def test_a_backup_leads_to_moments_after_it_or_is_taken_as_it_is(
    api: Api, shop: str, two: tuple[str, str], member: Browser
) -> None:
    text = member.get(f"/clusters/new?backup={two[0]}").text
    assert f'data-latest="{shown(110)}"' in text
    assert 'name="restore.time" value=""' in text
    wish = {**WISH, "name": "again", "volume_gb": "10", "restore.backup": two[0], "restore.time": "", "step": "create"}
    assert member.post("/clusters/new", wish).status_code == 303
    made = api.get("/v1/clusters?name=again")["clusters"][0]
    assert (made["restored_from"], made["restored_to"]) == (two[0], None)


def test_without_a_log_there_is_no_slider(api: Api, shop: str, member: Browser) -> None:
    one = backup(api, shop, 10)
    assert 'name="restore.time"' not in member.get(f"/clusters/new?backup={one}").text
    text = member.get(f"/clusters/new?cluster={shop}").text
    assert ('type="range"' in text, "No log is kept of it" in text) == (False, True)
    assert "Any moment" not in member.get(f"/backups?cluster={shop}").text


def test_backups_log_and_proofs_stand_in_the_course_of_time(
    api: Api, shop: str, two: tuple[str, str], member: Browser
) -> None:
    text = member.get(f"/backups?cluster={shop}").text
    assert f"/clusters/new?cluster={shop}" in text
    assert "but for 1 hole in the log" in text
    drawn = drawing(text, "timeline")
    titles = [str(one.text) for one in drawn.iter("title")]
    assert len(titles) == 2
    assert all(one.startswith("full, completed, 2026-01-01T00:0") for one in titles)
    assert len(drawn.findall("rect")) == 2
    xs = [int(one.attrib["cx"]) for one in drawn.iter("circle")]
    assert len(set(xs)) == 2
    assert all(110 <= x <= 880 for x in xs)


def test_what_a_cluster_that_is_gone_has_left_is_still_drawn(api: Api, shop: str, member: Browser) -> None:
    backup(api, shop, 10)
    gone(api, shop)
    assert 'class="timeline"' in member.get(f"/backups?cluster={shop}").text


@pytest.mark.parametrize(("typed", "meant"), [
    ("2026-01-01 00:10", "2026-01-01T00:10:00+00:00"), (" 2026-01-01T02:10:00+02:00 ", "2026-01-01T02:10:00+02:00"),
    ("yesterday", "yesterday"), ("", ""),
])  # fmt: skip
def test_a_time_without_a_zone_is_utc_and_what_is_none_is_left_to_the_api(typed: str, meant: str) -> None:
    assert moments.zoned(typed) == meant


def test_a_reach_of_one_moment_can_be_seen() -> None:
    at = "2026-01-01T00:00:00Z"
    reach = moments.of_cluster({"windows": [{"since": at, "until": at}]})
    assert reach is not None
    assert (reach.steps, reach.bars) == (1, ((0, moments.LEAST),))
