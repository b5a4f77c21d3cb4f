"""Parquet files as the arrays that scikit-learn takes: a frame of the features in order (or one Series), target and weight.

Only the columns that are needed are read. The invariant: rows keep the order of the files and of the rows in them, and a column
has the same dtype in every batch that has no nulls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.core.errors import DataError, did_you_mean
from headrace.core.ports import Column
from headrace.core.step import ModelSpec

__all__ = ["Rows", "batches", "check_columns", "columns_of", "count", "family", "features_of", "plain", "read", "type_name"]


@dataclass(frozen=True)
class Rows:
    """One side of a table, as scikit-learn takes it. `groups` numbers the rows' keys when a key has several rows."""

    features: Any
    target: Any = None
    weight: Any = None
    groups: Any = None

    def __len__(self) -> int:
        return len(self.features)


def read(files: Sequence[Path], spec: ModelSpec, *, side: str) -> Rows:
    """The rows of one side. DataError when a column is missing."""
    wanted = list(dict.fromkeys((*spec.feature_names, *filter(None, (spec.target, spec.weight)), *(spec.key if spec.cv else ()))))
    check_columns(columns_of(files), wanted, f"the {side} rows")
    tables = [pq.ParquetFile(path).read(columns=wanted) for path in files]
    frame = plain(pa.concat_tables(tables, promote_options="permissive")).to_pandas()
    return Rows(
        features=features_of(frame, spec.features),
        target=_vector(frame[spec.target]) if spec.target else None,
        weight=frame[spec.weight].to_numpy(dtype=float) if spec.weight else None,
        groups=_groups(frame, spec.key) if spec.cv and spec.key else None,
    )


def columns_of(files: Sequence[Path]) -> dict[str, Column]:
    """The columns of a table by name; its files share them."""
    if not files:
        raise DataError("No files were given to a model. A side of a split has at least one file, if an empty one.")
    schema = pq.read_schema(files[0])
    return {field.name: Column(field.name, type_name(field.type), field.nullable) for field in schema}


def count(files: Sequence[Path]) -> int:
    """How many rows, from the files' footers."""
    return sum(pq.read_metadata(path).num_rows for path in files)


def check_columns(found: Mapping[str, Column], wanted: Sequence[str], what: str) -> None:
    missing = [name for name in wanted if name not in found]
    if missing:
        names = ", ".join(f"`{name}`" for name in missing)
        raise DataError(f"The model needs {names}, and {what} have no such column. {did_you_mean(missing[0], found)}".rstrip())


def batches(files: Sequence[Path], columns: Sequence[str], *, rows: int = 65_536) -> Iterator[pa.RecordBatch]:
    """The rows in pieces, so that memory is bounded by a piece."""
    for path in files:
        yield from pq.ParquetFile(path).iter_batches(batch_size=rows, columns=list(columns))


def plain(table: pa.Table) -> pa.Table:
    """The table with types that scikit-learn computes with: decimals and nullable booleans become doubles."""
    for index, field in enumerate(table.schema):
        column = table.column(index)
        if pa.types.is_decimal(field.type):
            table = table.set_column(index, field.name, column.cast(pa.float64()))
        elif pa.types.is_boolean(field.type) and column.null_count:
            table = table.set_column(index, field.name, column.cast(pa.int8()).cast(pa.float64()))
    return table


def features_of(frame: pd.DataFrame, features: str | tuple[str, ...]) -> Any:
    return frame[features] if isinstance(features, str) else frame[list(features)]


def _vector(column: pd.Series[Any]) -> Any:
    """A target as a NumPy array; texts as objects, so that the classes are plain strings."""
    is_plain = isinstance(column.dtype, np.dtype)
    return column.to_numpy() if is_plain else column.to_numpy(dtype=object)


def _groups(frame: pd.DataFrame, key: tuple[str, ...]) -> Any:
    """Numbers for the keys, where some key has several rows; None when each row has its own."""
    numbers = frame.groupby(list(key), sort=False, dropna=False).ngroup().to_numpy()
    return numbers if len(np.unique(numbers)) < len(numbers) else None


# ---------------------------------------------------------------- types, as every port names them

_NAMES = {
    "int8": "TINYINT",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "uint8": "UTINYINT",
    "uint16": "USMALLINT",
    "uint32": "UINTEGER",
    "uint64": "UBIGINT",
    "halffloat": "FLOAT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "large_string": "VARCHAR",
    "string_view": "VARCHAR",
    "bool": "BOOLEAN",
    "binary": "BLOB",
    "large_binary": "BLOB",
    "date32[day]": "DATE",
}


def type_name(type_: pa.DataType) -> str:
    """The DuckDB name of an Arrow type."""
    if pa.types.is_timestamp(type_):
        return "TIMESTAMP WITH TIME ZONE" if type_.tz else "TIMESTAMP"
    if pa.types.is_time(type_):
        return "TIME"
    if pa.types.is_decimal(type_):
        return f"DECIMAL({type_.precision},{type_.scale})"
    if pa.types.is_dictionary(type_):
        return type_name(type_.value_type)
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return f"{type_name(type_.value_type)}[]"
    return _NAMES.get(str(type_), str(type_).upper())


def family(type_: str) -> str:
    """What a column can stand in for: all numbers are one family, a text is another, other types are each their own."""
    if type_ in ("FLOAT", "DOUBLE") or type_.endswith(("INT", "INTEGER")) or type_.startswith("DECIMAL"):
        return "numbers"
    return type_
