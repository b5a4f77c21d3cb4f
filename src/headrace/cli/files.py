"""`headrace files`: the current files of a dataset, for others to read. A folder also holds attempts and old versions: never read it by pattern."""

from __future__ import annotations

from pathlib import Path

import click

from headrace.cli.opening import Where, open_session
from headrace.cli.options import as_json, file_argument, lake_options
from headrace.cli.output import print_json, tell
from headrace.core.errors import UnknownNameError
from headrace.core.interval import Interval, parse_time
from headrace.run.reading import PARTS
from headrace.run.session import Session

__all__ = ["files"]


@click.command()
@file_argument
@click.argument("name")
@click.option("--at", metavar="TIME", help="Only the interval that starts then.")
@click.option("--from", "first", metavar="TIME", help="From the interval that starts then.")
@click.option("--to", "last", metavar="TIME", help="To the interval that starts then, included.")
@click.option("--part", metavar="PART", help="Only this part: rows, train, test, quarantine, raw, model.")
@lake_options
@as_json
def files(
    file: Path,
    name: str,
    at: str | None,
    first: str | None,
    last: str | None,
    part: str | None,
    lake: str | None,
    profile: str | None,
    as_json: bool,  # noqa: FBT001  # click passes options by name
) -> int:
    """List the current files of the dataset NAME, one path a line: what to hand to another reader."""
    session = open_session(Where(file, lake, profile), is_reading=True)
    session.graph.step(name.partition(".")[0])
    dataset, _, last_name = name.rpartition(".")
    if dataset and last_name in PARTS:
        name, part = dataset, part or last_name
    log = session.lake.log(session.graph.name, name)
    listed: list[dict[str, object]] = []
    for interval, versions in log.versions(None).items():
        if not _is_asked(interval, at, first, last):
            continue
        manifest = log.current(interval, versions=versions)
        for one in manifest.content.parts if manifest is not None else ():
            if part is None or one.name == part:
                listed.extend(
                    {
                        "interval": interval.label,
                        "part": one.name,
                        "path": _path(session, f.key),
                        "bytes": f.bytes,
                        "sha256": f.sha256,
                        "rows": f.rows,
                    }
                    for f in one.files
                )
    if not listed:
        raise UnknownNameError(f"`{name}` has no current files for that in {session.lake.uri}. See: headrace log {session.file} {name}")
    if as_json:
        print_json(listed)  # type: ignore[arg-type]
        return 0
    for entry in listed:
        tell(str(entry["path"]))
    return 0


def _is_asked(interval: Interval, at: str | None, first: str | None, last: str | None) -> bool:
    if at is not None:
        return interval.start == parse_time(at)
    return (first is None or interval.start >= parse_time(first)) and (last is None or interval.start <= parse_time(last))


def _path(session: Session, key: str) -> str:
    return f"{session.lake.uri.rstrip('/')}/{key}"
