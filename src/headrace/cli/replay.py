"""`headrace replay`: records that a person mended, put back into the interval that they came from."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path

import click

from headrace.cli.opening import Where, open_session
from headrace.cli.options import as_json, at_option, file_argument, lake_options
from headrace.cli.output import print_json, tell
from headrace.core.errors import ConfigurationError
from headrace.core.interval import parse_time
from headrace.run.mending import origins_of
from headrace.run.replaying import replay as replay_file

__all__ = ["replay"]


@click.command()
@file_argument
@click.argument("source")
@click.argument("mended", type=click.Path(path_type=Path))
@at_option
@lake_options
@as_json
def replay(file: Path, source: str, mended: Path, at: str | None, lake: str | None, profile: str | None, as_json: bool) -> int:  # noqa: FBT001  # click passes options by name
    """Put the records of MENDED, which `headrace quarantine FILE SOURCE --export` wrote, into their interval of SOURCE as a new version.

    A record that was left as it is stays in quarantine, and so does one that is still bad. What reads the source is made again by the next
    run. Replaying a file twice changes nothing.
    """
    interval = origins_of(mended).interval
    if at is not None and parse_time(at) != interval.start:
        raise ConfigurationError(f"`{mended}` has records of {interval.label}, and --at says {at}.")
    with redirect_stdout(sys.stderr):  # what the pipeline's file prints
        session = open_session(Where(file, lake, profile), is_reading=True)
        receipt = replay_file(session, source, mended)
    if as_json:
        print_json(receipt.as_json())
        return 0
    tell(
        f"{source} {receipt.interval.label} version {receipt.version}: {receipt.why}; "
        f"{receipt.rows_kept:,} rows kept, {receipt.rows_quarantined:,} records in quarantine"
    )
    for note in receipt.notes:
        tell(f"  {note}")
    if receipt.state != "cached":
        tell(f"Make what reads it again: headrace run {file} --at {receipt.interval.label}")
    return 0
