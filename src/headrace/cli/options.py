"""The options that commands share.

Only click is imported here, so that `--help` answers at once. The invariant: an option means the same in every command, and has the
same name.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

__all__ = ["as_json", "at_option", "file_argument", "lake_options", "range_options"]

F = TypeVar("F", bound=Callable[..., object])


def _divert(ctx: click.Context, _: click.Parameter, value: bool) -> bool:  # noqa: FBT001  # click calls it so
    """With --json, standard output is for the document alone: what a step prints goes to standard error."""
    if value:
        ctx.meta["headrace.stdout"] = sys.stdout
        ctx.call_on_close(lambda: setattr(sys, "stdout", ctx.meta["headrace.stdout"]))
        sys.stdout = sys.stderr
    return value


file_argument = click.argument("file", type=click.Path(path_type=Path))
as_json = click.option("--json", "as_json", is_flag=True, callback=_divert, is_eager=True, help="Print one JSON document, for programs.")
at_option = click.option("--at", metavar="TIME", help="The interval, by its start: 2026-11-20 or 2026-11-20T08 (UTC).")


def lake_options(function: F) -> F:
    """--lake and --profile."""
    function = click.option("--profile", metavar="NAME", help="The profile of headrace.toml.  [HEADRACE_PROFILE; local]")(function)
    return click.option("--lake", metavar="URI", help="The lake: a folder or a bucket.  [HEADRACE_LAKE; ./lake]")(function)


def range_options(function: F) -> F:
    """--at, --from and --to: one interval, or a range with both its ends; see `headrace.cli.opening.asked_range`."""
    function = click.option("--to", "last", metavar="TIME", help="To the interval that starts then, included.")(function)
    function = click.option("--from", "first", metavar="TIME", help="From the interval that starts then.")(function)
    return click.option("--at", metavar="TIME", help="Only the interval that starts then.")(function)
