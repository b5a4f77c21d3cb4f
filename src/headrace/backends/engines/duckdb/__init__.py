"""The DuckDB engine: one connection in memory for a process, a cursor for each session.

Opening costs 16 ms and is put off to the first session. User SQL may read the session's views alone; nothing is downloaded,
no extension loaded. The invariant: time is UTC in every cursor, and no Python variable is ever taken for a table.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from headrace.backends.engines.duckdb.binding import columns_of, empty_table, one_query, told
from headrace.backends.engines.duckdb.finding import find, mentions
from headrace.backends.engines.duckdb.frames import as_kind
from headrace.backends.engines.duckdb.session import DuckDBSession, check_same_columns
from headrace.backends.engines.duckdb.spilling import spill_folder
from headrace.backends.engines.duckdb.splitting import profile
from headrace.backends.engines.duckdb.text import parquet, quote, stored_type
from headrace.core.access import size_of
from headrace.core.errors import ConfigurationError, DataError
from headrace.core.keys import KeptRecords, Past, Rules, Sifted, Unique
from headrace.core.mentions import Words, WordsInRows
from headrace.core.ports import JSON, Bound, Column, FrameKind, Matches, Schema

__all__ = ["DuckDBEngine", "open"]

_TABLE = "rows"


def open(*, memory: str | None = None, threads: int | None = None, temp: Path | None = None) -> DuckDBEngine:  # noqa: A001 - the name of every flavour's maker
    """An engine that uses at most `memory` (`"4GB"`; 80 % of the machine's by default), and spills to the folder `temp`."""
    return DuckDBEngine(memory=memory, threads=threads, temp=temp)


class DuckDBEngine:
    """See `Engine`. May be used from many threads at once."""

    name = "duckdb"

    def __init__(self, *, memory: str | None, threads: int | None, temp: Path | None) -> None:
        self._settings: dict[str, str | int] = {} if memory is None else {"memory_limit": memory}
        if threads is not None:
            self._settings["threads"] = threads
        self._most_mb = size_of(memory) // 1_000_000 if memory and not memory.endswith("%") else None
        self._temp = temp
        self._lock = threading.Lock()
        self._connections: dict[str, duckdb.DuckDBPyConnection] = {}

    def session(self, *, work: Path) -> DuckDBSession:
        return DuckDBSession(self._cursor("data"), work)

    def bind(self, sql: str, tables: Mapping[str, Schema], values: Mapping[str, Bound]) -> Schema:
        """The columns as they would be stored; see `Engine`. A query that reads files by itself is refused here."""
        with self._cursor("empty") as cursor:
            query = one_query(cursor, sql, values)
            try:
                for name, schema in tables.items():
                    cursor.execute(f"create temp view {quote(name)} as {empty_table(schema)}")
                found = columns_of(cursor, query)
            except duckdb.Error as error:
                raise told(error, tables) from error
        return tuple(Column(name, stored_type(type_name) or type_name) for name, type_name in found)

    def read(self, files: Sequence[Path], kind: FrameKind) -> object:
        """Parquet files as one table; a relation and an Ibis table stay lazy. DataError when their columns differ."""
        if not files:
            raise DataError("There are no files to read: the interval has no rows, or has not been made.")
        cursor = self._cursor("data")
        try:
            described = cursor.execute(f"describe select * from {parquet(files[:1])}").fetchall()
            schema = tuple(Column(row[0], row[1]) for row in described)
            if len(files) > 1:
                check_same_columns(cursor, "the data", [(path.name, path) for path in files], schema)
            cursor.execute(f"create temp view {_TABLE} as select * from {parquet(files)}")
        except duckdb.Error as error:
            raise told(error, {}) from error
        return as_kind(cursor, _TABLE, schema, kind, lambda: _polars_scan(files))

    def find(self, file: Path, key: Mapping[str, str], *, most: int) -> Matches | None:
        with self._cursor("data") as cursor:
            return find(cursor, file, key, most=most)

    def mentions(self, file: Path, words: Words, *, besides: Sequence[Mapping[str, str]] = ()) -> WordsInRows:
        with self._cursor("data") as cursor:
            return mentions(cursor, file, words, besides=besides)

    def sift(self, rows: Path, quarantine: Path, rules: Rules, *, files: Sequence[str], records: KeptRecords) -> Sifted:
        from headrace.backends.engines.duckdb.sifting import sift

        return sift(rows, quarantine, rules, files=files, records=records, most_mb=self._most_mb)

    def remember(self, rows: Path, key: Unique, past: Past, target: Path) -> int:
        from headrace.backends.engines.duckdb.sifting import remember

        return remember(rows, key, past, target, most_mb=self._most_mb)

    def profile(self, sides: Mapping[str, Sequence[Path]]) -> Mapping[str, JSON]:
        with self._cursor("data") as cursor:
            return profile(cursor, sides)

    def _cursor(self, purpose: str) -> duckdb.DuckDBPyConnection:
        """A cursor on the connection that reads the lake (`data`), or on the one that can touch no file (`empty`)."""
        with self._lock:
            if purpose not in self._connections:
                self._connections[purpose] = self._connect(can_read=purpose == "data")
            return self._connections[purpose].cursor()

    def _connect(self, *, can_read: bool) -> duckdb.DuckDBPyConnection:
        fixed: dict[str, str | bool] = {
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,
        }
        settings = {**self._settings, **fixed}
        try:
            if can_read:
                connection = duckdb.connect(config={**settings, "temp_directory": str(spill_folder(self._temp))})
            else:
                connection = duckdb.connect(config={**settings, "threads": 1, "enable_external_access": False})
        except duckdb.Error as error:
            raise ConfigurationError(f"The engine duckdb cannot be opened with {self._settings}: {error}") from error
        connection.execute("set global TimeZone = 'UTC'")
        return connection


def _polars_scan(files: Sequence[Path]) -> object:
    import polars as pl

    return pl.scan_parquet(list(files), glob=False)
