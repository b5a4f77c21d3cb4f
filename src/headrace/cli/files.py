"""`headrace files`: the current files of a dataset, for others to read. A folder also holds attempts and old versions: never read it by pattern."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path

import click

from headrace.cli.opening import Where, asked_range, open_session
from headrace.cli.options import as_json, file_argument, lake_options, range_options
from headrace.cli.output import print_json, tell
from headrace.core.errors import ConfigurationError
from headrace.run.listing import redshift_manifest
from headrace.run.reading import PARTS, OpenLake

__all__ = ["files"]


@click.command()
@file_argument
@click.argument("name")
@range_options
@click.option("--part", type=click.Choice(sorted(PARTS)), help="Only this part.  [the rows of all sides; of a model all]")
@click.option("--redshift", "is_redshift", is_flag=True, help="Print the manifest of a COPY of Redshift.")
@lake_options
@as_json
def files(
    file: Path,
    name: str,
    at: str | None,
    first: str | None,
    last: str | None,
    part: str | None,
    is_redshift: bool,  # noqa: FBT001  # click passes options by name
    lake: str | None,
    profile: str | None,
    as_json: bool,  # noqa: FBT001
) -> int:
    """List the current files of the dataset NAME (`spending`, or one part: `spending.test`), one URI or absolute path a line.

    Of all intervals, unless told. Each interval's files are those of one commit. Nothing else is printed to standard output, so that
    $(headrace files …) hands them to another reader.
    """
    if is_redshift and as_json:
        raise ConfigurationError("--redshift and --json are two documents: give one of them.")
    asked = asked_range(at, first, last)
    with redirect_stdout(sys.stderr):  # what the pipeline's file prints
        session = open_session(Where(file, lake, profile), is_reading=True)
    session.graph.step(name.partition(".")[0])
    full = f"{session.graph.name}.{name}"
    found = OpenLake(session.lake).files(full if part is None or name.endswith(f".{part}") else f"{full}.{part}", asked)
    if is_redshift:
        print_json(redshift_manifest(found))
    elif as_json:
        print_json([one.as_json() for one in found])
    else:
        for one in found:
            tell(one.uri)
    return 0
