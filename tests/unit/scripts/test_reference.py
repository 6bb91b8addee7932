"""docs/reference says what the code says."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from scripts import reference
from shared.contracts import REGISTRY, Event, load
from shared.contracts.glossary import MEANINGS, meaning_of


def test_no_page_is_stale() -> None:
    assert reference.stale() == [], "run `make docs`"


def test_a_changed_page_is_stale(tmp_path: Path) -> None:
    for name, page in reference.PAGES.items():
        (tmp_path / name).write_text(page())
    assert reference.stale(tmp_path) == []
    (tmp_path / "events.md").write_text("something else")
    assert reference.stale(tmp_path) == ["events.md"]


@pytest.mark.parametrize("contract", REGISTRY.values(), ids=lambda contract: contract.__name__)
def test_every_field_of_a_contract_and_of_what_it_carries_is_explained(contract: type[Event]) -> None:
    for one in (contract, *reference._nested(contract)):
        for item in dataclasses.fields(one):
            assert meaning_of(one, item.name)


def test_the_glossary_explains_nothing_that_is_not_there() -> None:
    known: set[str] = set()
    for contract in REGISTRY.values():
        for one in (contract, *reference._nested(contract)):
            for item in dataclasses.fields(one):
                known |= {item.name, f"{one.__name__}.{item.name}"}
    assert set(MEANINGS) - known == set()


@pytest.mark.parametrize("contract", REGISTRY.values(), ids=lambda contract: contract.__name__)
def test_every_example_is_a_payload_that_the_contract_takes(contract: type[Event]) -> None:
    example = reference._example(contract, "")
    assert load(contract, example.to_payload()) == example


def test_every_route_and_every_option_has_its_place() -> None:
    page = reference.http_page()
    assert all(path in page for path, _, _ in reference.ROUTES)
    assert "DTROVE_PREFIX" in reference.settings_page()
    assert "dtrove cluster create" in reference.cli_page()


def test_no_page_names_a_place_on_this_machine() -> None:
    here = str(Path(__file__).parents[3])
    assert all(here not in page() for page in reference.PAGES.values())
