"""`headrace trace`: where the rows of a key come from, and where they went."""

from __future__ import annotations

from pathlib import Path

import click

from headrace.cli.opening import Where, open_session
from headrace.cli.options import as_json, file_argument, lake_options
from headrace.cli.output import print_json, tell
from headrace.core.errors import NotReadyError
from headrace.core.interval import Interval, parse_time
from headrace.core.ports import JSON
from headrace.run.session import Session
from headrace.run.tracing import Place, Trace, traced

__all__ = ["trace"]

_WIDEST = 160


@click.command()
@file_argument
@click.argument("name")
@click.option("--key", required=True, metavar="COLUMN=VALUE", help="Whose rows: a column and what it holds.")
@click.option("--at", metavar="TIME", help="The interval, by its start.  [the newest]")
@click.option("--most", default=5, show_default=True, type=click.IntRange(1, 1000), help="Rows shown of each part.")
@lake_options
@as_json
def trace(file: Path, name: str, key: str, at: str | None, most: int, lake: str | None, profile: str | None, as_json: bool) -> int:  # noqa: FBT001  # click passes options by name
    """Show the rows of the dataset NAME that hold a key, those of all that it was made from, back to the raw records, and of all that was
    made from it: on which side of a split, with which predictions.
    """
    column, equals, text = key.partition("=")
    if not equals or not column:
        raise click.BadParameter("Write it as COLUMN=VALUE, such as customer_id=17850.", param_hint="--key")
    session = open_session(Where(file, lake, profile), is_reading=True)
    found = traced(session, name, _interval(session, name, at), column, text, most=most)
    masked = frozenset(session.config.names("mask")) - {column}
    if as_json:
        print_json([_document(one, masked) for one in found])
        return 0
    for one in found:
        _show(one, masked)
    total = sum(one.count for one in found)
    if not total:
        tell(f"no row of `{name}`, nor of what it was made from or is read by, has {key}")
    return 0


def _interval(session: Session, name: str, at: str | None) -> Interval:
    grid = session.graph.step(name).grid
    if at is not None:
        return grid.at(parse_time(at))
    for interval in reversed(list(session.catalog.all_intervals(session.dataset(name)))):
        if session.catalog.current(session.dataset(name), interval) is not None:
            return interval
    raise NotReadyError(f"`{name}` has no data yet. Make it: headrace run {session.file}")


def _show(one: Trace, masked: frozenset[str]) -> None:
    what = f"{one.dataset} {one.interval.label} v{one.version}"
    side = "" if one.part == "rows" else f", side {one.part}"
    count = f"{one.count} row{'s' if one.count != 1 else ''}"
    tell(f"{one.direction:<10}  {what}: {one.note}" if not one.count else f"{one.direction:<10}  {what}{side}: {count}")
    for n, row in enumerate(one.rows):
        tell("    " + _clip(", ".join(f"{name}={'***' if name in masked else value}" for name, value in row.items())))
        if n < len(one.places):
            tell("      " + _raw(one.places[n], masked))
    if one.count > len(one.rows):
        tell(f"    … and {one.count - len(one.rows)} more")
    if one.count and one.note:
        tell(f"    {one.note}")


def _raw(place: Place, masked: frozenset[str]) -> str:
    text = "***" if masked else repr(place.raw[:_WIDEST].decode("utf-8", "replace"))[1:-1]
    return f"{place.file}:{place.line}  {text}"


def _clip(text: str) -> str:
    return text if len(text) <= 2 * _WIDEST else text[: 2 * _WIDEST] + "…"


def _document(one: Trace, masked: frozenset[str]) -> dict[str, JSON]:
    rows: list[JSON] = [{name: "***" if name in masked else _plain(value) for name, value in row.items()} for row in one.rows]
    places: list[JSON] = [
        {
            "file": place.file,
            "line": place.line,
            "byte_offset": place.byte_offset,
            "raw": "***" if masked else place.raw.decode("utf-8", "backslashreplace"),
        }
        for place in one.places
    ]
    return {
        "direction": one.direction,
        "dataset": one.dataset,
        "interval": one.interval.label,
        "version": one.version,
        "part": one.part,
        "count": one.count,
        "rows": rows,
        "places": places,
        "note": one.note,
    }


def _plain(value: object) -> JSON:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
