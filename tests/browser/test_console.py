"""The console in a real Chromium, over a whole DTrove: what people do there, from the link that signs them in to the end of a cluster."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import expect

from bench.rows import multiply
from services.provisioner.providers.local.engine import connect
from tests.browser.lived import Shop, lived, primary_of
from tests.browser.tour import tour
from tests.browser.visitor import DARK, LIGHT, Visitor
from tests.support.installation import Installation

FIRST_PAGE_BYTES = 100_000
MANY = 500
Opens = Callable[..., Visitor]
Records = Callable[[str, object], None]


@pytest.fixture(scope="package")
def shop(dtrove: Installation) -> Shop:
    """A cluster of two nodes that has something of everything."""
    return lived(dtrove)


def create(visitor: Visitor, name: str, nodes: str = "1") -> str:
    """Create a cluster by the form, and watch it become active; its page."""
    visitor.go("/clusters/new")
    visitor.fill(name=name, size=nodes)
    visitor.page.get_by_label("Datastore").select_option(label="pgsql - 15")
    visitor.press("Show the plan")
    visitor.sees(f"What creating {name} does")
    visitor.is_sound()
    visitor.press(f"Create {name}")
    visitor.sees(name)
    visitor.comes_to("active")
    return visitor.path


def test_the_printed_link_signs_a_browser_in_once(dtrove: Installation, visitor: Opens) -> None:
    link = dtrove.dtrove("console").stdout.strip()
    first, second = visitor(), visitor()
    first.go(link)
    first.is_sound()
    first.press("Sign in")
    first.sees("Overview")
    second.expected = {401}
    second.go(link)
    second.press("Sign in")
    expect(second.page.get_by_role("alert")).to_be_visible()
    second.is_sound()


def test_a_created_cluster_becomes_active_before_the_eyes_of_who_made_it(admin: Visitor) -> None:
    admin.follow("Create a cluster")
    create(admin, "fresh", nodes="2")
    expect(admin.main.get_by_role("group", name="Nodes", exact=True).get_by_role("row")).to_have_count(3)
    admin.go("/")
    expect(admin.main.get_by_role("link", name="fresh", exact=True)).to_be_visible()


def test_a_wish_that_is_refused_says_why_beside_its_field(admin: Visitor) -> None:
    admin.expected = {422}
    admin.go("/clusters/new")
    admin.fill(name="No Such Name", size="many")
    admin.press("Show the plan")
    expect(admin.page.locator("#name-wrong")).to_be_visible()
    expect(admin.page.locator("#size-wrong")).to_be_visible()
    assert admin.page.locator("#name").get_attribute("aria-invalid") == "true"
    admin.is_sound()


def test_a_parameter_is_shown_beside_what_it_was_before_it_is_changed(admin: Visitor, shop: Shop) -> None:
    admin.go(f"/clusters/{shop.cluster}/parameters")
    admin.fill(search="work_mem")
    admin.press("Search")
    admin.main.get_by_label("work_mem", exact=True).fill("16MB")
    admin.press("Show what changes")
    changed = admin.main.get_by_role("row", name="work_mem")
    assert changed.locator("ins").text_content() == "16MB"
    assert changed.locator("del").text_content() != "16MB"
    admin.is_sound()
    admin.picture_for_readme("parameters", LIGHT)
    admin.press("Change it")
    admin.waits_for_success()
    admin.go(f"/clusters/{shop.cluster}/parameters")
    expect(admin.page.locator("#live")).to_contain_text("16MB")


def test_a_backup_that_is_made_becomes_another_cluster(admin: Visitor, shop: Shop) -> None:
    admin.go(f"/clusters/{shop.cluster}/backups")
    admin.press("Back it up")
    admin.waits_for_success()
    admin.go(f"/backups?cluster={shop.cluster}")
    admin.page.locator("tbody th a").first.click()
    admin.sees("Backup of shop")
    admin.follow("Restore it to a new cluster")
    admin.fill(name="again")
    admin.press("Show the plan")
    expect(admin.main).to_contain_text("the data of cluster shop")
    admin.press("Create again")
    admin.sees("again")
    admin.comes_to("active")
    expect(admin.page.locator("#restored-from")).to_be_visible()


def test_a_moment_is_chosen_by_sliding_or_by_typing(admin: Visitor, shop: Shop) -> None:
    admin.go(f"/backups?cluster={shop.cluster}")
    admin.follow("Restore one to a new cluster")
    slider, field = admin.page.locator("#moment"), admin.page.locator("[id='restore.time']")
    earliest, latest = str(slider.get_attribute("data-earliest")), str(slider.get_attribute("data-latest"))
    expect(field).to_have_value(latest)
    slider.press("Home")
    expect(field).to_have_value(earliest)
    slider.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == field.input_value() != earliest
    half = datetime.fromisoformat(earliest) + timedelta(hours=1)
    field.fill(f"{half:%Y-%m-%d %H:%M:%S}")
    field.blur()
    expect(slider).to_have_value("3600")
    admin.is_sound()
    admin.fill(name="earlier")
    admin.press("Show the plan")
    expect(admin.main).to_contain_text(f"as of {half:%Y-%m-%d %H:%M:%S}")


def test_another_node_becomes_the_primary(admin: Visitor, dtrove: Installation, shop: Shop) -> None:
    before = primary_of(dtrove, shop.cluster)
    admin.go(f"/clusters/{shop.cluster}")
    admin.follow("Switch over")
    admin.press("Show the plan")
    admin.is_sound()
    admin.press("Switch over")
    admin.waits_for_success()
    assert primary_of(dtrove, shop.cluster) != before


def test_a_primary_that_is_well_is_not_replaced_by_force(admin: Visitor, shop: Shop) -> None:
    admin.expected = {409, 422}
    admin.go(f"/clusters/{shop.cluster}")
    admin.follow("Fail over")
    admin.press("Show the plan")
    admin.fill(typed="ship")
    admin.press("Fail over")
    expect(admin.page.locator("#typed-wrong")).to_be_visible()
    admin.is_sound()


def test_a_primary_that_has_died_is_replaced_by_who_asks_for_it_and_comes_back_as_a_replica(
    visitor: Opens, on_real_hosts: Installation
) -> None:
    cluster, operation = on_real_hosts.create("lame", size=3, topology={"mode": "sync", "failover": "manual"})
    assert on_real_hosts.end_of(operation)["status"] == "succeeded"
    died = primary_of(on_real_hosts, cluster)
    somebody = visitor(on_real_hosts)
    somebody.come_in(on_real_hosts)
    somebody.go(f"/clusters/{cluster}")
    connect(on_real_hosts.home).containers.get(f"dtrove-{died}").kill()
    # It is told to who only looks.
    expect(somebody.main).to_contain_text("HOST DOWN")
    somebody.follow("Fail over")
    somebody.press("Show the plan")
    somebody.is_sound("failover")
    somebody.fill(typed="lame")
    somebody.press("Fail over")
    somebody.waits_for_success()
    expect(somebody.main).to_contain_text("SHUTOFF")
    assert primary_of(on_real_hosts, cluster) != died
    somebody.go(f"/clusters/{cluster}")
    somebody.comes_to("active")
    expect(somebody.main).not_to_contain_text("HOST DOWN")
    on_real_hosts.remove(cluster)


def test_a_cluster_is_deleted_by_who_types_its_name(admin: Visitor) -> None:
    page = create(admin, "short")
    admin.follow("Delete it")
    admin.expected = {422}
    admin.fill(name="shirt")
    admin.press("Delete short")
    expect(admin.page.locator("#name-wrong")).to_be_visible()
    admin.fill(name="short")
    admin.press("Delete short")
    admin.waits_for_success()
    admin.expected = {404}
    admin.go(page)
    admin.sees("Not there")


def test_neither_of_two_projects_sees_what_the_other_one_has(
    admin: Visitor, visitor: Opens, dtrove: Installation, shop: Shop
) -> None:
    admin.go("/admin/projects")
    admin.fill(name="elsewhere")
    admin.press("Make it")
    admin.go("/admin/tokens")
    admin.fill(name="somebody")
    admin.page.get_by_label("Project", exact=True).select_option(label="elsewhere")
    admin.page.get_by_label("Role", exact=True).select_option("member")
    admin.press("Make it")
    token = str(admin.page.locator("#token").text_content())
    other = visitor()
    other.go("/clusters")
    other.sign_in(token)
    other.sees("Clusters")
    expect(other.main).to_contain_text("There are none")
    mine = create(other, "mine")
    other.expected = {404}
    for path in (f"/clusters/{shop.cluster}", f"/backups/{shop.backup}", f"/operations/{shop.operation}"):
        other.go(path)
        assert "shop" not in other.main.inner_text()
        other.is_sound()
    other.expected = {403}
    other.go("/admin/tokens")
    assert "somebody" not in other.main.inner_text()
    admin.expected = {404}
    admin.go("/clusters")
    expect(admin.main.get_by_role("link", name="shop", exact=True)).to_be_visible()
    expect(admin.main.get_by_role("link", name="mine", exact=True)).to_have_count(0)
    admin.go(mine)
    assert "mine" not in admin.main.inner_text()


def test_who_was_signed_out_by_time_signs_in_and_is_where_he_was(
    admin: Visitor, dtrove: Installation, shop: Shop
) -> None:
    """Without pressing anything: the part of the page that keeps itself up to date takes the page along."""
    where = f"/backups?cluster={shop.cluster}"
    admin.go(where)
    admin.expected = {401}
    with closing(sqlite3.connect(dtrove.home / "api.sqlite", timeout=20)) as database, database:
        database.execute("update sessions set expires_at = '2026-01-01 00:00:00.000000'")
    admin.page.wait_for_url(re.compile("/sign-in"))
    admin.sees("Sign in")
    admin.sign_in(dtrove.token)
    admin.sees("Backups")
    assert admin.page.url == dtrove.url + where


def test_the_first_page_is_light(admin: Visitor, record_property: Records) -> None:
    line = admin.page.context.new_cdp_session(admin.page)
    received: list[int] = []
    line.on("Network.loadingFinished", lambda told: received.append(int(told["encodedDataLength"])))
    line.send("Network.enable")
    line.send("Network.setCacheDisabled", {"cacheDisabled": True})
    admin.go("/")
    took = admin.page.evaluate("() => performance.getEntriesByType('navigation')[0].loadEventEnd")
    record_property("figure", f"the first page: {sum(received)} bytes in {len(received)} answers, {took:.0f} ms")
    assert len(received) > 3
    assert sum(received) < FIRST_PAGE_BYTES


def test_five_hundred_clusters_are_listed(visitor: Opens, dtrove: Installation, record_property: Records) -> None:
    project = dtrove.ask("POST", "/v1/projects", {"name": "many"}).json()["id"]
    dtrove.ask("PUT", f"/v1/projects/{project}/quotas", {"clusters": None})
    made = dtrove.ask("POST", "/v1/tokens", {"name": "many", "project": project, "role": "reader"}).json()
    owner = dtrove.ask("POST", "/v1/tokens", {"name": "owner", "project": project, "role": "member"}).json()["token"]
    asked = dtrove.ask(
        "POST", "/v1/clusters", {"name": "one", "datastore": "pgsql 15"}, headers={"Authorization": f"Bearer {owner}"}
    )
    multiply(dtrove.home / "api.sqlite", asked.json()["id"], MANY)
    reader = visitor()
    reader.go("/clusters")
    reader.sign_in(made["token"])
    names, began = set[str](), time.perf_counter()
    reader.go("/clusters")
    record_property("figure", f"the first page of {MANY} clusters: {time.perf_counter() - began:.2f} s")
    while True:
        names |= set(reader.page.locator("tbody th a").all_text_contents())
        following = reader.main.get_by_role("link", name="Older ones")
        if not following.count():
            break
        reader.go(str(following.get_attribute("href")))
    record_property("figure", f"all pages of {MANY} clusters, one after the other: {time.perf_counter() - began:.2f} s")
    assert len(names) == MANY


def test_every_page_that_a_link_leads_to_is_sound_in_light_and_dark_wide_and_on_a_phone(
    admin: Visitor, shop: Shop
) -> None:
    seen = tour(admin, f"/clusters/{shop.cluster}", f"/imports/{shop.taken}", "/")
    assert len(seen) > 40, seen
    for name, path, scheme in (
        ("overview", "/", LIGHT), ("cluster", f"/clusters/{shop.cluster}", DARK),
        ("moment", f"/clusters/new?cluster={shop.cluster}", DARK),
    ):  # fmt: skip
        admin.go(path)
        admin.picture_for_readme(name, scheme)
