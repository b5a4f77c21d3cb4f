"""`headrace run`: one interval of a pipeline, from raw files to a model, with its report."""

from __future__ import annotations

import time
from pathlib import Path

import click

from headrace.cli.options import Where, as_json, file_argument, interval_at, lake_options, open_session, parse_settings
from headrace.cli.output import print_json, show_error, tell
from headrace.cli.progress import watching
from headrace.cli.summary import print_summary
from headrace.core.errors import HeadraceError
from headrace.core.ports import JSON
from headrace.run.backfill import Ran, carry_out, chosen_steps, experiment_of
from headrace.run.nearest import check_sources
from headrace.run.observe import Request, make_plan
from headrace.run.session import Session
from headrace.run.story import tell_story

__all__ = ["run"]

_OWN = str(Path(__file__).parents[1])


@click.command()
@file_argument
@click.option("--at", metavar="TIME", help="The interval, by its start: 2026-11-20 or 2026-11-20T08 (UTC).  [the last complete one]")
@lake_options
@click.option(
    "--set", "given", metavar="STEP.PARAM=VALUE", multiple=True, help="Set a parameter for this run: an experiment, unless --keep."
)
@click.option("--only", metavar="STEP", multiple=True, help="Only this step, with what it still needs. May be given again.")
@click.option("--force", metavar="STEP", multiple=True, help="Make this step again (`all`: every step): an experiment, unless --keep.")
@click.option("--keep", is_flag=True, help="Let what --set or --force makes become the interval's current version.")
@click.option("--jobs", type=click.IntRange(1, 256), help="Steps that run at the same time.")
@click.option("--report/--no-report", default=True, help="Write the HTML report.")
@as_json
def run(
    file: Path,
    at: str | None,
    lake: str | None,
    profile: str | None,
    given: tuple[str, ...],
    only: tuple[str, ...],
    force: tuple[str, ...],
    keep: bool,  # noqa: FBT001  # click passes options by name
    jobs: int | None,
    report: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> int:
    """Run the pipeline in FILE for one interval.

    What was made before and has not changed is not made again. An interval that a step reads and that is missing is made too.
    """
    started = time.time()
    overrides = parse_settings(given)
    session = open_session(Where(file, lake, profile), overrides=overrides)
    interval = interval_at(session, at)
    steps = chosen_steps(session, only)
    forced = frozenset(session.graph.steps) if "all" in force else frozenset(chosen_steps(session, force) or ())
    changed = frozenset(overrides) | forced
    if changed and not keep:
        session = experiment_of(session, changed)
    note = check_sources(session, interval, is_default=at is None)
    if note:
        tell(f"note: {note}", err=True)
    request = Request([interval], steps=steps, forced=forced)
    plan = make_plan(session, request)
    with watching(plan, is_quiet=as_json) as display:
        ran = carry_out(session, request, jobs=jobs, watch=display, plan=plan)
    code = _code(ran)
    if as_json:
        told = tell_story(session, ran, [interval], started=started, has_report=report)
        print_json(
            {
                "pipeline": session.graph.name,
                "interval": interval.label,
                "lake": session.lake.uri,
                "exit_code": code,
                **told.as_json(),
                **_receipts(ran),
            }
        )
        return code
    print_summary(session, ran, [interval], seconds=time.time() - started)
    _show_errors(ran)
    told = tell_story(session, ran, [interval], started=started, has_report=report)
    for line in told.lines:
        tell(line)
    _show_experiment(session)
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
        theirs = error.__cause__ if isinstance(error, HeadraceError) else error
        if theirs is not None and not isinstance(theirs, HeadraceError):
            tell(_traceback(theirs), err=True)
        show_error(error if isinstance(error, HeadraceError) else HeadraceError(f"{type(error).__name__}: {error}"))
    if ran.outcome.is_interrupted:
        tell("interrupted: what was committed stays; run again to go on.", err=True)


def _traceback(error: BaseException) -> str:
    """The user's traceback: without headrace's own frames above it."""
    import traceback

    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None and _OWN in trace.tb_frame.f_code.co_filename:
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace)).rstrip()


def _show_experiment(session: Session) -> None:
    if session.experiment:
        first = min(session.experiment)
        tell(
            f"experiment: written beside the current versions ({session.graph.name}.{first}.experiment, …); with --keep it becomes current."
        )
