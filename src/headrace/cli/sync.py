"""`headrace sync`: send what waits for the experiment tracker, in the foreground."""

from __future__ import annotations

from pathlib import Path

import click

from headrace.cli.opening import Where, open_session
from headrace.cli.options import as_json, file_argument, lake_options
from headrace.cli.output import print_json, tell
from headrace.run.tracking import sync_notes

__all__ = ["sync"]


@click.command()
@file_argument
@lake_options
@as_json
def sync(file: Path, lake: str | None, profile: str | None, as_json: bool) -> int:  # noqa: FBT001  # click passes options by name
    """Send the runs that wait for the experiment tracker of the pipeline in FILE."""
    session = open_session(Where(file, lake, profile), is_reading=True)
    result = sync_notes(session)
    if as_json:
        print_json({"sent": result.sent, "waiting": result.waiting, "error": result.error})
        return 1 if result.error else 0
    tell(f"{result.sent} sent, {result.waiting} waiting" + (f"; the last error: {result.error}" if result.error else ""))
    return 1 if result.error else 0
