"""What is true of every page of the console: how heavy it is, what browsers may run, how it is read without a screen."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Callable
from glob import glob
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from services.api.web.assets import FOLDER
from tests.component.console.scene import Scene, made
from tests.support.api import Api
from tests.support.browser import Browser

MOST_BYTES = 100 * 1024
VOID = {"meta", "link", "input", "br", "line", "rect", "path"}


@pytest.fixture
def scene(api: Api) -> Scene:
    return made(api)


class Outline(HTMLParser):
    """A page's elements, in their order, and whether each is closed where it was opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag, (tag, self.getpos())

    def all(self, *tags: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.found if tag in tags]


def everything(browser: Browser, scene: Scene) -> list[tuple[str, str]]:
    pages = [
        (path, browser.get(path).text)
        for path in [*scene.pages, *scene.offices, "/nowhere", "/sign-in", "/sign-in?code=x"]
    ]
    planned = browser.post("/clusters/new", {"name": "new", "datastore": "pgsql 15", "size": "1", "step": "plan"})
    browser.get("/")
    wrong = browser.post("/clusters/new", {"name": "", "datastore": "pgsql 15", "size": "x", "step": "plan"})
    login = browser.post(f"/clusters/{scene.cluster}/credentials")
    return [*pages, ("plan", planned.text), ("wrong", wrong.text), ("login", login.text)]


def test_the_first_page_with_all_that_it_needs_weighs_less_than_a_hundred_kilobytes(
    scene: Scene, admin: Browser
) -> None:
    for path in [*scene.pages, *scene.offices]:
        page = admin.get(path)
        outline = Outline(page.text)
        needed = {one["src"] for one in outline.all("script")} | {one["href"] for one in outline.all("link")}
        weight = len(page.data) + sum(len(admin.client.get(url).data) for url in needed)
        assert weight < MOST_BYTES, (path, weight)


def test_pages_run_and_load_nothing_but_files_of_the_console(scene: Scene, admin: Browser) -> None:
    for path, text in everything(admin, scene):
        outline = Outline(text)
        assert not outline.all("style"), path
        for tag, attributes in outline.found:
            assert not [name for name in attributes if name == "style" or name.startswith(("on", "hx-on"))], (path, tag)
            assert not attributes.get("href", "/").startswith("javascript:"), path
        for one in outline.all("script"):
            assert one["src"].startswith("/static/"), path
        assert not re.search(r'(?:src|href|action)="(?:https?:)?//', text), path


def test_browsers_are_told_to_keep_to_that(scene: Scene, admin: Browser) -> None:
    for path in [*scene.pages, *scene.offices, "/nowhere", "/sign-in", "/static/console.css", "/static/nothing"]:
        headers = admin.get(path).headers
        policy = headers["Content-Security-Policy"]
        for rule in (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ):
            assert rule in policy, path
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Request-ID"]


def test_pages_can_be_read_without_a_screen(scene: Scene, admin: Browser) -> None:
    for path, text in everything(admin, scene):
        outline = Outline(text)
        assert outline.all("html")[0]["lang"] == "en", path
        assert (
            len(outline.all("h1")) == len(outline.all("main")) == len(outline.all("title")) - text.count("<g class=")
        ), path
        levels = [int(tag[1]) for tag, _ in outline.found if re.fullmatch(r"h[1-6]", tag)]
        assert all(after - before <= 1 for before, after in pairwise(levels)), (path, levels)
        ids = [attributes["id"] for _, attributes in outline.found if "id" in attributes]
        assert len(ids) == len(set(ids)), path
        labelled = {one["for"] for one in outline.all("label") if "for" in one}
        for one in outline.all("input", "select", "progress"):
            within = re.search(rf'<label><input[^>]*name="{re.escape(one.get("name", ""))}"', text)
            assert one.get("type") == "hidden" or one.get("id") in labelled or within, (path, one)
        for _, attributes in outline.found:
            for name in ("aria-describedby", "aria-labelledby"):
                assert set(attributes.get(name, "").split()) <= set(ids), (path, attributes)
        assert all("scope" in one for one in outline.all("th")), path
        assert 'href="#main"' in text, path


def test_every_link_within_the_console_leads_to_a_page(
    api: Api, scene: Scene, open_browser: Callable[..., Browser]
) -> None:
    browser = open_browser(api.admin)
    links = {one["href"] for _, text in everything(browser, scene) for one in Outline(text).all("a")}
    for link in sorted(links):
        # A log is asked of its host, and an export's file of its store, and nobody answers for one here: test_following_along.py,
        # test_moving_data.py.
        if not link.startswith("#") and not link.endswith(("/logs/last", "/content")):
            assert browser.get(link).status_code == 200, link


def test_files_of_the_console_are_kept_by_browsers_and_nothing_else_is_served(
    open_browser: Callable[..., Browser],
) -> None:
    client = open_browser().client
    page = client.get("/sign-in", headers={"Accept": "text/html"})
    (style,) = re.findall(r'<link rel="stylesheet" href="([^"]+)"', page.text)
    answer = client.get(style)
    assert (answer.status_code, answer.mimetype) == (200, "text/css")
    assert "immutable" in answer.headers["Cache-Control"]
    for name in ("vendored.txt", "..%2Fassets.py", "%2e%2e/assets.py", "nothing.js"):
        assert client.get(f"/static/{name}", headers={"Accept": "text/html"}).status_code in (303, 404), name


@pytest.mark.parametrize(("folder", "files"), [
    (FOLDER, ["htmx.min.js", "htmx-ext-sse.js"]), (Path(__file__).parents[2] / "browser" / "axe", ["axe.min.js"]),
])  # fmt: skip
def test_what_was_taken_from_elsewhere_is_as_it_was_there_with_its_licence(folder: Path, files: list[str]) -> None:
    lines = [line.split(maxsplit=4) for line in (folder / "vendored.txt").read_text().splitlines()]
    assert [name for name, *_ in lines] == files
    for name, _, version, digest, licence in lines:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
        assert licence in (folder / f"{name}.LICENSE").read_text()


def test_templates_and_files_go_into_a_package() -> None:
    root = Path(__file__).parents[3]
    patterns = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["*"]
    web = root / "services" / "api" / "web"
    packed = {web / name for pattern in patterns for name in glob(pattern, root_dir=web, recursive=True)}
    assert {path for path in web.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")} <= packed
