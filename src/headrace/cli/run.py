"""`headrace run`: one interval of a pipeline, from raw files to a model, with its report. What it does is in `running`."""

from __future__ import annotations

from pathlib import Path

import click

from headrace.cli.options import as_json, file_argument, lake_options

__all__ = ["run"]


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
    from headrace.cli.running import Asked, run_once

    asked = Asked(file, at, lake, profile, given, only, force, keep, jobs, report)
    return run_once(asked, as_json=as_json)
