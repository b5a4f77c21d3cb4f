"""What a person is told of a challenger that waits: pure, from a decision's words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from headrace.core.interval import Interval
from headrace.lake.chain import Decision
from headrace.run.questions import Challenger, subject, text
from headrace.steps.questions import Question

DAY = Interval.of("2026-11-02", "2026-11-03")


@pytest.fixture
def challenger() -> Challenger:
    asked = Decision("reject", DAY, 2, "abc", "run", "", {"pending": True}, number=7, decided_at=datetime(2026, 11, 3, 4, 5, tzinfo=UTC))
    return Challenger(
        pipeline="shop",
        model="price",
        doc="What a thing should cost.",
        question=Question(asked),
        metrics={"r2": 0.91234, "mae": 12.0},
        outcomes=((True, "r2 0.9123 >= 0.5"), (False, "mae 12 > 10")),
        location="/lake/models/shop/price/x",
        champion="[2026-11-01, 2026-11-02) v1 (decision 3)",
        theirs={"r2": 0.9},
    )


def test_the_metrics_stand_beside_the_champions(challenger: Challenger) -> None:
    said = text(challenger)

    assert subject(challenger) == "Shall shop.price of 2026-11-02 v2 serve?"
    assert said.startswith("What a thing should cost.\n\n| metric | challenger | champion |")
    assert "| r2 | 0.9123 | 0.9 |" in said
    assert "| mae | 12 | · |" in said
    assert "- ✓ r2 0.9123 >= 0.5\n- ✗ mae 12 > 10" in said
    assert "champion now: [2026-11-01, 2026-11-02) v1 (decision 3)" in said
    assert "- model: `/lake/models/shop/price/x`" in said
    assert "decision 7 of shop.price, 2026-11-03 04:05 UTC" in said


def test_a_first_model_and_one_that_is_not_comparable_say_so(challenger: Challenger) -> None:
    assert "champion now: none" in text(replace(challenger, champion="", theirs=None))
    assert "not comparable: its target was y, and is z now" in text(
        replace(challenger, theirs=None, not_comparable="its target was y, and is z now")
    )
    assert "- no gate" in text(replace(challenger, outcomes=()))


def test_words_of_the_user_break_no_table_and_are_no_template(challenger: Challenger) -> None:
    said = text(replace(challenger, doc="Use {{ var.value.secret }} and {% raw %}.", metrics={"a|b": 1.0}))

    assert "{{" not in said
    assert "{%" not in said
    assert "| a\\|b | 1 | · |" in said


def test_of_many_metrics_the_first_are_shown_and_the_others_counted(challenger: Challenger) -> None:
    said = text(replace(challenger, metrics={f"m{number}": 1.0 for number in range(45)}))

    assert "| m39 |" in said
    assert "| m40 |" not in said
    assert "| and 5 more | | |" in said


def test_as_json_it_has_what_the_text_has(challenger: Challenger) -> None:
    told = challenger.to_json()

    assert (told["model"], told["number"], told["interval"], told["version"]) == ("price", 7, "2026-11-02", 2)
    assert told["metrics"] == {"r2": 0.91234, "mae": 12.0}
    assert told["champion_metrics"] == {"r2": 0.9}
