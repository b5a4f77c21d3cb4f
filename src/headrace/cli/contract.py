"""`headrace contract`: how a source's files were read, the contract that its records would fit, and the columns that a person accepts."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path

import click

from headrace.cli.opening import Where, interval_at, open_session
from headrace.cli.options import as_json, at_option, file_argument, lake_options
from headrace.cli.output import print_json, tell
from headrace.core.errors import ConfigurationError
from headrace.core.ports import JSON
from headrace.run.drafting import draft
from headrace.run.quarantined import source_called
from headrace.run.recorded import Accepted, accept

__all__ = ["contract"]


@click.command()
@file_argument
@click.argument("source")
@at_option
@click.option(
    "--accept", "is_accepting", is_flag=True, help="Record the columns that the files of the interval have now, in place of others."
)
@click.option("--since", metavar="TIME", help="With --accept: from the interval on that starts then, an earlier one.")
@lake_options
@as_json
def contract(
    file: Path,
    source: str,
    at: str | None,
    is_accepting: bool,  # noqa: FBT001  # click passes options by name
    since: str | None,
    lake: str | None,
    profile: str | None,
    as_json: bool,  # noqa: FBT001
) -> int:
    """Print a pydantic class that the records of SOURCE fit, to start a contract from.

    Drafted from the rows of one interval, with how their files were read, and why, in front. Put it into the pipeline's file, add what you
    know (`Field(ge=0)`, `Literal[...]`), and give it to the source as `contract=`.

    A source without a contract is read by the columns that are recorded of it. With --accept the files of the interval are looked at again,
    and from it on their columns are the record: those that were added, are missing or have another type or name.
    """
    if is_accepting:
        return _accept(Where(file, lake, profile), source, at, since, as_json=as_json)
    if since is not None:
        raise ConfigurationError("--since says from when on columns are accepted: give --accept with it.")
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
                "recorded": found.recorded,
            }
        )
        return 0
    click.echo(
        f"# Drafted from {manifest.name}, {manifest.interval.label} version {manifest.version}, of {manifest.content.rows or 0:,} rows."
    )
    for line in found.read_as:
        click.echo(f"# Read as: {line}")
    if found.recorded:
        click.echo(f"# Columns: {found.recorded}")
    click.echo(found.text, nl=False)
    return 0


def _accept(where: Where, source: str, at: str | None, since: str | None, *, as_json: bool) -> int:
    with redirect_stdout(sys.stderr):
        session = open_session(where, is_reading=True)
    step = source_called(session, source)
    interval = step.grid.at(interval_at(session, at).start)
    first = None if since is None else step.grid.at(interval_at(session, since).start)
    done = accept(session, step, interval, first)
    if as_json:
        print_json(_told(done, source))
    elif done.is_new:
        if done.difference:
            click.echo(done.difference.table())
        tell(
            f"From {done.since.label} on these columns of `{source}` are recorded. Run it: headrace run {where.file} --at {interval.label}"
        )
    else:
        tell(f"The columns of `{source}` {interval.label} are those that are recorded: there is nothing to accept.")
    return 0


def _told(done: Accepted, source: str) -> JSON:
    columns: list[JSON] = [[column.name, column.type] for column in done.record.contract.schema]
    return {"source": source, "accepted": done.is_new, "since": done.since.label, "columns": columns, "changes": done.as_json()}
