"""`headrace backfill`: a range of intervals, each once, resumable."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click

from headrace.cli.interrupts import interruptible
from headrace.cli.opening import Where, interval_at, open_session
from headrace.cli.options import as_json, file_argument, lake_options
from headrace.cli.output import print_json, show_error, tell
from headrace.cli.progress import watching
from headrace.cli.summary import print_summary
from headrace.cli.transfers import transfers_json, transfers_text
from headrace.core.errors import ConfigurationError, HeadraceError
from headrace.core.interval import Interval
from headrace.run.backfill import Ran, carry_out, chosen_steps
from headrace.run.observe import Request, make_plan
from headrace.run.session import Session
from headrace.run.story import tell_story

__all__ = ["backfill"]

_SHOWN = 10


@click.command()
@file_argument
@click.option("--from", "first", metavar="TIME", help="The first interval, by its start.  [the pipeline's start]")
@click.option("--to", "last", metavar="TIME", help="The last interval, by its start, included.  [the last complete one]")
@lake_options
@click.option("--only", metavar="STEP", multiple=True, help="Only this step, with what it still needs. May be given again.")
@click.option("--force", metavar="STEP", multiple=True, help="Make this step again in each interval (`all`: every step).")
@click.option("--jobs", type=click.IntRange(1, 256), help="Steps that run at the same time.")
@click.option("--report/--no-report", default=True, help="Write one HTML report about the range.")
@as_json
def backfill(
    file: Path,
    first: str | None,
    last: str | None,
    lake: str | None,
    profile: str | None,
    only: tuple[str, ...],
    force: tuple[str, ...],
    jobs: int | None,
    report: bool,  # noqa: FBT001  # click passes options by name
    as_json: bool,  # noqa: FBT001
) -> int:
    """Run a range of intervals of the pipeline in FILE, both ends included.

    What is there and still true is skipped, so a backfill that was stopped goes on where it was. Models are promoted in time's order.
    """
    started = time.time()
    session = open_session(Where(file, lake, profile))
    runs = _range(session, first, last)
    forced = frozenset(session.graph.steps) if "all" in force else frozenset(chosen_steps(session, force) or ())
    request = Request(runs, steps=chosen_steps(session, only), forced=forced, is_backfill=True)
    plan = make_plan(session, request)
    if not as_json:
        tell(
            f"{len(runs):,} intervals from {runs[0].label} to {runs[-1].label}: {len(plan.to_run):,} of {len(plan.decisions):,} steps to run"
        )
    with interruptible(), watching(plan, is_quiet=as_json, is_brief=True, store=session.lake.store) as display:
        ran = carry_out(session, request, jobs=jobs, watch=display, plan=plan)
    code = 130 if ran.outcome.is_interrupted else 1 if ran.outcome.errors else 0
    if not as_json:
        print_summary(session, ran, seconds=time.time() - started)
        _print_failures(ran)
    told = tell_story(session, ran, runs, started=started, has_report=report)
    if as_json:
        receipts = [receipt.as_json() for receipt in ran.receipts]
        print_json(
            {
                "pipeline": session.graph.name,
                "from": runs[0].label,
                "to": runs[-1].label,
                "exit_code": code,
                **told.as_json(),
                **transfers_json(session.lake.store),
                "receipts": list(receipts),
            }
        )
        return code
    for line in (*told.lines, transfers_text(session.lake.store)):
        if line:
            tell(line)
    return code


def _range(session: Session, first: str | None, last: str | None) -> Sequence[Interval]:
    graph = session.graph
    if first is None and graph.first is None:
        raise ConfigurationError(f"Pipeline `{graph.name}` has no start=, so a backfill needs --from.")
    end = interval_at(session, last)
    start = interval_at(session, first) if first is not None else graph.first or end
    if end.start < start.start:
        raise ConfigurationError(f"--from {start.label} is after --to {end.label}.")
    return list(graph.grid.within(Interval(start.start, end.end)))


def _print_failures(ran: Ran) -> None:
    """What failed and why: each different error once, with where it happened first and how often."""
    grouped: dict[str, list[tuple[str, str]]] = {}
    errors: dict[str, BaseException] = {}
    for (step, interval), error in ran.outcome.errors.items():
        key = f"{step}: {type(error).__name__}: {_without_times(str(error))}"
        grouped.setdefault(key, []).append((step, interval.label))
        errors.setdefault(key, error)
    for key, places in list(grouped.items())[:_SHOWN]:
        error = errors[key]
        tell("", err=True)
        more = f" (and {len(places) - 1} other intervals, to {places[-1][1]})" if len(places) > 1 else ""
        tell(f"failed: `{places[0][0]}` {places[0][1]}{more}", err=True)
        show_error(error if isinstance(error, HeadraceError) else HeadraceError(f"{type(error).__name__}: {error}"))
    if len(grouped) > _SHOWN:
        tell(f"… and {len(grouped) - _SHOWN} other kinds of failure", err=True)
    if ran.outcome.is_interrupted:
        tell("interrupted: what was committed stays; the same command goes on from there.", err=True)


def _without_times(text: str) -> str:
    import re

    return re.sub(r"\d{4}-\d{2}-\d{2}(T[\d:]+)?", "…", text)
