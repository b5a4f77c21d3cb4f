"""`headrace ls`: what is in the lake."""

from __future__ import annotations

from pathlib import Path

import click

from headrace.cli.opening import Where, open_session
from headrace.cli.options import as_json, file_argument, lake_options
from headrace.cli.output import print_json, print_table, tell
from headrace.run.reading import OpenLake

__all__ = ["ls"]


@click.command()
@file_argument
@lake_options
@click.option("--all", "is_whole", is_flag=True, help="Also the run records.")
@as_json
def ls(file: Path, lake: str | None, profile: str | None, is_whole: bool, as_json: bool) -> int:  # noqa: FBT001  # click passes options by name
    """List the datasets and models of the pipeline in FILE: how many intervals each has, the first and the last."""
    session = open_session(Where(file, lake, profile), is_reading=True)
    found = [one for one in OpenLake(session.lake).ls(session.graph.name) if is_whole or "._" not in one.name]
    if as_json:
        print_json(
            [
                {
                    "name": one.name,
                    "intervals": one.intervals,
                    "first": one.first.label if one.first else None,
                    "last": one.last.label if one.last else None,
                }
                for one in found
            ]
        )
        return 0
    if not found:
        tell(f"Nothing of `{session.graph.name}` is in {session.lake.uri} yet. Run it: headrace run {file}")
        return 0
    rows = [(one.name, f"{one.intervals:,}", one.first.label if one.first else "", one.last.label if one.last else "") for one in found]
    print_table(("name", "intervals", "first", "last"), rows, right=(1,))
    return 0
