"""Rows that hold a key, by a scan of its columns, and rows that say it anywhere, by a scan of all: nothing is indexed, so nothing is stored for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from headrace.backends.engines.duckdb.text import quote
from headrace.core.casts import literal
from headrace.core.mentions import Words, WordsInRows, pattern_of
from headrace.core.ports import Matches

__all__ = ["find", "mentions"]

_NUMBER = "file_row_number"
_FIRST = 3


def find(cursor: duckdb.DuckDBPyConnection, file: Path, key: Mapping[str, str], *, most: int) -> Matches | None:
    """See `Engine.find`. A text that is no value of the column's type is nobody's."""
    scan, types = _scanned(cursor, file)
    if not key.keys() <= types.keys() or _NUMBER in key:
        return None
    where = _is_key(key, types)
    count = int(cursor.execute(f"select count(*) from {scan} where {where}").fetchall()[0][0])
    found = cursor.execute(f"select * from {scan} where {where} order by {_NUMBER} limit {most}")
    names = [str(described[0]) for described in found.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return Matches(count, tuple((int(row.pop(_NUMBER)), row) for row in rows))


def mentions(cursor: duckdb.DuckDBPyConnection, file: Path, words: Words, *, besides: Sequence[Mapping[str, str]]) -> WordsInRows:
    """See `SearchingEngine.mentions`. What is in lists and structs is searched as JSON; a number, a time or a truth value is only compared."""
    scan, types = _scanned(cursor, file)
    own = {column: kind for column, kind in types.items() if column != _NUMBER}
    columns = list(own)
    others = [_is_key(key, own) for key in besides if key.keys() <= own.keys()]
    said = [[f"coalesce({_says(column, own[column], value, spelt)}, false)" for column in columns] for value, spelt in _values(words)]
    each = [f"({' or '.join(of)})" for of in said]
    where = " and ".join([*each, *(f"not coalesce({one}, false)" for one in others)]) if columns else "false"
    counted = ", ".join(f"count_if({' or '.join(of)})" for of in zip(*said, strict=True)) or "0"
    rows, *counts = cursor.execute(f"select count(*), {counted} from {scan} where {where}").fetchall()[0]
    if not rows:
        return WordsInRows(0, {}, ())
    found = cursor.execute(f"select {_NUMBER} from {scan} where {where} order by 1 limit {_FIRST}").fetchall()
    having = {column: int(count) for column, count in zip(columns, counts, strict=True) if count}
    return WordsInRows(int(rows), having, tuple(int(number) + 1 for (number,) in found))


def _scanned(cursor: duckdb.DuckDBPyConnection, file: Path) -> tuple[str, dict[str, str]]:
    scan = f"read_parquet({literal(str(file))}, file_row_number = true)"
    return scan, {str(name): str(kind) for name, kind, *_ in cursor.execute(f"describe select * from {scan}").fetchall()}


def _is_key(key: Mapping[str, str], types: Mapping[str, str]) -> str:
    return " and ".join(f"{quote(column)} = try_cast({literal(text)} as {types[column]})" for column, text in key.items())


def _values(words: Words) -> Sequence[tuple[str, Sequence[str]]]:
    return list(zip(words.values, words.spelt, strict=True))


def _says(column: str, kind: str, value: str, spelt: Sequence[str]) -> str:
    """Whether a column says a value: as a word where it is a text or has parts, else as what it is."""
    name = quote(column)
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION")):
        text = f"cast(to_json({name}) as varchar)"
    elif kind in ("VARCHAR", "JSON", "BLOB") or kind.startswith("ENUM"):
        text = f"cast({name} as varchar)"
    else:
        return f"{name} = try_cast({literal(value)} as {kind})"
    return " or ".join(f"(contains({text}, {literal(one)}) and regexp_matches({text}, {literal(pattern_of(one))}))" for one in spelt)
