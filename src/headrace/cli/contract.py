"""`headrace contract`: how a source's files were read, and the contract that its records would fit."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path

import click

from headrace.cli.opening import Where, open_session
from headrace.cli.options import as_json, at_option, file_argument, lake_options
from headrace.cli.output import print_json
from headrace.run.drafting import draft

__all__ = ["contract"]


@click.command()
@file_argument
@click.argument("source")
@at_option
@lake_options
@as_json
def contract(file: Path, source: str, at: str | None, lake: str | None, profile: str | None, as_json: bool) -> int:  # noqa: FBT001  # click passes options by name
    """Print a pydantic class that the records of SOURCE fit, to start a contract from.

    Drafted from the rows of one interval, with how their files were read, and why, in front. Put it into the pipeline's file, add what you
    know (`Field(ge=0)`, `Literal[...]`), and give it to the source as `contract=`.
    """
    with redirect_stdout(sys.stderr):  # what the pipeline's file prints
        session = open_session(Where(file, lake, profile), is_reading=True)
    found = draft(session, source, at)
    manifest = found.manifest
    if as_json:
        print_json(
            {
                "dataset": manifest.name,
                "interval": manifest.interval.label,
                "version": manifest.version,
                "contract": found.text,
                "read_as": manifest.content.details.get("read_as"),
                "columns": [[c.name, c.type, c.nullable] for c in manifest.content.columns],
            }
        )
        return 0
    click.echo(
        f"# Drafted from {manifest.name}, {manifest.interval.label} version {manifest.version}, of {manifest.content.rows or 0:,} rows."
    )
    for line in found.read_as:
        click.echo(f"# Read as: {line}")
    click.echo(found.text, nl=False)
    return 0
