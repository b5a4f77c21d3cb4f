"""Which side of a split a row is on, as SQL, and how alike the sides came out.

The invariant: `key_text` and `side_of` are the definition that other engines repeat. A side depends on the key's text alone,
compared as hex texts of its md5, or on the row's time alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import duckdb

from headrace.backends.engines.duckdb.text import literal, parquet, quote
from headrace.core.errors import DataError, did_you_mean
from headrace.core.ports import JSON, Schema, WriteOrder
from headrace.core.split import Split

__all__ = ["GAP", "key_text", "profile", "side_of", "split_columns"]

GAP = "gap"
_SEPARATOR = "chr(31)"
_TIMES = ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE")
_NUMBER = ("INT", "DOUBLE", "FLOAT", "DECIMAL")
_MOST_COLUMNS = 60


def split_columns(order: WriteOrder, schema: Schema) -> tuple[str, ...]:
    """The columns that decide the side: the split's key or the table's, or its time. DataError when there are none, or not those."""
    split = order.split
    if split is None:
        return ()
    if split.kind == "time":
        names: tuple[str, ...] = (order.time,) if order.time else ()
        hint = "Name the column of the rows' time: `@pipeline.table(time=…)`."
    else:
        names, hint = split.key or order.key, "Name the columns that a row is about: `@pipeline.table(key=…)` or `by_key(…)`."
    if not names:
        raise DataError(f"The table is split by {split.kind}, but it has no {split.kind}. {hint}")
    types = {column.name: column.type for column in schema}
    for name in names:
        if name not in types:
            raise DataError(f"The table is split by the column `{name}`, which the result lacks. {did_you_mean(name, types)}")
        if split.kind == "time" and types[name] not in _TIMES:
            raise DataError(f"The table is split by the time `{name}`, which is {types[name]}. Cast it: `{name}::TIMESTAMP`.")
    return names


def side_of(split: Split, names: Sequence[str], types: Mapping[str, str], order: WriteOrder) -> str:
    """An expression of the side's name: null where a key or time is null, `gap` for rows that are on no side."""
    if split.kind == "key":
        return _side_by_key(split, key_text(names, types))
    return _side_by_time(split, names[0], order)


def key_text(names: Sequence[str], types: Mapping[str, str]) -> str:
    """An expression of the text whose md5 decides: the values as text, joined with U+001F; null where one of them is null.

    Floats that are whole are written as integers, so that a key which became a float on its way (pandas does that) stays.
    """
    texts = [_value_text(quote(name), types[name]) for name in names]
    return f" || {_SEPARATOR} || ".join(texts)


def profile(cursor: duckdb.DuckDBPyConnection, sides: Mapping[str, Sequence[Path]]) -> Mapping[str, JSON]:
    """Rows and shares of each side, and by column (60 at most) null share, mean and distance of the mean from the training side's.

    The distance is in standard deviations of the training side; texts have the number of their values, about.
    """
    columns: dict[str, dict[str, dict[str, JSON]]] = {}
    rows: dict[str, int] = {}
    for side, files in sides.items():
        rows[side], columns[side] = _profiled(cursor, files)
    total = sum(rows.values()) or 1
    train = columns.get("train", {})
    for by_column in columns.values():
        for name, figures in by_column.items():
            figures["distance"] = _distance(figures, train.get(name, {}))
    return {
        "rows": dict(rows),
        "shares": {side: round(count / total, 6) for side, count in rows.items()},
        "columns": {name: {side: dict(columns[side][name]) for side in columns if name in columns[side]} for name in _first(columns)},
    }


def _side_by_key(split: Split, text: str) -> str:
    test, valid = split.cuts
    digits = f"substr(md5({text}), 1, 8)"
    middle = f" when {digits} < {literal(valid)} then 'valid'" if "valid" in split.sides else ""
    return f"case when {text} is null then null when {digits} < {literal(test)} then 'test'{middle} else 'train' end"


def _side_by_time(split: Split, name: str, order: WriteOrder) -> str:
    if order.interval is None or split.test_length is None:
        raise DataError("A split by time needs the interval that it counts back from.")
    starts = [("test", order.interval.end - split.test_length)]
    if split.valid_length:
        starts.append(("valid", starts[0][1] - split.gap - split.valid_length))
    column = f"{quote(name)}::TIMESTAMP WITH TIME ZONE"
    cases = [f"when {column} is null then null"]
    for side, start in starts:
        cases += [f"when {column} >= {_time(start)} then '{side}'", f"when {column} >= {_time(start - split.gap)} then '{GAP}'"]
    return f"case {' '.join(cases)} else 'train' end"


def _value_text(column: str, type_name: str) -> str:
    if type_name not in ("DOUBLE", "FLOAT"):
        return f"{column}::VARCHAR"
    return f"case when {column} = trunc({column}) and abs({column}) < 1e15 then {column}::BIGINT::VARCHAR else {column}::VARCHAR end"


def _time(time: datetime) -> str:
    return f"{literal(time.isoformat())}::TIMESTAMP WITH TIME ZONE"


def _profiled(cursor: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> tuple[int, dict[str, dict[str, JSON]]]:
    source = parquet(files)
    described = [(row[0], row[1]) for row in cursor.execute(f"describe select * from {source}").fetchall()][:_MOST_COLUMNS]
    asked = ["count(*)"]
    for name, type_name in described:
        column, is_number = quote(name), type_name.startswith(_NUMBER) or "INT" in type_name.split("(")[0]
        plain = is_number and not type_name.endswith("]")
        asked += [f"count({column})"]
        asked += [f"avg({column}::DOUBLE)", f"stddev_pop({column}::DOUBLE)"] if plain else ["null", "null"]
        asked += [f"approx_count_distinct({column})" if type_name == "VARCHAR" else "null"]
    answer = cursor.execute(f"select {', '.join(asked)} from {source}").fetchone() or ()
    count = int(answer[0])
    figures: dict[str, dict[str, JSON]] = {}
    for number, (name, _) in enumerate(described):
        filled, mean, deviation, distinct = answer[1 + 4 * number : 5 + 4 * number]
        share = round(1 - filled / count, 6) if count else 0.0
        figures[name] = {"null_share": share, "mean": _short(mean), "deviation": _short(deviation), "distinct": distinct}
    return count, figures


def _distance(figures: Mapping[str, JSON], train: Mapping[str, JSON]) -> float | None:
    mean, base, deviation = figures.get("mean"), train.get("mean"), train.get("deviation")
    if not isinstance(mean, float) or not isinstance(base, float) or not isinstance(deviation, float) or not deviation:
        return None
    return _short((mean - base) / deviation)


def _short(value: float | None) -> float | None:
    """Six digits: sums of floats differ in the last ones from run to run."""
    return None if value is None else float(f"{value:.6g}")


def _first(columns: Mapping[str, Mapping[str, object]]) -> Sequence[str]:
    return list(next(iter(columns.values()), {}))
