"""What is kept of a node for a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.datastore_agentless.domain.samples import KEPT, SLOT_SECONDS, Sample, measured, place, slot, with_rates

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float, **found: float) -> Sample:
    return Sample("i", START + timedelta(seconds=seconds), found)


def test_a_moment_has_the_place_of_the_same_moment_a_day_before_and_no_other_since() -> None:
    places = [place(START + timedelta(seconds=SLOT_SECONDS * number)) for number in range(145)]
    assert places[144] == places[0]
    assert len(set(places[:144])) == 144
    assert timedelta(days=1) == KEPT
    assert (
        slot(START)
        == slot(START + timedelta(seconds=SLOT_SECONDS - 1))
        != slot(START + timedelta(seconds=SLOT_SECONDS))
    )


def test_what_is_known_of_a_look_is_kept_and_nothing_else() -> None:
    facts = {"load": 0.5, "disk_free_percent": 40, "lag_seconds": None, "role": "primary", "boot_id": "x"}
    assert measured(facts, {}) == {"load": 0.5, "disk_free_percent": 40.0}
    assert measured({}, {"connections": 3, "commits_total": 10, "rollbacks_total": 1}) == {
        "connections": 3,
        "operations_total": 11,
    }
    assert measured({}, {"commits_total": 10, "rollbacks_total": 1, "queries_total": 99}) == {"operations_total": 99}
    assert measured({}, {"commands_total": 7}) == {"operations_total": 7}
    assert measured({}, {"commits_total": 10}) == {}


def test_operations_are_told_by_the_second_since_the_sample_before() -> None:
    told = with_rates(
        [
            at(0, operations_total=100, load=1.0),
            at(600, operations_total=700),
            at(1200, load=2.0),
            at(1800, operations_total=900),
        ]
    )
    assert [dict(one.measured) for one in told] == [{"load": 1.0}, {"operations_per_second": 1.0}, {"load": 2.0}, {}]


def test_a_count_that_began_anew_says_nothing_of_the_time_before() -> None:
    told = with_rates([at(0, operations_total=100), at(600, operations_total=5), at(1200, operations_total=65)])
    assert [one.measured.get("operations_per_second") for one in told] == [None, None, 0.1]
