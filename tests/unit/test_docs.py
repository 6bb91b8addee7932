"""The documents hold together: links lead somewhere, commands that they name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LEFT_OUT = ("var", "build", "node_modules")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    """Every document of the tree."""
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*.md"))
    return sorted(path for path in found if not any(part.startswith(".") or part in LEFT_OUT for part in path.parts))


def anchors(page: Path) -> set[str]:
    """The headings of a page as links name them: lower case, blanks to hyphens, other marks left out."""
    text = FENCE.sub("", page.read_text())
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", pages(), ids=str)
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page: Path) -> None:
    broken = []
    for target in LINK.findall(FENCE.sub("", (ROOT / page).read_text())):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", pages(), ids=str)
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = (ROOT / page).read_text()
    named = set(re.findall(r"`make ([a-z-]+)", text) + re.findall(r"^ *(?:\$ )?make ([a-z-]+)", text, re.MULTILINE))
    assert named <= targets


def test_readme_gets_a_newcomer_going_with_two_commands() -> None:
    text = FENCE.sub("", (ROOT / "README.md").read_text())
    assert re.findall(r"^    (.+)$", text, re.MULTILINE) == ["make demo", "make test"]


def test_every_page_of_the_documentation_can_be_reached_from_its_index() -> None:
    seen: set[Path] = set()
    ahead = [ROOT / "docs" / "README.md"]
    while ahead:
        page = ahead.pop()
        seen.add(page)
        targets = (
            link.partition("#")[0] for link in LINK.findall(FENCE.sub("", page.read_text())) if "://" not in link
        )
        there = ((page.parent / target).resolve() for target in targets if target.endswith(".md"))
        ahead += [found for found in there if found not in seen and found.exists()]
    assert set((ROOT / "docs").rglob("*.md")) <= seen


def test_decisions_are_numbered_without_a_gap_and_headed_by_their_number() -> None:
    found = sorted((ROOT / "docs" / "adr").glob("0*.md"))
    assert [path.name[:4] for path in found] == [f"{number:04}" for number in range(1, len(found) + 1)]
    assert [path.read_text()[:6] for path in found] == [f"# {path.name[:4]}" for path in found]


def test_every_option_that_the_guides_name_is_one_that_can_be_set() -> None:
    known = set(re.findall(r"`([A-Z][A-Z_]+)`", (ROOT / "docs" / "reference" / "settings.md").read_text()))
    compose = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))
    for page in sorted((ROOT / "docs").glob("guides/*.md")):
        named = set(
            re.findall(r"\b((?:DTROVE|OS|API|PROVISIONER|DATASTORE|SCHEDULER)_[A-Z_]+[A-Z])\b", page.read_text())
        )
        assert named <= known | compose, page


def test_the_compose_file_hands_every_service_the_same_options() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    ours = [services[name]["environment"] for name in ("api", "provisioner", "datastore_agentless", "scheduler")]
    assert all(environment == ours[0] for environment in ours)


def test_the_compose_file_hands_on_all_that_openstack_needs_to_be_told() -> None:
    known = re.findall(r"`((?:OS|DTROVE_OS|DTROVE_KEYSTONE)_[A-Z_]+|DTROVE_INSTALLATION|DTROVE_POLICY_FILE)`",
                       (ROOT / "docs" / "reference" / "settings.md").read_text())  # fmt: skip
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert len(known) > 20
    assert set(known) <= set(services["api"]["environment"])
