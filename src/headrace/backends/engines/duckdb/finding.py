"""Rows that hold a key, by a scan of its columns: nothing is indexed, so nothing is stored for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb

from headrace.backends.engines.duckdb.text import quote
from headrace.core.casts import literal
from headrace.core.ports import Matches

__all__ = ["find"]

_NUMBER = "file_row_number"


def find(cursor: duckdb.DuckDBPyConnection, file: Path, key: Mapping[str, str], *, most: int) -> Matches | None:
    """See `Engine.find`. A text that is no value of the column's type is nobody's."""
    scan = f"read_parquet({literal(str(file))}, file_row_number = true)"
    types = {str(name): str(kind) for name, kind, *_ in cursor.execute(f"describe select * from {scan}").fetchall()}
    if not key.keys() <= types.keys() or _NUMBER in key:
        return None
    where = " and ".join(f"{quote(column)} = try_cast({literal(text)} as {types[column]})" for column, text in key.items())
    count = int(cursor.execute(f"select count(*) from {scan} where {where}").fetchall()[0][0])
    found = cursor.execute(f"select * from {scan} where {where} order by {_NUMBER} limit {most}")
    names = [str(described[0]) for described in found.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return Matches(count, tuple((int(row.pop(_NUMBER)), row) for row in rows))
