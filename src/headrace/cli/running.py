"""Running one interval, as `headrace run` was asked to: session, plan, run, summary, report."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from headrace.cli.interrupts import interruptible
from headrace.cli.opening import Where, interval_at, open_session, parse_settings
from headrace.cli.output import print_json, show_error, tell
from headrace.cli.progress import watching
from headrace.cli.summary import print_summary
from headrace.cli.transfers import transfers_json, transfers_text
from headrace.core.errors import HeadraceError
from headrace.core.ports import JSON
from headrace.run.backfill import Ran, carry_out, chosen_steps, experiment_of
from headrace.run.nearest import check_sources
from headrace.run.observe import Request, make_plan
from headrace.run.redaction import redacted
from headrace.run.session import Session
from headrace.run.story import tell_story
from headrace.steps.boundary import user_traceback

__all__ = ["Asked", "run_once"]


@dataclass(frozen=True)
class Asked:
    """The options of `headrace run`."""

    file: Path
    at: str | None
    lake: str | None
    profile: str | None
    given: tuple[str, ...]
    only: tuple[str, ...]
    force: tuple[str, ...]
    keep: bool
    jobs: int | None
    has_report: bool


def run_once(asked: Asked, *, as_json: bool) -> int:
    """Run one interval and say what came of it; the exit code."""
    started = time.time()
    overrides = parse_settings(asked.given)
    session = open_session(Where(asked.file, asked.lake, asked.profile), overrides=overrides)
    interval = interval_at(session, asked.at)
    steps = chosen_steps(session, asked.only)
    forced = frozenset(session.graph.steps) if "all" in asked.force else frozenset(chosen_steps(session, asked.force) or ())
    changed = frozenset(overrides) | forced
    if changed and not asked.keep:
        session = experiment_of(session, changed)
    note = check_sources(session, interval, is_default=asked.at is None)
    if note:
        tell(f"note: {note}", err=True)
    request = Request([interval], steps=steps, forced=forced)
    plan = make_plan(session, request)
    with interruptible(), watching(plan, is_quiet=as_json, store=session.lake.store) as display:
        ran = carry_out(session, request, jobs=asked.jobs, watch=display, plan=plan)
    code = _code(ran)
    if as_json:
        told = tell_story(session, ran, [interval], started=started, has_report=asked.has_report)
        print_json(
            {
                "pipeline": session.graph.name,
                "interval": interval.label,
                "lake": session.lake.uri,
                "exit_code": code,
                **told.as_json(),
                **transfers_json(session.lake.store),
                **_receipts(ran),
            }
        )
        return code
    print_summary(session, ran, seconds=time.time() - started)
    _show_errors(ran)
    told = tell_story(session, ran, [interval], started=started, has_report=asked.has_report)
    for line in (*told.lines, transfers_text(session.lake.store)):
        if line:
            tell(line)
    _show_experiment(session, ran)
    return code


def _receipts(ran: Ran) -> dict[str, JSON]:
    return {"receipts": [receipt.as_json() for receipt in ran.receipts]}


def _code(ran: Ran) -> int:
    if ran.outcome.is_interrupted:
        return 130
    return 1 if ran.outcome.errors else 0


def _show_errors(ran: Ran) -> None:
    for error in ran.outcome.errors.values():
        tell("", err=True)
        theirs = user_traceback(error)
        if theirs:
            tell(redacted(theirs), err=True)
        show_error(error if isinstance(error, HeadraceError) else HeadraceError(f"{type(error).__name__}: {error}"))
    if ran.outcome.is_interrupted:
        tell("interrupted: what was committed stays; run again to go on.", err=True)


def _show_experiment(session: Session, ran: Ran) -> None:
    written = [r.step for r in ran.receipts if r.step in session.experiment and r.state in ("made", "copied") and r.kind != "promotion"]
    if session.experiment:
        names = ", ".join(f"{session.graph.name}.{step}.experiment" for step in dict.fromkeys(written)) or "nothing"
        tell(f"experiment: {names} written beside the current versions; with --keep they become current.")
