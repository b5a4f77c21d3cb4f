"""What a table's function returned, as one query.

What a result is, is read from its type's module, so that no library is imported that the user's code did not import. The
invariant: whatever comes in is read once, and as far as its library allows without holding all of it in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import duckdb

from headrace.backends.engines.duckdb.binding import Query, one_query
from headrace.backends.engines.duckdb.names import check_names
from headrace.backends.engines.duckdb.rows import ACCEPTED, from_columns, from_rows
from headrace.backends.engines.duckdb.text import parquet, quote
from headrace.core.errors import DataError
from headrace.core.frame import Frame
from headrace.core.ports import Bound, Schema

__all__ = ["Room", "query_of"]

_UNSTORED_POLARS = ("Duration", "Int128", "UInt128", "Object", "Float16")


@dataclass(frozen=True)
class Room:
    """Where a result may be put to be queried: a name that is free for a view, and a folder for files."""

    cursor: duckdb.DuckDBPyConnection
    work: Path
    name: str
    _leaving: list[Callable[[], object]] = field(default_factory=list[Callable[[], object]])

    def path(self) -> Path:
        path = self.work / f"{self.name}.parquet"
        self._leaving.append(lambda: path.unlink(missing_ok=True))
        return path

    def view(self, relation: duckdb.DuckDBPyRelation) -> None:
        self._leaving.append(lambda: self.cursor.execute(f"drop view if exists {quote(self.name)}"))
        relation.create_view(self.name)

    def all(self, order: Literal["kept", "as planned"]) -> Query:
        return Query(f"select * from {quote(self.name)}", {}, order)

    def leave(self) -> None:
        """Free what was put there."""
        while self._leaving:
            self._leaving.pop()()


def query_of(room: Room, result: object, values: Mapping[str, Bound], *, schema: Schema) -> Query:
    """A query over what a table's function returned; `schema` gives the columns when there are no rows.

    Raises DataError, also for what a lazy frame raises when it is evaluated.
    """
    if isinstance(result, str):
        return one_query(room.cursor, result, values)
    if isinstance(result, Frame):
        return Query(f"select * from {result}", {})
    if isinstance(result, Mapping):
        return from_columns(result, schema)
    if isinstance(result, list | tuple):
        return from_rows(result, schema)
    adapt = _ADAPTERS.get(type(result).__module__.partition(".")[0].removeprefix("_"))
    query = adapt(room, result) if adapt else None
    if query is None:
        found = "nothing (None)" if result is None else f"an object of type {type(result).__module__}.{type(result).__qualname__}"
        raise DataError(f"The function returned {found}. {ACCEPTED}")
    return query


def _from_duckdb(room: Room, result: Any) -> Query | None:
    if not isinstance(result, duckdb.DuckDBPyRelation):
        return None
    try:
        room.view(result)
        room.cursor.execute(f"select 1 from {quote(room.name)} limit 0")
    except duckdb.CatalogException:  # a relation of another connection
        room.cursor.register(room.name, result.to_arrow_reader())
    return room.all("as planned")


def _from_pyarrow(room: Room, result: Any) -> Query | None:
    if type(result).__name__ not in ("Table", "RecordBatch", "RecordBatchReader"):
        return None
    check_names(result.schema.names)  # DuckDB would give names of its own to those that are there twice
    room.cursor.register(room.name, result)
    return room.all("kept")


def _from_polars(room: Room, result: Any) -> Query | None:
    """Through a file, which needs no Arrow library and, for a lazy frame, no memory for all rows."""
    is_lazy = type(result).__name__ == "LazyFrame"
    if not is_lazy and type(result).__name__ != "DataFrame":
        return None
    path = room.path()
    try:
        types = {name: str(dtype).partition("(")[0] for name, dtype in result.collect_schema().items()}
        _ = result.sink_parquet(path, compression="lz4") if is_lazy else result.write_parquet(path, compression="lz4")
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a Polars panic is a BaseException
        said = str(error).strip().partition("\n")[0]
        raise DataError(f"Polars could not evaluate the frame: {type(error).__name__}: {said}") from error
    for name, type_name in types.items():
        if type_name in _UNSTORED_POLARS:
            raise DataError(f"The column `{name}` has Polars' type {type_name}, which cannot be stored. Cast it first.")
    return Query(f"select * from {parquet([path])}", {}, order="kept" if _is_sorted(result, is_lazy=is_lazy) else "free")


def _is_sorted(result: Any, *, is_lazy: bool) -> bool:
    """Whether a Polars frame is in an order that the user asked for: Polars' groups and joins come in any."""
    if is_lazy:
        return str(result.explain(optimized=False)).lstrip().startswith("SORT BY")
    return any(any(column.flags.values()) for column in result.get_columns())


def _from_pandas(room: Room, result: Any) -> Query | None:
    if type(result).__name__ != "DataFrame":
        return None
    import pyarrow as pa

    if any(level is not None for level in result.index.names):
        result = result.reset_index()
    wrong = [column for column in result.columns if not isinstance(column, str)]
    if wrong:
        raise DataError(f"The columns of a pandas frame are named by texts, found {wrong[0]!r} ({type(wrong[0]).__name__}).")
    check_names(list(result.columns))
    try:
        table = pa.Table.from_pandas(result, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, ValueError) as error:
        raise DataError(f"A column of the pandas frame holds values of several types: {error.args[0]} {error.args[-1]}") from error
    room.cursor.register(room.name, table)
    return room.all("kept")


def _from_ibis(room: Room, result: Any) -> Query | None:
    import ibis
    from ibis.expr import operations

    if not isinstance(result, ibis.Expr):
        return None
    try:
        table = result.as_table()
        text = str(ibis.to_sql(table, dialect="duckdb"))
    except ibis.common.exceptions.IbisError as error:
        raise DataError(f"Ibis could not write the expression as DuckDB's SQL: {error}") from error
    for memory in table.op().find(operations.InMemoryTable):
        room.cursor.register(memory.name, memory.data.to_pyarrow(memory.schema))
    return Query(text, {})


_Adapter = Callable[[Room, Any], Query | None]
_ADAPTERS: Mapping[str, _Adapter] = {
    "duckdb": _from_duckdb,
    "pyarrow": _from_pyarrow,
    "polars": _from_polars,
    "pandas": _from_pandas,
    "ibis": _from_ibis,
}
