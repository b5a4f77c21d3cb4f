"""The display of a run: nothing that matters is cut, and a line is printed once."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from headrace.backends.stores.memory import MemoryStore
from headrace.cli.progress import Display
from headrace.cli.transfers import transfers_json, transfers_text
from headrace.core.interval import Interval
from headrace.core.plan import Decision, Plan
from headrace.core.receipt import Receipt
from headrace.core.traffic import Traffic

HOUR = Interval.of("2026-11-20T08", "2026-11-20T09")


def display(*, is_brief: bool = False, store: MemoryStore | None = None) -> Display:
    decisions = tuple(
        Decision(step, "table", HOUR, action, "why") for step, action in (("purchases", "run"), ("spending_of_customers", "skip"))
    )
    found = Display(Plan("shop", decisions), is_quiet=False, is_brief=is_brief, store=store)
    for decision in decisions:
        found(
            decision,
            None if decision.action == "run" else Receipt(decision.step, "table", HOUR, "cached", "nothing changed", rows_kept=1_204_567),
        )
    found(decisions[0], Receipt("purchases", "source", HOUR, "made", "not made yet " * 20, rows_kept=99, rows_quarantined=7, seconds=1.5))
    return found


class FarStore(MemoryStore):
    """A store with a network before it, as far as a display can tell."""

    traffic: Traffic


def far_store() -> FarStore:
    store = FarStore("s3://shop/lake")
    store.traffic = Traffic()
    return store


def shown(found: Display, width: int = 100) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(found.table())
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_live_table_shows_steps_states_and_counts_whole(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for text in ("purchases", "spending_of_customers", "2026-11-20T08", "cached", "made", "1,204,567", "quarantined", "1.50"):
        assert text in shown(display(), width)


def test_the_live_table_shows_what_went_to_a_bucket_and_came_from_it_as_it_goes() -> None:
    store = far_store()
    found = display(store=store)
    store.traffic.count(1, up=12_100_000)
    assert "s3://shop/lake  1 request, 12.1 MB up, 0 B down" in shown(found)
    store.traffic.count(1_213, down=96_000_000)
    assert "s3://shop/lake  1,214 requests, 12.1 MB up, 96.0 MB down" in shown(found)
    found.has_ended = True
    assert "requests" not in shown(found)


def test_of_a_lake_without_a_network_no_transfers_are_shown() -> None:
    store = MemoryStore("memory://")
    assert "request" not in shown(display(store=store))
    assert (transfers_text(store), transfers_json(store)) == ("", {})


def test_transfers_are_told_to_programs_in_whole_bytes() -> None:
    store = far_store()
    store.traffic.count(2, up=3, down=4)
    assert transfers_json(store) == {"traffic": {"requests": 2, "bytes_up": 3, "bytes_down": 4}}


def test_a_line_is_printed_once_for_each_step_that_ended(capsys: pytest.CaptureFixture[str]) -> None:
    display()
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["step", "interval", "state"]
    assert [line.split()[0] for line in lines] == ["spending_of_customers", "purchases"]
    assert all(len(line) < 220 for line in lines)


def test_a_brief_display_leaves_out_what_was_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    display(is_brief=True)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == ["purchases"]
