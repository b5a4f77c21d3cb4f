"""`headrace plan`: what a run would do, and why; nothing is written."""

from __future__ import annotations

from pathlib import Path

import click

from headrace.cli.opening import Where, interval_at, open_session, parse_settings
from headrace.cli.options import as_json, file_argument, lake_options
from headrace.cli.output import print_json, print_table, tell
from headrace.cli.summary import stale_lines
from headrace.core.plan import Decision, Plan
from headrace.run.backfill import chosen_steps, experiment_of
from headrace.run.check import check_columns
from headrace.run.observe import Request, make_plan

__all__ = ["plan"]

_SHOWN = 60


@click.command()
@file_argument
@click.option("--at", metavar="TIME", help="The interval, by its start (UTC).  [the last complete one]")
@lake_options
@click.option("--set", "given", metavar="STEP.PARAM=VALUE", multiple=True, help="Set a parameter, as `run` would.")
@click.option("--only", metavar="STEP", multiple=True, help="Only this step, with what it still needs.")
@click.option("--all", "is_whole", is_flag=True, help="List every pair, also those that are only read.")
@as_json
def plan(
    file: Path,
    at: str | None,
    lake: str | None,
    profile: str | None,
    given: tuple[str, ...],
    only: tuple[str, ...],
    is_whole: bool,  # noqa: FBT001  # click passes options by name
    as_json: bool,  # noqa: FBT001
) -> int:
    """Show what `headrace run FILE` would do: each (step, interval), run or skip, with the reason."""
    overrides = parse_settings(given)
    session = open_session(Where(file, lake, profile), overrides=overrides, is_looking=True)
    if overrides:
        session = experiment_of(session, frozenset(overrides))
    interval = interval_at(session, at)
    found = make_plan(session, Request([interval], steps=chosen_steps(session, only)))
    check_columns(session, found)
    if as_json:
        print_json({"interval": interval.label, **found.as_json()})
        return 0
    _print(found, file.name, is_whole=is_whole)
    return 0


def _print(found: Plan, file: str, *, is_whole: bool) -> None:
    shown = [d for d in found.decisions if is_whole or d.is_target or d.action == "run"]
    cut = shown if is_whole or len(shown) <= _SHOWN else [*shown[: _SHOWN // 2], *shown[-_SHOWN // 2 :]]
    print_table(("step", "interval", "action", "why"), [_row(d) for d in cut])
    if len(cut) < len(shown):
        tell(f"… {len(shown) - len(cut)} more in between; with --all they are listed")
    hidden = len(found.decisions) - len(shown)
    read = f"; {hidden} made intervals are read" if hidden else ""
    failing = [d for d in found.to_run if d.obstacle]
    stopped = f"; {len(failing)} can't be made as things stand" if failing else ""
    tell(f"\n{len(found.to_run)} to run of {len(found.decisions)}{stopped}{read}")
    for decision in failing:
        if not decision.is_blocked:
            tell(f"will fail: {decision.obstacle}")
    for line in stale_lines(found, file):
        tell(line)


def _row(decision: Decision) -> tuple[str, str, str, str]:
    """A line of the table; of what will fail or be blocked that is said, as the run would say it."""
    if not decision.obstacle:
        return decision.step, decision.interval.label, decision.action, decision.reason
    action, why = ("blocked", decision.obstacle) if decision.is_blocked else ("fail", decision.reason)
    return decision.step, decision.interval.label, action, why
