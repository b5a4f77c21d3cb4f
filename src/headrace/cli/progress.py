"""Showing a run as it goes: a live table at a terminal, a line for each step elsewhere, nothing with --json.

The invariant: a line is printed once, when its step has ended.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from headrace.cli.output import is_terminal, rows_text, seconds_text
from headrace.cli.transfers import transfers_text
from headrace.core.graph import Pair
from headrace.core.plan import Decision, Plan
from headrace.core.receipt import Receipt
from headrace.core.store import Store

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Display", "watching"]

_COLORS = {
    "made": "green",
    "copied": "cyan",
    "cached": "blue",
    "skipped": "yellow",
    "failed": "red",
    "blocked": "magenta",
    "running": "bold",
    "waiting": "yellow",
}
_SHOWN_LIVE = 24
_LONGEST = 110
_NARROWEST = 12


class Display:
    """Keeps what is known of each pair, and shows it; with it what goes to a store and comes from it, where a network is between."""

    def __init__(self, plan: Plan, *, is_quiet: bool, is_brief: bool = False, store: Store | None = None) -> None:
        self.is_quiet, self.is_brief = is_quiet, is_brief
        self._store = store
        self.has_ended = False  # what went to and fro is told by the summary then
        self.is_live = not is_quiet and is_terminal()
        shown = [d for d in plan.decisions if d.is_target or d.action == "run"]
        self._width = max([len(d.step) for d in shown], default=4)
        self._span = max([len(d.interval.label) for d in shown], default=8)
        self._total = len(plan.to_run)
        self._ended = 0
        self._rows: dict[Pair, tuple[Decision, Receipt | None, float]] = {}
        self._lock = threading.Lock()
        self._has_header = False

    def __call__(self, decision: Decision, receipt: Receipt | None) -> None:
        is_waiting = receipt is None and decision.action == "wait"
        if self.is_brief and decision.action != "run" and not is_waiting:
            return
        with self._lock:
            if is_waiting and decision.pair not in self._rows and not self.is_quiet and not self.is_live:
                self._print(Receipt(decision.step, decision.kind, decision.interval, "skipped", decision.reason), "waiting")
            self._rows[decision.pair] = (decision, receipt, time.perf_counter())
            self._ended += receipt is not None and decision.action == "run"
            if receipt is not None and not self.is_quiet and not self.is_live:
                self._print(receipt)

    def _print(self, receipt: Receipt, state: str = "") -> None:
        if not self._has_header:
            self._has_header = True
            click.echo(self._line("step", "interval", "state", "rows", "quarantined", "seconds", "why"))
        click.echo(
            self._line(
                receipt.step,
                receipt.interval.label,
                state or receipt.state,
                rows_text(receipt.rows_kept),
                rows_text(receipt.rows_quarantined),
                seconds_text(receipt.seconds),
                _why(receipt),
            )
        )

    def _line(self, step: str, interval: str, state: str, rows: str, quarantined: str, seconds: str, why: str) -> str:
        return f"{step:<{self._width}}  {interval:<{self._span}}  {state:<7}  {rows:>10}  {quarantined:>11}  {seconds:>7}  {why}".rstrip()

    def table(self) -> Table:
        """The live table: the newest rows when there are too many to show."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="dim", caption=self._caption(), caption_justify="left", caption_style="dim")
        numbers = {"rows": 10, "quarantined": 11, "seconds": 7}
        widths = {"step": max(self._width, 4), "interval": max(self._span, 8), "state": 7, **numbers}
        for name, width in widths.items():
            table.add_column(name, width=width, justify="right" if name in numbers else "left", no_wrap=True)
        left = shutil.get_terminal_size().columns - sum(widths.values()) - 2 * len(widths)
        has_room = left >= _NARROWEST
        if has_room:
            table.add_column("why", width=left, overflow="ellipsis", no_wrap=True)
        with self._lock:
            rows = list(self._rows.values())
        for decision, receipt, since in self._chosen(rows):
            state = receipt.state if receipt else "waiting" if decision.action == "wait" else "running"
            seconds = receipt.seconds if receipt else time.perf_counter() - since
            table.add_row(
                Text(decision.step),
                decision.interval.label,
                Text(state, style=_COLORS[state]),
                rows_text(receipt.rows_kept) if receipt else "",
                Text(rows_text(receipt.rows_quarantined), style="yellow" if receipt.rows_quarantined else "") if receipt else "",
                seconds_text(seconds),
                *([Text(_why(receipt) if receipt else decision.reason, style="dim")] if has_room else []),
            )
        return table

    def _chosen(self, rows: Sequence[tuple[Decision, Receipt | None, float]]) -> Sequence[tuple[Decision, Receipt | None, float]]:
        if len(rows) <= _SHOWN_LIVE:
            return rows
        telling = [row for row in rows if row[1] is None or row[1].state in ("failed", "blocked")]
        rest = [row for row in rows if row not in telling]
        kept = [*rest[-max(0, _SHOWN_LIVE - len(telling)) :], *telling] if len(telling) < _SHOWN_LIVE else telling[-_SHOWN_LIVE:]
        return sorted(kept, key=lambda row: row[2])

    def _caption(self) -> str:
        done = f"{self._ended:,} of {self._total:,} done" if self._total > _SHOWN_LIVE // 2 else ""
        transfers = transfers_text(self._store) if self._store is not None and not self.has_ended else ""
        return "\n".join(filter(None, (done, transfers)))


@contextmanager
def watching(plan: Plan, *, is_quiet: bool, is_brief: bool = False, store: Store | None = None) -> Iterator[Display]:
    """A display for the length of a run; at a terminal it is drawn again as things change, and left standing at the end.

    `is_brief` leaves out what is not run.
    """
    display = Display(plan, is_quiet=is_quiet, is_brief=is_brief, store=store)
    if not display.is_live:
        yield display
        sys.stdout.flush()
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    with Live(get_renderable=display.table, console=console, refresh_per_second=8):
        yield display
        display.has_ended = True


def _why(receipt: Receipt) -> str:
    text = (receipt.error or receipt.why).partition("\n")[0]
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
