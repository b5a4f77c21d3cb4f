"""One step's work: its inputs as views, its result as files.

A session has a cursor of its own, whose temporary views no other session sees: the same dataset may have other rows in a
step that runs beside it. The invariant: leaving a session frees all that it held, files in `work` included.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import duckdb

from headrace.backends.engines.duckdb.binding import columns_of, empty_table, told
from headrace.backends.engines.duckdb.frames import as_kind
from headrace.backends.engines.duckdb.results import Room, query_of
from headrace.backends.engines.duckdb.text import literal, parquet, quote
from headrace.backends.engines.duckdb.writing import write
from headrace.core.errors import DataError
from headrace.core.interval import Interval
from headrace.core.ports import Bound, Column, FrameKind, InputFiles, Schema, WriteOrder, Written

__all__ = ["DuckDBSession", "check_same_columns"]

STAMP = "interval_end"


class DuckDBSession:
    """See `EngineSession`."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, work: Path) -> None:
        self._cursor = cursor
        self._work = work
        self._room = Room(cursor, work, f"headrace_{secrets.token_hex(8)}")
        self._tables: dict[str, Schema] = {}
        self._views: list[str] = []  # still to be made
        self._is_live = False  # whether the function was given something that can query views while it runs

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._cursor.close()

    def give(self, source: InputFiles, kind: FrameKind) -> object:
        schema = _with_stamp(source)
        paths = [path for _, files in source.files for path in files]
        if len(paths) > 1:
            check_same_columns(
                self._cursor, source.name, [(str(interval), path) for interval, files in source.files for path in files], source.schema
            )
        self._tables[source.name] = schema
        self._views.append(f"create or replace temp view {quote(source.name)} as {_scan(source, paths)}")
        self._is_live |= kind != "frame"
        if self._is_live:
            self._make_views()
        polars_scan = (lambda: _polars_scan(source, paths)) if paths else None
        return as_kind(self._cursor, source.name, schema, kind, polars_scan)

    def write(self, result: object, order: WriteOrder, *, values: Mapping[str, Bound]) -> Written:
        schema = order.contract.schema if order.contract else ()
        if not isinstance(result, list | tuple | Mapping):
            self._make_views()
        try:
            query = query_of(self._room, result, values, schema=schema)
            columns = columns_of(self._cursor, query)
            return write(self._cursor, query, columns, order, work=self._work)
        except duckdb.Error as error:
            raise told(error, self._tables, is_own_sql=isinstance(result, str)) from error
        finally:
            self._room.leave()

    def _make_views(self) -> None:
        """A view costs half a millisecond, so one that only a Frame names waits for a query; plain rows need none."""
        while self._views:
            self._cursor.execute(self._views.pop(0))


def check_same_columns(cursor: duckdb.DuckDBPyConnection, name: str, files: Sequence[tuple[str, Path]], schema: Schema) -> None:
    """Whether all files have the columns of a schema, of one type each; DataError naming column, interval and types.

    DuckDB would cast the later files to the first one's types, and round floats on the way.
    """
    names = ", ".join(literal(column.name) for column in schema) or "null"
    listing = ", ".join(literal(str(path)) for _, path in files)
    rows = cursor.execute(
        f"select name, duckdb_type, count(*), min(file_name) from parquet_schema([{listing}]) where name in ({names}) "
        "and column_id > 0 group by all order by 1, 3, 2"
    ).fetchall()
    whence = {str(path): interval for interval, path in files}
    expected = {column.name: column.type for column in schema}
    for column, found, count, path in rows:
        if count < len(files) and found != expected[column]:
            raise DataError(
                f"`{name}` cannot be read as one table: its column `{column}` is {found} in {whence[path]}, and {expected[column]} elsewhere. "
                "Run the steps that made it again, with the same types."
            )
    counts = {column: sum(row[2] for row in rows if row[0] == column) for column in expected}
    for column, count in counts.items():
        if count < len(files):
            raise DataError(
                f"`{name}` cannot be read as one table: {len(files) - count} of its {len(files)} files lack the column `{column}`."
            )


def _with_stamp(source: InputFiles) -> Schema:
    if not source.stamped:
        return source.schema
    if any(column.name == STAMP for column in source.schema):
        raise DataError(f"`{source.name}` is read with its history, but has a column `{STAMP}` of its own. Call that one something else.")
    return (*source.schema, Column(STAMP, "TIMESTAMP WITH TIME ZONE", nullable=False))


def _scan(source: InputFiles, paths: Sequence[Path]) -> str:
    if not paths:
        return empty_table(_with_stamp(source))
    columns = ", ".join(quote(column.name) for column in source.schema) or "*"
    if not source.stamped:
        return f"select {columns} from {parquet(paths)}"
    if len({interval.end for interval, files in source.files if files}) == 1:
        stamp = f"make_timestamptz({_micros(next(interval for interval, files in source.files if files))})"
    else:
        ends = ", ".join(str(_micros(interval)) for interval, files in source.files for _ in files)
        stamp = f"make_timestamptz(([{ends}])[file_index::BIGINT + 1])"
    return f"select {columns}, {stamp} as {STAMP} from {parquet(paths)}"


def _micros(interval: Interval) -> int:
    seconds = int(interval.end.timestamp())
    return seconds * 1_000_000 + interval.end.microsecond


def _polars_scan(source: InputFiles, paths: Sequence[Path]) -> Any:
    """The same rows as the view's, without DuckDB: lazy, so that only what is asked for is read."""
    import polars as pl

    lazy = pl.scan_parquet(list(paths), glob=False, include_file_paths="headrace file" if source.stamped else None)
    if source.stamped:
        ends = {str(path): interval.end.replace(tzinfo=None) for interval, files in source.files for path in files}
        stamp = pl.col("headrace file").replace_strict(ends, return_dtype=pl.Datetime("us"))
        lazy = lazy.with_columns(stamp.dt.replace_time_zone("UTC").alias(STAMP))
    return lazy.select([column.name for column in _with_stamp(source)])
