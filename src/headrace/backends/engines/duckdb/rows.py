"""Plain Python rows and columns as a query: `unnest` of one list for each column.

No library of frames is needed for them. The invariant: a column's type follows from the types of its values, never from
how large they are, so that it is the same for every interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from headrace.backends.engines.duckdb.binding import Query, empty_table
from headrace.backends.engines.duckdb.text import listed, quote
from headrace.core.errors import DataError
from headrace.core.ports import Schema

__all__ = ["ACCEPTED", "from_columns", "from_rows"]

ACCEPTED = (
    "A table returns SQL, a DuckDB relation, an Arrow table or reader, a Polars, pandas or Ibis table, "
    "a list of dicts (rows) or a dict of lists (columns)."
)
_DECIMAL = "DECIMAL(38,9)"


def from_rows(rows: Sequence[object], schema: Schema) -> Query:
    names: dict[str, None] = {}
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise DataError(f"Row {number} of the list is a {type(row).__name__}, not a dict of columns. {ACCEPTED}")
        names.update(dict.fromkeys(row))
    return from_columns({name: [row.get(name) for row in rows] for name in names}, schema)  # type: ignore[attr-defined]


def from_columns(columns: Mapping[Any, Any], schema: Schema) -> Query:
    if not columns:
        if schema:
            return Query(empty_table(schema), {})
        raise DataError("The function returned no rows and no columns. Return SQL or a frame with columns, or give the table a contract.")
    wrong = [name for name in columns if not isinstance(name, str)]
    if wrong:
        raise DataError(f"Columns are named by texts, found {wrong[0]!r} ({type(wrong[0]).__name__}).")
    lists = {name: list(column) for name, column in columns.items()}
    lengths = {len(column) for column in lists.values()}
    if len(lengths) > 1:
        found = ", ".join(f"`{name}` {len(column)}" for name, column in lists.items())
        raise DataError(f"The columns have different lengths: {found}.")
    known = {column.name: column.type for column in schema}
    parts: list[str] = []
    types: list[tuple[str, str | None]] = []
    for number, (name, column) in enumerate(lists.items()):
        type_name = _python_type(name, column) or known.get(name)
        types.append((name, type_name))
        parts.append(f"unnest($c{number}{f'::{type_name}[]' if type_name else ''}) as {quote(name)}")
    values = {f"c{number}": column for number, column in enumerate(lists.values())}
    known_types = tuple((name, told) for name, told in types if told and "STRUCT" not in told)  # DuckDB spells those in its own way
    return Query("select " + ", ".join(parts), values, "kept", known_types if len(known_types) == len(types) else None)


def _python_type(name: str, values: list[object]) -> str | None:
    """The DuckDB type of plain values; None where there are only nulls, or objects that DuckDB has to make something of."""
    for index, value in enumerate(values):
        if hasattr(value, "item") and hasattr(value, "dtype"):  # a NumPy scalar
            values[index] = value.item()
        elif isinstance(value, Decimal) and value.is_nan():
            values[index] = None
    present = [value for value in values if value is not None]
    if present and all(isinstance(value, list | tuple) for value in present):
        inner = _python_type(name, [item for value in present for item in value])  # type: ignore[attr-defined]
        return f"{inner}[]" if inner else None
    if present and all(isinstance(value, Mapping) for value in present):
        return _struct_type(name, present)  # type: ignore[arg-type]
    kinds = {_kind(value) for value in present}
    if kinds == {"BIGINT", "DOUBLE"}:
        return "DOUBLE"
    if len(kinds) > 1:
        raise DataError(f"The column `{name}` holds values of several types: {listed(sorted(str(kind) for kind in kinds))}. Make them one.")
    _check_range(name, present)
    return next(iter(kinds), None)


def _struct_type(name: str, values: list[Mapping[str, object]]) -> str | None:
    keys = dict.fromkeys(key for value in values for key in value)
    types = {key: _python_type(f"{name}.{key}", [value.get(key) for value in values]) for key in keys}
    if not types or None in types.values():
        return None
    return f"STRUCT({', '.join(f'{quote(key)} {type_name}' for key, type_name in types.items())})"


def _check_range(name: str, values: list[object]) -> None:
    for value in values:
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise DataError(f"The column `{name}` holds {value}, which is no 64-bit integer. Make it a text, or a float.")
        if isinstance(value, Decimal) and isinstance(places := value.as_tuple().exponent, int) and places < -9:
            raise DataError(
                f"The column `{name}` holds {value}, with more than 9 decimal places. Round it, or return Arrow with a type of its own."
            )


def _kind(value: object) -> str | None:
    match value:
        case bool():
            return "BOOLEAN"
        case int():
            return "BIGINT"
        case float():
            return "DOUBLE"
        case str():
            return "VARCHAR"
        case Decimal():
            return _DECIMAL
        case datetime():
            return "TIMESTAMP" if value.tzinfo is None else "TIMESTAMP WITH TIME ZONE"
        case date():
            return "DATE"
        case time():
            return "TIME"
        case bytes():
            return "BLOB"
        case _:
            return None
