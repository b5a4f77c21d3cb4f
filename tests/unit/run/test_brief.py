"""What a task tells is kept small, whatever there is to tell."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from headrace.core.grouping import Unit
from headrace.run.brief import MOST_BYTES, fitted
from headrace.run.task import Ended, endings

TEXTS = st.text(max_size=3000)
SHORT = {
    "step": "s" * 63,
    "state": "made",
    "cached": False,
    "intervals": ["2026-01-01T00:00:00"] * 2,
    "fingerprint": "f" * 64,
    "version": 7,
}


@given(
    why=TEXTS,
    location=st.none() | TEXTS,
    verdict=st.dictionaries(st.sampled_from(["decision", "why", "number"]), TEXTS),
    metrics=st.dictionaries(st.text(max_size=300), st.floats(allow_nan=False), max_size=80),
    most=st.sampled_from([1024, MOST_BYTES]),
)
def test_a_document_never_takes_more_bytes_than_it_may(why: str, location: str | None, verdict: Any, metrics: Any, most: int) -> None:
    told = fitted({**SHORT, "why": why, "location": location, "verdict": verdict, "metrics": metrics}, most=most)
    assert len(json.dumps(told)) <= most
    assert SHORT.items() <= told.items()


def test_a_document_that_is_small_enough_is_as_it_was() -> None:
    told = {**SHORT, "why": "the code changed", "metrics": {"r2": 0.5}}
    assert fitted(told) == told


def test_what_is_left_out_is_said() -> None:
    told = fitted({**SHORT, "metrics": {f"metric number {i} of very many": 0.123456789 for i in range(400)}})
    assert isinstance(told["metrics"], dict)
    assert len(told["metrics"]) + told["metrics_left_out"] == 400  # type: ignore[operator]
    assert str(fitted({**SHORT, "why": "because " * 2000})["why"]).endswith("…")


# ---------------------------------------------------------------- how the steps of a task ended


GROUP = Unit("prepare", ("a", "b", "c"), is_group=True)


def states(ended: dict[str, Ended]) -> dict[str, str]:
    return {name: one.state for name, one in ended.items()}


def test_the_steps_of_a_task_that_succeeded_are_done() -> None:
    ended = endings(GROUP, "done", {"a": {"step": "a", "state": "made"}})
    assert states(ended) == {"a": "done", "b": "done", "c": "done"}
    assert ended["a"].brief == {"step": "a", "state": "made"}


def test_in_a_task_that_failed_the_steps_before_are_done_and_those_after_blocked() -> None:
    ended = endings(GROUP, "failed", {"a": {"state": "skipped"}, "b": {"state": "failed", "error": "by zero"}})
    assert states(ended) == {"a": "done", "b": "failed", "c": "blocked"}
    assert ended["b"].error == "by zero"


def test_a_task_that_died_without_a_word_failed_in_its_first_step() -> None:
    ended = endings(GROUP, "failed", {})
    assert states(ended) == {"a": "failed", "b": "blocked", "c": "blocked"}
    assert "without a word" in ended["a"].error


def test_the_steps_of_a_task_that_never_ran_are_blocked() -> None:
    assert set(states(endings(GROUP, "blocked", {})).values()) == {"blocked"}
