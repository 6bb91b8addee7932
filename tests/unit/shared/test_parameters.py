"""Values of parameters: what a user may write, and whether two spellings are one value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.parameters import (
    BOOLEAN,
    ENUM,
    FLAGS,
    INTEGER,
    REAL,
    SET,
    TEXT,
    ParameterDefinition,
    moved,
    number,
    same,
    spelled,
)

MEMORY = ParameterDefinition(name="m", kind=INTEGER, unit="8kB", minimum="16", maximum="1073741823", default="16384",
                             suffixes={"B": 1 / 8192, "kB": 0.125, "MB": 128, "GB": 131072})  # fmt: skip
HUGE = ParameterDefinition(name="h", kind=INTEGER, minimum="0", maximum="18446744073709551615", suffixes={"K": 1024})
SHARE = ParameterDefinition(name="s", kind=REAL, minimum="0", maximum="1.79769e+308")
SWITCH = ParameterDefinition(name="b", kind=BOOLEAN, values=("no", "yes"))
CHOICE = ParameterDefinition(name="e", kind=ENUM, values=("pglz", "on", "off"))
MODES = ParameterDefinition(name="q", kind=SET, values=("ONLY_FULL_GROUP_BY", "NO_ZERO_DATE"))
OPTIMIZER = ParameterDefinition(name="o", kind=FLAGS, values=("mrr", "firstmatch"))
FREE = ParameterDefinition(name="t", kind=TEXT)
EVERY_KIND = st.sampled_from((MEMORY, HUGE, SHARE, SWITCH, CHOICE, MODES, OPTIMIZER, FREE))
ANYTHING = st.one_of(st.text(), st.integers(), st.floats(), st.booleans())


@pytest.mark.parametrize(
    ("known", "value", "text"),
    [
        (MEMORY, "256 mb", "256MB"), (MEMORY, 32768, "32768"), (MEMORY, "1.5GB", "1.5GB"),
        (HUGE, "18446744073709551615", "18446744073709551615"), (HUGE, "4k", "4K"), (SHARE, 0.1, "0.1"),
        (SWITCH, True, "yes"), (SWITCH, "OFF", "no"), (SWITCH, "No", "no"), (CHOICE, True, "on"), (CHOICE, "PGLZ", "pglz"),
        (MODES, "no_zero_date, only_full_group_by", "NO_ZERO_DATE,ONLY_FULL_GROUP_BY"), (MODES, "", ""),
        (OPTIMIZER, "MRR=on,firstmatch=OFF", "mrr=on,firstmatch=off"), (FREE, "it's", "it's"),
    ],
)  # fmt: skip
def test_a_value_is_stored_as_its_engine_writes_it(known: ParameterDefinition, value: object, text: str) -> None:
    assert spelled(known, value) == text


@pytest.mark.parametrize(
    ("known", "value"),
    [
        (MEMORY, "8kb extra"), (MEMORY, "15"), (MEMORY, "0x10"), (MEMORY, "9999999GB"), (MEMORY, "12.5"), (MEMORY, ""),
        (HUGE, "18446744073709551616"), (HUGE, "-1"), (HUGE, "nan"), (SHARE, "inf"), (SHARE, float("nan")), (SWITCH, "2"),
        (SWITCH, ""), (CHOICE, ""), (CHOICE, "zip"), (MODES, "ORACLE"), (OPTIMIZER, "mrr"), (OPTIMIZER, "x=on"),
        (FREE, "a\nport = 1"), (FREE, "a\x00"), (FREE, "x" * 4097),
    ],
)  # fmt: skip
def test_what_is_no_value_is_refused_with_a_sentence(known: ParameterDefinition, value: object) -> None:
    with pytest.raises(ValueError, match=r"^must be "):
        spelled(known, value)


def taken(known: ParameterDefinition, value: object) -> str | None:
    """What is stored of a value; None where it is refused."""
    try:
        return spelled(known, value)
    except ValueError:
        return None


@given(EVERY_KIND, ANYTHING)
def test_whatever_is_taken_stays_as_it_is_and_is_one_line(known: ParameterDefinition, value: object) -> None:
    text = taken(known, value)
    if text is None:
        return
    assert spelled(known, text) == text
    assert same(known, text, text)
    assert text.isprintable() or known.kind == TEXT
    assert not set("\n\r\0") & set(text)


@given(st.integers(16, 2**29), st.sampled_from(sorted(MEMORY.suffixes)))
def test_a_number_is_the_same_in_whatever_unit_it_is_written(pages: int, suffix: str) -> None:
    in_unit = pages * 8192 / {"B": 1, "kB": 2**10, "MB": 2**20, "GB": 2**30}[suffix]
    assert same(MEMORY, f"{in_unit!r}{suffix}" if in_unit >= 1e-3 else str(pages), str(pages))
    assert not same(MEMORY, str(pages), str(pages * 2))
    assert number(MEMORY, str(pages)) == pages


def test_flags_that_are_not_named_are_as_they_are() -> None:
    assert same(OPTIMIZER, "mrr=on", "mrr=on,firstmatch=off")
    assert not same(OPTIMIZER, "mrr=off", "mrr=on,firstmatch=off")


@pytest.mark.parametrize(
    ("before", "after", "direction"), [({}, {"m": "1GB"}, 1), ({"m": "1GB"}, {}, -1), ({}, {"m": "128MB"}, 0)]
)
def test_a_wanted_value_moves_from_its_default(before: dict[str, str], after: dict[str, str], direction: int) -> None:
    assert moved(MEMORY, before, after) == direction
