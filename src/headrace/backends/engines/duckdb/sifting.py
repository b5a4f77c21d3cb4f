"""Rows that share a key or refer to nothing, found by the columns of keys alone, and moved with their records from the rows to the quarantine.

Nothing is rewritten where none is found. It has a connection of its own with one thread, in which rows have their numbers for names, and
spills beside the rows. The invariant: rows == rows left + rows let go of, which stand in the order in which they stood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from headrace.backends.engines.duckdb.text import literal, parquet, quote
from headrace.core.errors import DataError, did_you_mean
from headrace.core.keys import KeptRecords, Past, Referred, Rules, Sifted, Unique, are_comparable
from headrace.core.quarantine import MOST_RAW_BYTES, QUARANTINE
from headrace.core.records import Record

__all__ = ["remember", "sift"]

_MEMORIES_MB = (160, 640, 2560)  # one after the other, as far as they may be taken and the one before was too little
T = TypeVar("T")

_BATCH = 2000  # records, of 64 KiB at most
_TOGETHER = 200_000  # rows
_SHOWN = 60
_NAMED = 5
_PLACES = pa.schema(
    [
        ("n", pa.int64()),
        ("file", pa.string()),
        ("line", pa.int64()),
        ("byte_offset", pa.int64()),
        ("raw", pa.binary()),
        ("raw_size", pa.int64()),
    ]
)


def sift(rows: Path, quarantine: Path, rules: Rules, *, files: Sequence[str], records: KeptRecords, most_mb: int | None = None) -> Sifted:
    """See `Sieve`. `most_mb` is the most memory that it may take; DataError where that is too little."""
    return _within(most_mb, lambda memory_mb: _sifted(rows, quarantine, rules, files, records, memory_mb))


def _sifted(rows: Path, quarantine: Path, rules: Rules, files: Sequence[str], records: KeptRecords, memory_mb: int) -> Sifted:
    with _connected(rows.parent, memory_mb) as connection:
        sieve = _Sieve(connection, rows, quarantine, rules)
        if not sieve.look():
            return Sifted(sieve.count, 0)
        sieve.place(records)
        sieve.tell()
        reasons, firsts = sieve.figures()
        kept, rejected = sieve.write(files)
        return Sifted(kept, rejected, reasons, firsts)


def remember(rows: Path, key: Unique, past: Past, target: Path, *, most_mb: int | None = None) -> int:
    """See `Sieve`. The keys are `k0`, `k1`, … in their order, each with `interval_start`, where the row is that has it."""
    chosen = ", ".join(f"{quote(column)} AS k{n}" for n, column in enumerate(key.columns))
    whole = " AND ".join(f"{quote(column)} IS NOT NULL" for column in key.columns)
    own = f"SELECT {chosen}, {_moment(past.interval.start)} AS interval_start FROM {parquet([rows])} WHERE {whole}"
    before = f" UNION ALL SELECT * FROM {_past_keys(past)}" if past.file else ""
    order = ", ".join(f"k{n}" for n in range(len(key.columns)))
    copy = f"COPY (SELECT * FROM ({own}{before}) ORDER BY {order}) TO {literal(str(target))} (FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2)"

    def copied(memory_mb: int) -> int:
        with _connected(target.parent, memory_mb) as connection:
            return int(connection.execute(copy).fetchall()[0][0])

    return _within(most_mb, copied)


def _within(most_mb: int | None, work: Callable[[int], T]) -> T:
    """What is made in as little memory as is enough: DuckDB puts much on disk beside that, but not all of what it joins and sorts."""
    memories = [memory for memory in _MEMORIES_MB if most_mb is None or memory <= most_mb] or [_MEMORIES_MB[0]]
    if most_mb is not None and most_mb > _MEMORIES_MB[-1]:
        memories.append(most_mb)
    for memory in memories:
        try:
            return work(memory)
        except duckdb.Error as error:
            if not isinstance(error, duckdb.OutOfMemoryException) and "could not allocate" not in str(error):
                raise
    raise DataError(
        f"{memories[-1]} MB of memory are too little to look for keys and references in so many rows. "
        f"Raise memory= in headrace.toml, or HEADRACE_MEMORY, such as {4 * memories[-1]}MB."
    )


def _past_keys(past: Past) -> str:
    """The keys of the past that still count."""
    since = f" WHERE interval_start >= {_moment(past.since)}" if past.since else ""
    return f"(SELECT * FROM {parquet([past.file] if past.file else [])}{since})"


def _moment(time: datetime) -> str:
    return f"TIMESTAMPTZ {literal(time.isoformat())}"


@contextmanager
def _connected(folder: Path, memory_mb: int) -> Iterator[duckdb.DuckDBPyConnection]:
    with TemporaryDirectory(prefix=".keys-", dir=folder) as spill:
        fixed: dict[str, str | bool | int | float | list[str]] = {
            "threads": 1,
            "memory_limit": f"{memory_mb}MB",
            "temp_directory": spill,
            "autoinstall_known_extensions": False,
            "python_enable_replacements": False,
        }
        with duckdb.connect(config=fixed) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield connection


class _Sieve:
    """The tables of one sifting: `keys` of all rows; `verdict`, which rows go, by what rule and because of which other row.

    No table is temporary, since a second cursor reads them while the first one writes. A row's `rowid` is its number, from 0.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, rows: Path, quarantine: Path, rules: Rules) -> None:
        self._connection, self._execute = connection, connection.execute
        self._rows, self._quarantine, self._rules = rows, quarantine, rules
        self._types = self._columns_of([rows])
        for column in rules.columns:
            if column not in self._types:
                raise DataError(f"unique or references names `{column}`, and there is no such column. {did_you_mean(column, self._types)}")
        self._keys = {column: f"k{n}" for n, column in enumerate(rules.columns)}
        self.count = 0

    def look(self) -> bool:
        """Fill `verdict`; whether a row has to go."""
        chosen = ", ".join(f"{quote(column)} AS {key}" for column, key in self._keys.items())
        self.count = self._counted(f"CREATE TABLE keys AS SELECT {chosen} FROM {parquet([self._rows])}")
        self._execute("CREATE TABLE verdict (n BIGINT, rule INTEGER, other BIGINT, seen TIMESTAMPTZ)")
        gone = sum(self._find_strangers(number, one) for number, one in enumerate(self._rules.references))
        for number, key in enumerate(self._rules.unique, len(self._rules.references)):
            past = self._rules.past.get(key)
            if past and past.file:
                gone += self._find_seen(number, key, past, others="AND keys.rowid NOT IN (SELECT n FROM verdict)" if gone else "")
            gone += self._find_doubles(number, key, others="AND rowid NOT IN (SELECT n FROM verdict)" if gone else "")
        return gone > 0

    def _find_strangers(self, number: int, one: Referred) -> int:
        """Rows that refer to what is not there."""
        column, field = one.reference.column, one.reference.field
        types = self._columns_of(one.files) if one.files else {field: self._types[column]}
        if field not in types:
            raise DataError(
                f"references says that `{column}` is in {one.called}.{field}, and there is no such column. {did_you_mean(field, types)}"
            )
        if not are_comparable(self._types[column], types[field]):
            raise DataError(
                f"`{column}` is a {self._types[column]}, and {one.called}.{field}, which it refers to, is a {types[field]}: no value of the one is "
                "ever equal to one of the other. Give both the same type in their contracts."
            )
        known = f"SELECT {quote(field)} AS known FROM {parquet(one.files)}" if one.files else "SELECT NULL AS known WHERE false"
        return self._counted(
            f"INSERT INTO verdict SELECT keys.rowid, {number}, NULL, NULL FROM keys ANTI JOIN ({known}) ON {self._keys[column]} = known "
            f"WHERE {self._keys[column]} IS NOT NULL"
        )

    def _find_seen(self, number: int, key: Unique, past: Past, *, others: str) -> int:
        """Rows whose key an earlier interval has. DataError for columns whose type is another than it was."""
        then = self._columns_of([past.file] if past.file else [])
        for n, column in enumerate(key.columns):
            if not are_comparable(self._types[column], then[f"k{n}"]):
                raise DataError(
                    f"`{column}` is a {self._types[column]}, and a {then[f'k{n}']} in the keys of earlier intervals: no value of the one is ever equal to "
                    "one of the other. Give the source a contract that says its type, and make the past again by it: headrace backfill."
                )
        alike = " AND ".join(f"keys.{self._keys[column]} = past.k{n}" for n, column in enumerate(key.columns))
        return self._counted(
            f"INSERT INTO verdict SELECT keys.rowid, {number}, NULL, interval_start FROM keys JOIN {_past_keys(past)} past ON {alike} WHERE true {others}"
        )

    def _find_doubles(self, number: int, key: Unique, *, others: str) -> int:
        """Rows that share a key, of those that no rule before took out."""
        columns = [self._keys[column] for column in key.columns]
        by, whole = ", ".join(columns), " AND ".join(f"{column} IS NOT NULL" for column in columns)
        self._execute(
            f"CREATE OR REPLACE TABLE shared AS SELECT {by}, min(rowid) AS first_n, max(rowid) AS last_n FROM keys "
            f"WHERE {whole} {others} GROUP BY {by} HAVING count(*) > 1"
        )
        kept = {"first": "first_n", "last": "last_n", "none": "NULL"}[key.keep]
        other = "CASE WHEN n = first_n THEN last_n ELSE first_n END" if key.keep == "none" else kept
        return self._counted(
            f"INSERT INTO verdict SELECT n, {number}, {other}, NULL FROM (SELECT *, keys.rowid AS n FROM keys WHERE true {others}) "
            f"JOIN shared USING ({by}) WHERE n IS DISTINCT FROM {kept}"
        )

    def place(self, records: KeptRecords) -> None:
        """Fill `place` with where the records are of rows that go, and of those that they are compared with; raw bytes only of the former."""
        columns = ", ".join(
            f"{field.name} {kind}" for field, kind in zip(_PLACES, ("BIGINT", "VARCHAR", "BIGINT", "BIGINT", "BLOB", "BIGINT"), strict=True)
        )
        self._execute(f"CREATE TABLE place ({columns})")
        both = "SELECT n, true AS goes FROM verdict UNION ALL SELECT other, false FROM verdict WHERE other IS NOT NULL"
        self._execute(f"CREATE TABLE wanted AS SELECT * FROM ({both}) ORDER BY n")
        with self._connection.cursor() as wanted, self._connection.cursor() as known:
            wanted.execute("SELECT n, goes FROM wanted")
            known.execute(f"SELECT file, line, byte_offset FROM {parquet([self._quarantine])}")
            goes: dict[int, bool] = {}
            batch: list[tuple[object, ...]] = []
            rejected = ((file, line, offset) for file, line, offset in _rows_of(known))
            for n, file, record in records(rejected, _noted(_rows_of(wanted), goes)):
                raw = record.raw[:MOST_RAW_BYTES] if goes.pop(n) else None
                batch.append((n, file, record.line, record.offset, raw, len(record.raw)))
                if len(batch) == _BATCH:
                    self._add(batch)
                    batch = []
            self._add(batch)
        self._execute("DROP TABLE wanted")

    def _add(self, batch: Sequence[tuple[object, ...]]) -> None:
        arrays = [pa.array(values, field.type) for values, field in zip(zip(*batch, strict=True), _PLACES, strict=True)] if batch else []
        if arrays:
            self._connection.register("batch", pa.Table.from_arrays(arrays, schema=_PLACES))
            self._execute("INSERT INTO place SELECT * FROM batch")
            self._connection.unregister("batch")

    def tell(self) -> None:
        """Fill `told` with the reasons of each row that goes, one for each rule that it breaks."""
        chosen = ", ".join(f"{quote(name)} AS c{n}" for n, name in enumerate(self._types))
        self._execute(f"CREATE TABLE kept AS SELECT {chosen} FROM {parquet([self._rows])}")
        self._execute("CREATE TABLE told (n BIGINT, rule INTEGER, columns VARCHAR[], reason VARCHAR, kind VARCHAR)")
        for number, one in enumerate(self._rules.references):
            column = one.reference.column
            reason = f"{literal(column + ': ')} || {self._shown(column)} || {literal(' ' + one.words)}"
            self._execute(
                f"INSERT INTO told SELECT n, rule, [{literal(column)}], {reason}, {literal(one.kind)} FROM verdict JOIN keys ON keys.rowid = n "
                f"WHERE rule = {number}"
            )
        for number, key in enumerate(self._rules.unique, len(self._rules.references)):
            self._tell_doubles(number, key)
            if key in self._rules.past:
                self._tell_seen(number, key)

    def _tell_doubles(self, number: int, key: Unique) -> None:
        """The reasons of rows that share a key: of each, the columns in which it is another than the row because of which it goes."""
        pairs = ", ".join(f"CASE WHEN a.c{n} IS DISTINCT FROM b.c{n} THEN {literal(name)} END" for n, name in enumerate(self._types))
        self._execute(
            f"CREATE OR REPLACE TABLE pair AS SELECT n, other, list_filter([{pairs}], lambda name: name IS NOT NULL) AS differs "
            f"FROM verdict JOIN kept a ON a.rowid = n JOIN kept b ON b.rowid = other WHERE rule = {number}"
        )
        names = ", ".join(map(literal, key.columns))
        kind = f"CASE WHEN len(differs) > 0 THEN {literal(key.kind(differs=True))} ELSE {literal(key.kind(differs=False))} END"
        self._execute(
            f"INSERT INTO told SELECT pair.n, {number}, [{names}], {self._reason(key)}, {kind} "
            "FROM pair JOIN keys ON keys.rowid = pair.n JOIN place kin ON kin.n = other"
        )

    def _tell_seen(self, number: int, key: Unique) -> None:
        """The reasons of rows whose key an earlier interval has, which is named as `--at` names it."""
        time = "strftime(seen, CASE WHEN seen = date_trunc('day', seen) THEN '%Y-%m-%d' WHEN seen = date_trunc('hour', seen) THEN '%Y-%m-%dT%H' ELSE '%Y-%m-%dT%H:%M' END)"
        reason = (
            f"{literal(key.called + ': ')} || {self._value(key)} || ' is not unique: the interval ' || {time} || ' has it, and kept it'"
        )
        self._execute(
            f"INSERT INTO told SELECT n, rule, [{', '.join(map(literal, key.columns))}], {reason}, {literal(key.kind_of_past)} "
            f"FROM verdict JOIN keys ON keys.rowid = n WHERE rule = {number} AND seen IS NOT NULL"
        )

    def _value(self, key: Unique) -> str:
        """SQL of a key's value as a person reads it."""
        values = [self._shown(column) for column in key.columns]
        together = " || ', ' || ".join(values)
        return together if len(values) == 1 else f"'(' || {together} || ')'"

    def _reason(self, key: Unique) -> str:
        """SQL of a reason, over `keys`, `pair` and `kin`, the place of the other record."""
        fate = "not kept either" if key.keep == "none" else "kept"
        named = f"array_to_string(differs[:{_NAMED}], ', ') || CASE WHEN len(differs) > {_NAMED} THEN ', …' ELSE '' END"
        likeness = f"CASE WHEN len(differs) = 0 THEN 'is equal' ELSE 'differs in ' || {named} END"
        where = f"kin.file || ':' || kin.line || ', which was {fate} and ' || {likeness}"
        return f"{literal(key.called + ': ')} || {self._value(key)} || ' is not unique: it is also in ' || {where}"

    def _shown(self, column: str) -> str:
        text = f"CAST({self._keys[column]} AS VARCHAR)"
        cut = f"left({text}, {_SHOWN}) || CASE WHEN length({text}) > {_SHOWN} THEN '…' ELSE '' END"
        return f"'''' || {cut} || ''''" if self._types[column] == "VARCHAR" else cut

    def write(self, files: Sequence[str]) -> tuple[int, int]:
        """Put the rows that are left and the quarantine in the places of what was there; how many rows are left, and were let go of."""
        for some in self._parts():
            self._execute(
                "DELETE FROM kept WHERE rowid BETWEEN $1 AND $2 AND rowid IN (SELECT n FROM verdict WHERE n BETWEEN $1 AND $2)", some
            )
        own = ", ".join(f"c{n} AS {quote(name)}" for n, name in enumerate(self._types))
        rows = self._copied(self._rows, f"SELECT {own} FROM kept")
        self._execute("DROP TABLE kept")
        self._put_together()
        columns = ", ".join(column.name for column in QUARANTINE)
        before = self._counted(f"SELECT count(*) FROM {parquet([self._quarantine])}")
        together = f"SELECT {columns} FROM rejected"
        if before:
            self._execute("CREATE TABLE file AS SELECT unnest($1::VARCHAR[]) AS file, unnest(range(len($1))) AS number", [list(files)])
            both = f"SELECT {columns} FROM {parquet([self._quarantine])} UNION ALL {together}"
            together = f"SELECT {columns} FROM ({both}) LEFT JOIN file USING (file) ORDER BY number, line, byte_offset"
        quarantine = self._copied(self._quarantine, together)
        kept, after = (self._counted(f"SELECT count(*) FROM {parquet([path])}") for path in (rows, quarantine))
        rows.replace(self._rows)
        quarantine.replace(self._quarantine)  # the last that is done: whatever fails before it can be tried again
        return kept, after - before

    def _put_together(self) -> None:
        """Fill `rejected` with the records that go, in order, each with all its reasons: one for each reference that it breaks, or one for a key.

        Some at a time, since joining and sorting all at once takes more memory than there is for many. Reasons are joined and not gathered into
        lists, since lists that are gathered stay in memory.
        """
        self._execute("CREATE TABLE reason AS SELECT * FROM told ORDER BY n")
        strangers = range(len(self._rules.references))
        rules = [*(f"rule = {number}" for number in strangers), f"rule >= {len(self._rules.references)}"]
        joins = "".join(
            f" LEFT JOIN (SELECT * FROM reason WHERE {rule} AND n BETWEEN $1 AND $2) t{n} ON t{n}.n = place.n"
            for n, rule in enumerate(rules)
        )
        columns = " || ".join(f"coalesce(t{n}.columns, [])" for n in range(len(rules)))
        reasons = f"list_filter([{', '.join(f't{n}.reason' for n in range(len(rules)))}], lambda reason: reason IS NOT NULL)"
        chosen = f"SELECT file, line, byte_offset, {columns} AS columns, {reasons} AS reasons, raw, raw_size FROM place{joins}"
        some = f"{chosen} WHERE raw IS NOT NULL AND place.n BETWEEN $1 AND $2 ORDER BY place.n"
        self._execute(f"CREATE TABLE rejected AS {some}", [0, -1])
        for part in self._parts():
            self._execute(f"INSERT INTO rejected {some}", part)

    def _parts(self) -> Iterator[list[int]]:
        """All rows, in parts of as many as are joined at once: the first number and the last of each."""
        return ([first, first + _TOGETHER - 1] for first in range(0, self.count, _TOGETHER))

    def _copied(self, path: Path, query: str) -> Path:
        """The result of a query, beside a path."""
        aside = path.with_name(f"{path.name}.sifted")
        self._execute(f"COPY ({query}) TO {literal(str(aside))} (FORMAT parquet, COMPRESSION zstd)")
        return aside

    def figures(self) -> tuple[dict[str, int], dict[str, tuple[str, Record]]]:
        """How many rows broke each rule, by kind of reason, and the first record of each."""
        found = self._execute(
            "SELECT kind, records, file, line, byte_offset, raw FROM (SELECT kind, count(*) AS records, min(n) AS n FROM told GROUP BY kind) "
            "JOIN place USING (n) ORDER BY 2 DESC, 1"
        ).fetchall()
        firsts = {kind: (file, Record(line, offset, raw)) for kind, _, file, line, offset, raw in found}
        return {kind: count for kind, count, *_ in found}, firsts

    def _columns_of(self, files: Sequence[Path]) -> dict[str, str]:
        return {str(name): str(kind) for name, kind, *_ in self._execute(f"DESCRIBE SELECT * FROM {parquet(files)}").fetchall()}

    def _counted(self, sql: str) -> int:
        return int(self._execute(sql).fetchall()[0][0])


def _rows_of(cursor: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while batch := cursor.fetchmany(_BATCH):
        yield from batch


def _noted(wanted: Iterator[tuple[Any, ...]], goes: dict[int, bool]) -> Iterator[int]:
    """The numbers of rows that are wanted, each once; whether each goes is noted until it was found."""
    for n, alike in groupby(wanted, itemgetter(0)):
        goes[n] = any(is_going for _, is_going in alike)
        yield n
