"""`headrace clear`: make intervals count as not made, so that the next run makes them again. Nothing is deleted."""

from __future__ import annotations

from pathlib import Path

import click

from headrace.cli.opening import Where, interval_at, open_session
from headrace.cli.options import as_json, file_argument, lake_options
from headrace.cli.output import print_json, print_table, tell
from headrace.core.errors import ConfigurationError, UnknownNameError

__all__ = ["clear"]


@click.command()
@file_argument
@click.argument("name")
@click.option("--at", metavar="TIME", help="The interval that starts then.")
@click.option("--from", "first", metavar="TIME", help="From the interval that starts then.")
@click.option("--to", "last", metavar="TIME", help="To the interval that starts then, included.")
@click.option("--why", default="cleared by hand", show_default=True, help="Kept in the log.")
@lake_options
@as_json
def clear(
    file: Path,
    name: str,
    at: str | None,
    first: str | None,
    last: str | None,
    why: str,
    lake: str | None,
    profile: str | None,
    as_json: bool,  # noqa: FBT001  # click passes options by name
) -> int:
    """Make intervals of the dataset NAME count as not made. Their versions stay in the log, and their files until `headrace gc`."""
    if (at is None) == (first is None and last is None):
        raise ConfigurationError("`headrace clear` needs --at, or --from and --to.")
    session = open_session(Where(file, lake, profile), is_reading=True)
    grid = session.graph.step(name.partition(".")[0]).grid
    log = session.lake.log(session.graph.name, name)
    low = grid.at(interval_at(session, at or first).start).start
    high = grid.at(interval_at(session, at or last).start).start
    chosen = [
        i
        for i, v in log.versions(None).items()
        if low <= i.start <= high and (m := log.current(i, versions=v)) is not None and m.kind == "data"
    ]
    if not chosen:
        raise UnknownNameError(f"`{name}` has nothing made there in {session.lake.uri}. See: headrace log {file} {name}")
    cleared = [log.clear(interval, why=why, who=session.who) for interval in chosen]
    if as_json:
        print_json([{"interval": m.interval.label, "version": m.version} for m in cleared])
        return 0
    print_table(("interval", "cleared as version"), [(m.interval.label, str(m.version)) for m in cleared], right=(1,))
    tell(f"Make them again: headrace run {file} --at {cleared[0].interval.label}")
    return 0
