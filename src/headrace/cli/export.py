"""`headrace export`: the current rows of a dataset as a table of another format."""

from __future__ import annotations

from pathlib import Path

import click

from headrace.cli.opening import Where, asked_range, open_session
from headrace.cli.options import as_json, file_argument, lake_options, range_options
from headrace.cli.output import print_json, rows_text, tell
from headrace.run.exporting import options_by_settings
from headrace.run.reading import OpenLake

__all__ = ["export"]


@click.command()
@file_argument
@click.argument("name")
@click.argument("target")
@range_options
@click.option("--format", "form", default="delta", show_default=True, metavar="FORMAT", help="What to write: a flavour of exports.")
@lake_options
@as_json
def export(
    file: Path,
    name: str,
    target: str,
    at: str | None,
    first: str | None,
    last: str | None,
    form: str,
    lake: str | None,
    profile: str | None,
    as_json: bool,  # noqa: FBT001  # click passes options by name
) -> int:
    """Write the current rows of the dataset NAME (or of one side: `spending.test`) into the table at TARGET, a folder or a URI.

    Of all intervals, unless told. An interval that the table holds already is left alone, so that the command can be given again.
    """
    asked = asked_range(at, first, last)
    session = open_session(Where(file, lake, profile), is_reading=True)
    session.graph.step(name.partition(".")[0])
    options = options_by_settings(session.config, session.connections, target)
    done = OpenLake(session.lake).export(f"{session.graph.name}.{name}", target, asked, format=form, options=options)
    if as_json:
        print_json([one.as_json() for one in done])
        return 0
    written = [one for one in done if one.was == "written"]
    rows = rows_text(sum(one.rows for one in written)) if written else "0"
    count = f"{len(written)} interval{'' if len(written) == 1 else 's'}"
    tell(f"{session.graph.name}.{name}: {count} written ({rows} rows), {len(done) - len(written)} stood already in {target}")
    return 0
