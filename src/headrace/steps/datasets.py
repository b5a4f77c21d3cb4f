"""Datasets of other pipelines as sources: which of their intervals a source reads, and their rows taken as they are.

What there is in the lake is looked up by `headrace.run.upstream`; here it is a value. The invariant: the rows of a commit are those
that the other pipeline's manifests count, and its files are the commit's own, so that the other's may be collected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from headrace.core.errors import DataError, SourceError
from headrace.core.interval import Grid, Interval, parse_duration
from headrace.core.manifest import InputRef, Manifest, Part, digest_of
from headrace.core.ports import JSON, EngineSession, InputFiles, Schema, WriteOrder, Written
from headrace.core.split import ROW_PARTS
from headrace.core.step import Source
from headrace.lake.commit import Attempt
from headrace.steps.made import Made

__all__ = ["PathsOf", "Upstream", "grid_from", "intervals_read", "parts_of", "row_parts", "rows_digest", "take_rows"]

_LAYER = "silver"

PathsOf = Callable[[Manifest, str], Sequence[Path]]
"""The local files of a part of a commit, checked."""


@dataclass(frozen=True)
class Upstream:
    """What a source's interval reads of `name`, another pipeline's dataset, as it is in the lake now.

    `found` are the commits, in time's order, `missing` the intervals that are not made, `expired` those that retention took. `parts` are the parts
    that are read; none means all that hold rows. `columns` are those of its newest commit, for an interval of which there is nothing.
    """

    name: str
    wanted: tuple[Interval, ...]
    found: tuple[Manifest, ...] = ()
    missing: tuple[Interval, ...] = ()
    expired: tuple[Interval, ...] = ()
    parts: tuple[str, ...] = ()
    columns: Schema = ()

    @property
    def ref(self) -> InputRef:
        """What the manifest of the source keeps: which versions were read."""
        window = Interval(self.wanted[0].start, self.wanted[-1].end)
        return InputRef.of(self.name, window, [(m.interval, m.version, m.content.digest) for m in self.found])

    @property
    def digest(self) -> str:
        """Over the rows that are read, without times, versions or paths."""
        return digest_of([rows_digest(manifest, self.parts) for manifest in self.found])


def grid_from(every: str, known: Interval) -> Grid:
    """A dataset's grid: how often it is made, as its log's owner says, and one interval of it."""
    return Grid.parse("@monthly") if every == "monthly" else Grid(known.start, parse_duration(every))


def intervals_read(grid: Grid, first: Interval, interval: Interval) -> tuple[Interval, ...]:
    """The intervals of another grid that an interval reads: itself, all of a finer grid that end within it, or the newest that ended by then.

    `first` is the first that the other dataset has. None of a finer grid is asked for before it; where all would be, and on the same
    or a coarser grid, what is asked for may be before it, and is then missing.

    >>> day = Interval.of("2026-11-20", "2026-11-21")
    >>> hours = Grid.parse("@hourly")
    >>> len(intervals_read(hours, hours.at(day.start), day)), len(intervals_read(Grid.parse("@weekly"), day, day))
    (24, 1)
    """
    if grid.holds(interval):
        return (interval,)
    if grid.nominal >= interval.length:
        return (grid.last_ended_by(interval.end),)
    within = tuple(grid.ending_in(interval))
    return tuple(one for one in within if one.start >= first.start) or within


def parts_of(step: Source) -> tuple[str, ...]:
    """The parts that a source names; none means all."""
    named = step.options.options.get("parts")
    return tuple(map(str, named)) if isinstance(named, list | tuple) else ()


def row_parts(manifest: Manifest, parts: Sequence[str] = ()) -> list[Part]:
    """The parts of a commit that hold its rows, or those of them that are named, in a fixed order."""
    return [part for name in (parts or ROW_PARTS) for part in manifest.content.parts if part.name == name]


def rows_digest(manifest: Manifest, parts: Sequence[str] = ()) -> str:
    """A digest of a commit's rows: their columns, and the bytes of their files."""
    found = row_parts(manifest, parts)
    columns: list[JSON] = [[column.name, column.type] for column in manifest.content.columns]
    return digest_of([columns, [[file.sha256, file.rows] for part in found for file in part.files]])


