"""The display of a run: nothing that matters is cut, and a line is printed once."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from headrace.cli.progress import Display
from headrace.core.interval import Interval
from headrace.core.plan import Decision, Plan
from headrace.core.receipt import Receipt

HOUR = Interval.of("2026-11-20T08", "2026-11-20T09")


def display(*, is_brief: bool = False) -> Display:
    decisions = tuple(
        Decision(step, "table", HOUR, action, "why") for step, action in (("purchases", "run"), ("spending_of_customers", "skip"))
    )
    found = Display(Plan("shop", decisions), is_quiet=False, is_brief=is_brief)
    for decision in decisions:
        found(
            decision,
            None if decision.action == "run" else Receipt(decision.step, "table", HOUR, "cached", "nothing changed", rows_kept=1_204_567),
        )
    found(decisions[0], Receipt("purchases", "source", HOUR, "made", "not made yet " * 20, rows_kept=99, rows_quarantined=7, seconds=1.5))
    return found


@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_live_table_shows_steps_states_and_counts_whole(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    out = io.StringIO()
    Console(file=out, width=width).print(display().table())
    shown = out.getvalue()
    for text in ("purchases", "spending_of_customers", "2026-11-20T08", "cached", "made", "1,204,567", "quarantined", "1.50"):
        assert text in shown


def test_a_line_is_printed_once_for_each_step_that_ended(capsys: pytest.CaptureFixture[str]) -> None:
    display()
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["step", "interval", "state"]
    assert [line.split()[0] for line in lines] == ["spending_of_customers", "purchases"]
    assert all(len(line) < 220 for line in lines)


def test_a_brief_display_leaves_out_what_was_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    display(is_brief=True)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == ["purchases"]
