from __future__ import annotations

import pytest

from bench.figures import Line, at_most, median, percentile, ratio, ratio_at_least, ratio_at_most, rounded


def test_a_percentile_lies_between_its_neighbours_in_proportion() -> None:
    values = [40.0, 10.0, 30.0, 20.0]
    assert percentile(values, 0) == 10
    assert percentile(values, 50) == median(values) == 25
    assert percentile(values, 95) == pytest.approx(38.5)
    assert percentile(values, 100) == 40


def test_the_only_value_is_every_percentile() -> None:
    assert percentile([7.0], 99) == 7


def test_nothing_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 50)


def test_a_ratio_needs_a_baseline_that_can_divide() -> None:
    assert ratio(3.0, 2.0) == 1.5
    assert ratio(3.0, None) is None
    assert ratio(3.0, 0.0) is None


@pytest.mark.parametrize(
    ("target", "figure", "baseline", "held"),
    [
        (at_most(250, "ms"), 250.0, None, True),
        (at_most(250, "ms"), 250.1, None, False),
        (ratio_at_least(0.6), 60.0, 100.0, True),
        (ratio_at_least(0.6), 59.0, 100.0, False),
        (ratio_at_least(0.6), 59.0, None, False),
        (ratio_at_most(1.1, 2, "s"), 13.0, 10.0, True),
        (ratio_at_most(1.1, 2, "s"), 13.1, 10.0, False),
        (ratio_at_most(1.1), 1.0, None, False),
    ],
)
def test_a_target_holds_up_to_its_limit_and_not_beyond(
    target: object, figure: float, baseline: float | None, held: bool
) -> None:
    assert Line("it", figure, "s", baseline, "that", target).held is held  # type: ignore[arg-type]


def test_a_line_without_a_target_is_neither_held_nor_missed() -> None:
    assert Line("it", 1.0, "s", 2.0, "that").held is None


def test_the_document_of_a_line_says_figure_baseline_ratio_and_verdict() -> None:
    shown = Line("page", 493.04999, "1/s", 474.5, "bare WSGI", ratio_at_least(0.6)).document()
    assert shown == {
        "what": "page", "figure": 493.0, "unit": "1/s", "baseline": 474.5, "against": "bare WSGI", "ratio": 1.039,
        "target": "≥ 0.6 ×", "held": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "short"), [(0.0123456, 0.01235), (12345.6, 12350.0), (0.0, 0.0), (-2.00049, -2.0), (None, None)]
)
def test_figures_are_rounded_to_four_that_mean_something(value: float | None, short: float | None) -> None:
    assert rounded(value) == short