def take_rows(
    step: Source, interval: Interval, *, attempt: Attempt, upstream: Upstream, paths: PathsOf, engine: Callable[[], EngineSession]
) -> Made:
    """The part `rows` of a source's interval: the files of another dataset's commits, copied in the store and not read.

    With a contract, and where there is nothing, the engine writes one file in their place. Raises SourceError for a part that is not
    there or columns that nobody knows, DataError for columns that differ between the intervals or rows that break the contract, and
    VanishedError when a file was collected meanwhile.
    """
    rows = [(manifest, part) for manifest in upstream.found for part in _named_parts(step, interval, manifest, upstream)]
    schema = _common_columns(step, interval, upstream)
    if rows and step.contract is None:
        _copy(attempt, [part for _, part in rows])
        part = attempt.part("rows", _LAYER)
    else:
        given = InputFiles(step.name, tuple((m.interval, tuple(paths(m, part.name))) for m, part in rows), schema)
        written = _write(step, interval, attempt, engine, given)
        schema, part = written.schema, attempt.part("rows", _LAYER, rows=written.rows["rows"])
    counted = sum(part.rows or 0 for _, part in rows)
    if part.rows != counted:
        raise SourceError(
            f"Source `{step.name}` {interval}: `{upstream.name}` has {counted} rows by its manifests, and {part.rows} were taken, so nothing was "
            "committed. That is a defect of headrace: please report it."
        )
    details: dict[str, JSON] = {"dataset": upstream.name, "parts": sorted({part.name for _, part in rows})}
    if not upstream.found:
        details["missing"] = True
    return Made(parts=(part,), schema={"rows": schema}, details=details, rows_read=counted, rows_kept=counted)


# ---------------------------------------------------------------- the work


def _copy(attempt: Attempt, parts: Sequence[Part]) -> None:
    files = [file for part in parts for file in part.files]
    width = max(4, len(str(len(files))))
    for n, file in enumerate(files):
        attempt.copy(file, "rows", layer=_LAYER, name=f"rows-{n:0{width}d}.parquet")


def _write(step: Source, interval: Interval, attempt: Attempt, engine: Callable[[], EngineSession], given: InputFiles) -> Written:
    order = WriteOrder({"rows": attempt.file("rows", layer=_LAYER)}, interval=interval, contract=step.contract)
    with engine() as session:
        try:
            session.give(given, "frame")
            return session.write(f'select * from "{step.name}"', order, values={})
        except DataError as error:
            raise DataError(
                f"Source `{step.name}` {interval}: `{step.options.location}` is not what the contract says. {error} "
                "Mend the contract, or the other pipeline; its rows are not put into quarantine here."
            ) from error


def _named_parts(step: Source, interval: Interval, manifest: Manifest, upstream: Upstream) -> list[Part]:
    found = row_parts(manifest, upstream.parts)
    missing = [name for name in upstream.parts if name not in {part.name for part in found}]
    known = [part.name for part in manifest.content.parts]
    if known and (missing or not found):
        what = f"no part `{missing[0]}`" if missing else "no rows"
        raise SourceError(
            f"Source `{step.name}` {interval}: {manifest} has {what}; it holds {', '.join(known)}. "
            + ("Name one of them by parts=, or none for all rows." if missing else "A model is read by its predictions.")
        )
    return found


def _common_columns(step: Source, interval: Interval, upstream: Upstream) -> Schema:
    """The columns that all commits have, by the names and types that their manifests tell."""
    known = [(manifest, columns) for manifest in upstream.found if (columns := manifest.content.columns)]
    if not known:
        columns = upstream.columns or (step.contract.schema if step.contract else ())
        if columns:
            return columns
        raise SourceError(
            f"Source `{step.name}` {interval}: there is nothing of `{upstream.name}` yet, and without a contract nobody knows the columns of an empty "
            'table. Declare contract= beside missing="empty".'
        )
    newest, columns = known[-1]
    for manifest, others in known:
        if [(c.name, c.type) for c in others] != [(c.name, c.type) for c in columns]:
            pipeline, _, dataset = upstream.name.partition(".")
            raise DataError(
                f"Source `{step.name}` {interval}: {manifest} has other columns than {newest}, so they are not one table: "
                f"{_difference(others, columns)}. Make the older one again: headrace run FILE --at {manifest.interval.label} --only {dataset} "
                f"--force {dataset} --keep, with the file of pipeline `{pipeline}`."
            )
    return columns


def _difference(one: Schema, other: Schema) -> str:
    here, there = {c.name: c.type for c in one}, {c.name: c.type for c in other}
    told = [
        f"`{n}` is {here.get(n, 'absent')} and {there.get(n, 'absent')}" for n in sorted({*here, *there}) if here.get(n) != there.get(n)
    ]
    return ", ".join(told) or "they are in another order"
