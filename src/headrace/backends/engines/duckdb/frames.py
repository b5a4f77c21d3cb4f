"""A view as the kind of frame that a function asks for.

Libraries of frames are imported only where one of theirs is asked for. The invariant: types are kept as far as the library
has them, and nothing is copied that need not be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import duckdb

from headrace.backends.engines.duckdb.text import quote
from headrace.core.errors import MissingLibraryError
from headrace.core.frame import Frame
from headrace.core.ports import FrameKind, Schema

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["as_kind"]

_EXTRAS = {"polars": "polars", "polars_lazy": "polars", "pandas": "pandas", "ibis": "ibis"}


def as_kind(
    cursor: duckdb.DuckDBPyConnection, name: str, schema: Schema, kind: FrameKind, scan: Callable[[], object] | None = None
) -> object:
    """The view `name` as a frame of a kind. `scan`, if given, makes a lazy Polars frame over the same rows without DuckDB.

    Raises MissingLibraryError saying which extra to install.
    """
    try:
        match kind:
            case "frame":
                return Frame(name, schema)
            case "duckdb":
                return cursor.view(quote(name))
            case "arrow":
                return cursor.view(quote(name)).to_arrow_table()
            case "polars" | "polars_lazy":
                return _polars(cursor, name, scan, is_lazy=kind == "polars_lazy")
            case "pandas":
                return _pandas(cursor.view(quote(name)).to_arrow_table())
            case "ibis":
                return _ibis(cursor, name, schema)
    except ImportError as error:
        extra = _EXTRAS.get(kind, kind)
        raise MissingLibraryError(
            f"`{name}` is asked for as a frame of {extra}, which is not installed. Type: pip install 'headrace[{extra}]'"
        ) from error


def _polars(cursor: duckdb.DuckDBPyConnection, name: str, scan: Callable[[], Any] | None, *, is_lazy: bool) -> object:
    import polars as pl

    lazy: pl.LazyFrame = scan() if scan else cursor.view(quote(name)).pl().lazy()
    return lazy if is_lazy else lazy.collect()


def _ibis(cursor: duckdb.DuckDBPyConnection, name: str, schema: Schema) -> object:
    """A table of Ibis on the same connection. Its columns are told to Ibis, which would ask by a call that DuckDB 2 calls deprecated."""
    import ibis
    from ibis.backends.sql.datatypes import DuckDBType
    from ibis.expr import operations

    columns = ibis.schema({column.name: DuckDBType.from_string(column.type) for column in schema})
    backend = ibis.duckdb.from_connection(cursor)
    return operations.DatabaseTable(name=name, schema=columns, source=backend).to_expr()


def _pandas(table: pa.Table) -> object:
    """What pandas makes of Arrow, but for what would lose its type.

    Integers and booleans with nulls become pandas' nullable ones; decimals, dates, bytes and nested values, which pandas
    would hold as objects, stay Arrow's.
    """
    import pandas as pd
    import pyarrow as pa

    nullable = {pa.bool_(): pd.BooleanDtype()}
    for bits in (8, 16, 32, 64):
        nullable[getattr(pa, f"int{bits}")()] = getattr(pd, f"Int{bits}Dtype")()
        nullable[getattr(pa, f"uint{bits}")()] = getattr(pd, f"UInt{bits}Dtype")()
    is_object = (pa.types.is_decimal, pa.types.is_date, pa.types.is_time, pa.types.is_binary, pa.types.is_nested)
    frame = table.to_pandas(types_mapper=lambda kind: pd.ArrowDtype(kind) if any(is_one(kind) for is_one in is_object) else None)
    for name, column in zip(table.column_names, table.columns, strict=True):
        if column.null_count and column.type in nullable:
            frame[name] = column.to_pandas(types_mapper=nullable.get)
    return frame
