from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.gate import Verdict, at_least, at_most, higher_is_better, judge, no_worse


@pytest.mark.parametrize(
    ("gate", "text"),
    [
        (at_least("r2", 0.5), "r2 0.91 >= 0.5"),
        (at_least("r2", 0.95), "failed: r2 0.91 < 0.95"),
        (at_most("mae", 2), "mae 1.5 <= 2"),
        (at_most("mae", 1), "failed: mae 1.5 > 1"),
        (no_worse("r2"), "r2 0.91 is no worse than the champion's 0.9"),
        (no_worse("mae"), "failed: mae 1.5 is worse than the champion's 1"),
        (no_worse("mae", 0.5), "mae 1.5 is no worse than the champion's 1 (tolerance 0.5)"),
    ],
)
def test_an_outcome_is_told_in_words(gate, text):
    assert judge([gate], {"r2": 0.91, "mae": 1.5}, {"r2": 0.9, "mae": 1.0}).text == text


def test_without_a_gate_every_model_passes():
    verdict = judge([], {}, None)

    assert verdict == Verdict(())
    assert (verdict.passed, verdict.text) == (True, "no gate")


def test_one_failed_check_fails_the_gate_and_all_are_told():
    verdict = judge([at_least("r2", 0.5), at_most("mae", 1)], {"r2": 0.9, "mae": 2.0}, None)

    assert not verdict.passed
    assert verdict.text == "r2 0.9 >= 0.5; failed: mae 2 > 1"


@pytest.mark.parametrize("metrics", [{}, {"r2": math.nan}, {"r2": math.inf}])
@pytest.mark.parametrize("gate", [at_least("r2", 0), at_most("r2", 1), no_worse("r2")])
def test_a_metric_that_is_missing_or_no_number_fails_and_says_so(gate, metrics):
    verdict = judge([gate], metrics, None)

    assert not verdict.passed
    assert "r2 was not measured" in verdict.text


@pytest.mark.parametrize("champion", [None, {"mae": 1.0}])
def test_no_worse_passes_where_there_is_nothing_to_compare_with(champion):
    assert judge([no_worse("r2")], {"r2": 0.1}, champion).text == "r2 0.1, no champion to compare with"


def test_a_function_judges_both_models_metrics_and_gives_its_name():
    def twice_as_good(metrics, champion):
        return champion is None or metrics["r2"] >= 2 * champion["r2"]

    assert judge([twice_as_good], {"r2": 0.8}, {"r2": 0.4}).text == "twice_as_good holds"
    assert judge([twice_as_good], {"r2": 0.7}, {"r2": 0.4}).text == "failed: twice_as_good does not hold"


finite = st.floats(-1e6, 1e6)


@given(st.sampled_from(["r2", "rmse", "log_loss", "accuracy"]), finite, finite, st.floats(0, 1e3))
def test_a_model_is_always_no_worse_than_itself_and_better_is_never_worse(metric, value, better_by, tolerance):
    better = value + abs(better_by) if higher_is_better(metric) else value - abs(better_by)

    assert judge([no_worse(metric, tolerance)], {metric: value}, {metric: value}).passed
    assert judge([no_worse(metric)], {metric: better}, {metric: value}).passed


@given(finite, finite)
def test_bounds_are_inclusive_and_opposite(value, bound):
    assert judge([at_least("m", bound)], {"m": value}, None).passed == (value >= bound)
    assert judge([at_most("m", bound)], {"m": value}, None).passed == (value <= bound)
