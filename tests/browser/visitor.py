"""Somebody who looks at the console through a real Chromium, and in whose browser nothing may go wrong while he does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect

from tests.support.installation import Installation

AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text()
WIDE, PHONE, SMALL = {"width": 1280, "height": 800}, {"width": 390, "height": 844}, {"width": 1060, "height": 660}
LIGHT, DARK = "light", "dark"
# For each wait by itself: two busy cores take their time, and what never comes has to end.
PATIENCE_MS = 40_000
# WCAG 2.2 AA, and what axe holds for good practice. What a dark page may have wrong that a light one has not is its colours.
_LIGHT_RULES: dict[str, Any] = {}
_DARK_RULES: dict[str, Any] = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
_AXE_RUN = """rules => axe.run(document, {resultTypes: ["violations"], ...rules}).then(found => found.violations.map(
  one => one.id + ": " + one.help + " | " + one.nodes.map(node => node.html + " " + node.failureSummary).join(" | ")))"""
# A policy's violations are told to the page: from there they come to the console, by a name that is found again.
_WATCH = """addEventListener("securitypolicyviolation", event => console.error(
  "policy violated: " + event.violatedDirective + " by " + (event.blockedURI || event.sourceFile)))"""
_STATUS = re.compile(r"the server responded with a status of (\d+)")


class Visitor:
    """A browser of one's own: cookies, a page, and what was wrong with it. `pictures` is where pictures of pages are kept."""

    def __init__(self, browser: Browser, url: str, pictures: Path) -> None:
        self.url, self.pictures = url, pictures
        self.wrong: list[str] = []
        # Answers that are errors on purpose: Chromium tells of each in the console.
        self.expected: set[int] = set()
        self._context = browser.new_context(viewport=WIDE, color_scheme=LIGHT, base_url=url, reduced_motion="reduce")
        self._context.set_default_timeout(PATIENCE_MS)
        self._context.add_init_script(_WATCH)
        # The browser keeps it for every page: it need not be sent along with each look.
        self._context.add_init_script(AXE)
        self._context.on("console", self._hear)
        self._context.on("weberror", lambda error: self.wrong.append(f"script: {error.error}"))
        self.page: Page = self._context.new_page()

    def close(self) -> None:
        """Shut the browser. Raises AssertionError where something was wrong on any page."""
        self._context.close()
        assert not self.wrong, "\n".join(self.wrong)

    def _hear(self, said: ConsoleMessage) -> None:
        status = _STATUS.search(said.text)
        if said.type in ("error", "warning") and not (status and int(status[1]) in self.expected):
            self.wrong.append(f"{said.type} on {said.page.url if said.page else '?'}: {said.text}")

    # Going about

    @property
    def path(self) -> str:
        """Where he is, without the site."""
        return urlsplit(self.page.url).path

    def go(self, path: str) -> None:
        """Look at a page by its address."""
        self.page.goto(path, wait_until="load")

    def follow(self, link: str) -> None:
        """Press a link of the page's own part, by its words."""
        self.main.get_by_role("link", name=link, exact=True).first.click()

    def press(self, button: str) -> None:
        """Press a button of the page's own part, by its words."""
        self.main.get_by_role("button", name=button, exact=True).click()

    def fill(self, **fields: str) -> None:
        """Write into fields, by their ids."""
        for field, value in fields.items():
            self.page.locator(f"#{field}").fill(value)

    @property
    def main(self) -> Locator:
        """The page's own part."""
        return self.page.locator("main")

    @property
    def state(self) -> Locator:
        """How what the page is of is, in a word."""
        return self.main.locator(".badge").first

    def sees(self, heading: str) -> None:
        """Wait for a page with this heading."""
        expect(self.page.get_by_role("heading", level=1)).to_have_text(heading)

    def sign_in(self, token: str) -> None:
        """By a token, on the page that asks for one."""
        self.fill(token=token)
        self.press("Sign in")

    def come_in(self, dtrove: Installation) -> None:
        """As the first administrator, by a link that signs him in once."""
        code = dtrove.ask("POST", "/v1/session", {"once": True}).json()["token"]
        self.go(f"/sign-in?code={code}")
        self.press("Sign in")
        self.sees("Overview")

    def comes_to(self, status: str) -> None:
        """Wait, without touching anything, until the page says so. It has to be the same page all the while."""
        self.page.evaluate("() => { window.untouched = true; }")
        expect(self.state).to_have_text(status)
        assert self.page.evaluate("() => window.untouched"), f"{self.page.url} was loaded again"

    def waits_for_success(self) -> str:
        """Wait for the end of the operation that the page has led to; its id."""
        self.page.wait_for_url(re.compile("/operations/"))
        expect(self.state).to_have_text(re.compile("succeeded|failed|cancelled"))
        assert self.state.text_content() == "succeeded", self.main.inner_text()
        return self.path.rpartition("/")[2]

    # Looking closely

    def is_sound(self, picture: str = "") -> None:
        """What axe has to say of the page, in the light and in the dark, is noted as wrong, and what stands out at the side of a phone.

        With a name for it, pictures are kept: wide and light, and as a dark phone has it.
        """
        self._ask_axe(LIGHT, _LIGHT_RULES)
        if picture:
            self.picture(f"{picture}-wide-light")
        self.page.emulate_media(color_scheme=DARK)
        self._ask_axe(DARK, _DARK_RULES)
        self.page.set_viewport_size(PHONE)
        width = self.page.evaluate("() => document.scrollingElement.scrollWidth")
        if width > PHONE["width"]:
            self.wrong.append(f"{self.page.url}: {width} pixels wide on a phone of {PHONE['width']}")
        if picture:
            self.picture(f"{picture}-phone-dark")
        self.page.set_viewport_size(WIDE)
        self.page.emulate_media(color_scheme=LIGHT)

    def _ask_axe(self, scheme: str, rules: dict[str, Any]) -> None:
        self.wrong += [f"{self.page.url}, {scheme}: {one}" for one in self.page.evaluate(_AXE_RUN, rules)]

    def picture_for_readme(self, name: str, scheme: str) -> None:
        """Keep a picture that is small enough to stand in a README."""
        self.page.set_viewport_size(SMALL)
        self.page.emulate_media(color_scheme=scheme)
        self.picture(f"readme-{name}")
        self.page.set_viewport_size(WIDE)
        self.page.emulate_media(color_scheme=LIGHT)

    def picture(self, name: str) -> None:
        """Keep a picture of what the window shows."""
        self.page.screenshot(path=self.pictures / f"{name}.png", animations="disabled")
