"""`headrace quarantine`: the records of a source that were not kept: how many, why, and some of them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, cast

import click

from headrace.cli.opening import Where, asked_range, open_session
from headrace.cli.options import as_json, file_argument, lake_options, range_options
from headrace.cli.output import print_json, print_table, tell
from headrace.core.ports import JSON
from headrace.run.mending import export_to_mend
from headrace.run.quarantined import Quarantine, quarantine_at, quarantines, safe_text, told
from headrace.run.session import Session

__all__ = ["quarantine"]

_REASONS = 20


@click.command()
@file_argument
@click.argument("source")
@range_options
@click.option("--sample", default=5, show_default=True, type=click.IntRange(0, 1000), help="How many records to show.")
@click.option(
    "--export", metavar="OUT", type=click.Path(path_type=Path), help="Write the records of one interval to this file, to mend them."
)
@lake_options
@as_json
def quarantine(
    file: Path,
    source: str,
    at: str | None,
    first: str | None,
    last: str | None,
    sample: int,
    export: Path | None,
    lake: str | None,
    profile: str | None,
    as_json: bool,  # noqa: FBT001  # click passes options by name
) -> int:
    """Show what SOURCE did not keep: records by reason and by file, and some of them as they came.

    Of all intervals, unless told. Where the source was refused since it was last made, or was never made, these are the records that it
    was refused for. Nothing is shown as it came where the setting `mask` names a column of the source.

    --export writes every record whole, as it came, with the columns' names first, and beside it a file that says where each is from:
    `headrace replay` needs both.
    """
    asked = asked_range(at, first, last)
    with redirect_stdout(sys.stderr):  # what the pipeline's file prints
        session = open_session(Where(file, lake, profile), is_reading=True)
    if export is not None:
        return _export(session, file, quarantine_at(session, source, asked), source, export, as_json=as_json)
    found = told(session, source, quarantines(session, source, asked), sample)
    if as_json:
        print_json(found)
    else:
        _show(found)
    return 0


def _export(session: Session, file: Path, found: Quarantine, source: str, path: Path, *, as_json: bool) -> int:
    written = export_to_mend(session, source, found, path)
    if as_json:
        print_json({"path": str(written.path), "origin": str(written.origin), "records": written.records, "interval": found.interval.label})
        return 0
    tell(f"wrote {written.records:,} records of {found.manifest} to {written.path}, and where they are from to {written.origin}")
    tell(f"Mend them, each where it stands, and then: headrace replay {file} {source} {written.path}")
    return 0


def _show(found: Mapping[str, JSON]) -> None:
    intervals, reasons, samples = (cast(Any, found[key]) for key in ("intervals", "reasons", "samples"))
    with_records = [one for one in intervals if one["quarantined"]]
    if not with_records:
        tell(f"No record of {found['source']} is in quarantine.")
        return
    lines = [
        (one["interval"], str(one["version"]), "refused" if one["refused"] else "made", f"{one['quarantined']:,}") for one in with_records
    ]
    print_table(("interval", "version", "state", "quarantined"), lines, right=(1, 3))
    if any(one["refused"] for one in with_records):
        tell("Where it says refused, nothing was committed as data: the records are kept in the dataset `<source>.refused`.")
    tell("")
    print_table(("records", "reason"), [(f"{count:,}", safe_text(text)) for text, count in list(reasons.items())[:_REASONS]], right=(0,))
    tell("")
    by_file = [(one["interval"], safe_text(name), f"{count:,}") for one in with_records for name, count in one["files"].items()]
    print_table(("interval", "file", "records"), by_file, right=(2,))
    _show_samples(samples, cast(Sequence[str], found["masked"]))


def _show_samples(samples: Sequence[Mapping[str, Any]], masked: Sequence[str]) -> None:
    if masked:
        tell(f"\nMasked columns: {', '.join(masked)}. So no record is shown as it came.")
    for one in samples:
        tell(f"\n{one['file']}:{one['line']} (byte {one['offset']}, {one['interval']}): {'; '.join(one['reasons'])}")
        if one["raw"] is not None:
            tell(f"    {one['raw']}")
