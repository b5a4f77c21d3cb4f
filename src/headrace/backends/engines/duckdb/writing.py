"""From a query to Parquet files: columns and their types, an order that never varies, sides, and what must hold of the rows.

The query is evaluated once, straight into a file; all that is checked is read from that file. The invariant: the same rows
in make the same bytes out, so rows are sorted wherever the engine was free to choose their order.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from headrace.backends.engines.duckdb.binding import Query
from headrace.backends.engines.duckdb.names import SIDE, check_names
from headrace.backends.engines.duckdb.splitting import GAP, side_of, split_columns
from headrace.backends.engines.duckdb.text import FLOATS, listed, literal, parquet, quote, stored_type
from headrace.core.contract import Contract
from headrace.core.errors import DataError, did_you_mean
from headrace.core.ports import Column, Schema, WriteOrder, Written
from headrace.core.split import Split
from headrace.core.table_checks import typed_breaches

__all__ = ["write"]

_FORMAT = "format parquet, compression zstd, row_group_size 122880, return_stats true, use_tmp_file false"
_STAGED = "format parquet, compression lz4, row_group_size 122880, return_stats true, use_tmp_file false"
_ORDERED = frozenset({"ORDER_BY", "TOP_N"})
_KEEPING = frozenset(
    {"PROJECTION", "FILTER", "LIMIT", "STREAMING_LIMIT", "UNNEST", "DUMMY_SCAN", "EMPTY_RESULT", "COLUMN_DATA_SCAN", "EXPRESSION_SCAN"}
    | {"READ_PARQUET", "PARQUET_SCAN", "PYTHON_ARROW_SCAN", "ARROW_SCAN", "RANGE", "SEQ_SCAN", "TABLE_SCAN", "INOUT_FUNCTION"}
)
_SHOWN = 5
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")


@dataclass(frozen=True)
class _Plan:
    """How each column is written: its expression over the query's, its name and type."""

    schema: Schema
    expressions: tuple[str, ...]
    query: Query

    def select(self) -> str:
        return f"select {', '.join(self.expressions)} from (\n{self.query.text}\n)"


@dataclass(frozen=True)
class _Copied:
    """What DuckDB says of a file it wrote: rows, and nulls by column where it counted them."""

    rows: int
    nulls: Mapping[str, int]


def write(cursor: duckdb.DuckDBPyConnection, query: Query, columns: Sequence[tuple[str, str]], order: WriteOrder, *, work: Path) -> Written:
    """Evaluate a query with these columns into the files of an order, its text on lines of its own; see `EngineSession.write`."""
    plan = _planned(cursor, columns, query, order)
    if order.split is None:
        path = order.paths["rows"]
        copied = _copy(cursor, plan.query, _in_order(cursor, plan, order), path, _FORMAT)
        _check_rows(cursor, copied, order, path)
        return Written({"rows": copied.rows}, plan.schema, {"nulls": dict(copied.nulls)})
    return _write_sides(cursor, plan, order, order.split, work)


# ---------------------------------------------------------------- columns


def _planned(cursor: duckdb.DuckDBPyConnection, found: Sequence[tuple[str, str]], query: Query, order: WriteOrder) -> _Plan:
    check_names([name for name, _ in found])
    asked = _contract_types(cursor, dict(found), order.contract)
    schema: list[Column] = []
    expressions: list[str] = []
    for name, type_name in found:
        stored = asked.get(name) or stored_type(type_name)
        if stored is None:
            raise DataError(
                f"The column `{name}` has the type {type_name}, which cannot be stored in Parquet. Cast it, such as to VARCHAR or DOUBLE."
            )
        column = quote(name)
        cast = column if stored == type_name else _fixed_length(column) if type_name == "INTERVAL" else f"{column}::{stored}"
        if stored in FLOATS:
            cast = f"nullif({cast}, 'NaN'::{stored})"
        expressions.append(column if cast == column else f"{cast} as {column}")
        schema.append(Column(name, stored))
    plan = _Plan(tuple(schema), tuple(expressions), query)
    _check_key_columns(order.key, plan.schema)
    return plan


def _contract_types(cursor: duckdb.DuckDBPyConnection, found: Mapping[str, str], contract: Contract | None) -> dict[str, str]:
    """The types that a contract asks for. DataError listing all columns that are missing, undeclared or of another kind."""
    if contract is None:
        return {}
    problems: list[str] = []
    durations = {field.name for field in contract.fields if field.type == "timedelta"}
    spans = {name for name in durations if found.get(name) == "INTERVAL"}
    declared = {column.name: _as_duckdb_names(cursor, column.type) for column in contract.schema}
    for name, asked in declared.items():
        if name not in found:
            problems.append(f"`{name}` is missing. {did_you_mean(name, found)}")
        elif name not in spans and not _is_castable(found[name], asked):
            said = "timedelta, which is an INTERVAL, or a BIGINT of microseconds" if name in durations else asked
            problems.append(f"`{name}` is {found[name]}, the contract says {said}: cast it.")
    if contract.forbids_others:
        problems += [f"`{name}` is not in the contract, which forbids other columns." for name in found if name not in declared]
    if problems:
        raise DataError(f"The result breaks the contract {contract.name}: " + "\n  ".join(["", *problems]).lstrip(" "))
    return declared


def _as_duckdb_names(cursor: duckdb.DuckDBPyConnection, type_name: str) -> str:
    """A type as DuckDB writes it: the names in a struct in quotes only where it needs them."""
    if "STRUCT" not in type_name:
        return type_name
    row = cursor.execute(f"select typeof(cast(null as {type_name}))").fetchone()
    return str(row[0]) if row else type_name


def _is_castable(found: str, asked: str) -> bool:
    """Whether each value of one type is a value of the other, or it is refused when it runs: never a silent rounding."""
    if found == asked or found == '"NULL"':
        return True
    if asked == "BIGINT":
        return found in _NUMBERS or found in ("HUGEINT", "UHUGEINT")
    if asked == "DOUBLE":
        return found in _NUMBERS or found in ("HUGEINT", "FLOAT") or found.startswith("DECIMAL")
    if asked.startswith("DECIMAL"):
        return found in _NUMBERS or found == "HUGEINT" or (found.startswith("DECIMAL") and _scale(found) <= _scale(asked))
    if asked == "TIMESTAMP WITH TIME ZONE":
        return found.startswith("TIMESTAMP")
    return asked == "VARCHAR" and (found.startswith("ENUM(") or found in ("UUID", "JSON"))


def _fixed_length(interval: str) -> str:
    """The microseconds of an INTERVAL, which is what a `timedelta` of a contract is kept as. An error where it has months: how long are they?"""
    said = literal("An INTERVAL with years or months has no fixed length, and the contract says timedelta: ")
    return f"case when extract(year from {interval}) = 0 and extract(month from {interval}) = 0 then epoch_us({interval}) else error({said} || {interval}) end"


def _scale(decimal: str) -> int:
    return int(decimal.rstrip(")").rpartition(",")[2])


def _check_key_columns(key: Sequence[str], schema: Schema) -> None:
    names = [column.name for column in schema]
    for name in key:
        if name not in names:
            raise DataError(f"The table's key is `{name}`, but the result has no such column. {did_you_mean(name, names)}")


# ---------------------------------------------------------------- order


def _in_order(cursor: duckdb.DuckDBPyConnection, plan: _Plan, order: WriteOrder) -> str:
    """The query, sorted by key (else by all columns) where the engine would be free to choose."""
    text = plan.select()
    if plan.query.order == "kept":
        return text
    rows = cursor.execute(f"explain (format json) {text}", dict(plan.query.values)).fetchall()
    if plan.query.order == "as planned" and all(_keeps_order(root) for root in json.loads(rows[0][1])):
        return text
    names = [column.name for column in plan.schema]
    positions = [names.index(name) for name in order.key] or range(len(names))
    return f"{text} order by {', '.join(str(position + 1) for position in positions)}"


def _keeps_order(node: Mapping[str, Any]) -> bool:
    """Whether a plan gives its rows in the order of its files, or in one that it sorts them into."""
    name = node["name"].strip()
    if name in _ORDERED:
        return True
    return name in _KEEPING and all(_keeps_order(child) for child in node["children"])


def _copy(cursor: duckdb.DuckDBPyConnection, query: Query, text: str, path: Path, options: str) -> _Copied:
    row = cursor.execute(f"copy ({text}) to {literal(str(path))} ({options})", dict(query.values)).fetchone()
    if row is None:
        raise DataError(f"DuckDB said nothing of the file that it wrote: {path}. This is a defect of headrace.")
    statistics: Mapping[str, Mapping[str, str]] = row[4] or {}
    nulls = {name[1:-1]: int(told["null_count"]) for name, told in sorted(statistics.items()) if "null_count" in told}
    return _Copied(int(row[1]), {name: count for name, count in nulls.items() if '"' not in name})


# ---------------------------------------------------------------- sides


def _write_sides(cursor: duckdb.DuckDBPyConnection, plan: _Plan, order: WriteOrder, split: Split, work: Path) -> Written:
    names = split_columns(order, plan.schema)
    side = side_of(split, names, {column.name: column.type for column in plan.schema}, order)
    staged = work / f"all-sides-{secrets.token_hex(8)}.parquet"
    text = _in_order(cursor, plan, order)
    whole = f"select *, {side} as {quote(SIDE)} from (\n{text}\n)"
    try:
        copied = _copy(cursor, plan.query, whole, staged, _STAGED)
        _check_rows(cursor, copied, order, staged)
        missing = _count_where(cursor, staged, f"{quote(SIDE)} is null")
        if missing:
            raise DataError(
                f"{missing:,} of {copied.rows:,} rows have no {listed(names)}, by which the table is split. Leave them out, or fill it."
            )
        rows = {name: _copy_side(cursor, staged, name, path) for name, path in order.paths.items()}
    finally:
        staged.unlink(missing_ok=True)
    _check_sides(rows, copied.rows, split, order)
    nulls = {name: count for name, count in copied.nulls.items() if name != SIDE}
    return Written(rows, plan.schema, {"nulls": nulls, "in_gap": rows.get(GAP, 0)})


def _copy_side(cursor: duckdb.DuckDBPyConnection, staged: Path, side: str, path: Path) -> int:
    text = f"select * exclude ({quote(SIDE)}) from {parquet([staged])} where {quote(SIDE)} = {literal(side)}"
    return _copy(cursor, Query(text, {}), text, path, _FORMAT).rows


def _check_sides(rows: Mapping[str, int], total: int, split: Split, order: WriteOrder) -> None:
    if sum(rows.values()) != total:
        raise DataError(f"The split lost rows: {dict(rows)} are not the {total} of the result. This is a defect of headrace.")
    if all(rows[side] for side in split.sides):
        return
    counts = ", ".join(f"{side} {rows[side]:,}" for side in split.sides)
    gap = f", in the gap {rows[GAP]:,}" if rows.get(GAP) else ""
    until = f" Times are counted back from {order.interval.end.isoformat()}." if split.kind == "time" and order.interval else ""
    raise DataError(f"Not enough data for a split: of {total:,} rows {counts}{gap}.{until} Read more history, or change the shares.")


# ---------------------------------------------------------------- what must hold of the rows


def _check_rows(cursor: duckdb.DuckDBPyConnection, copied: _Copied, order: WriteOrder, path: Path) -> None:
    if order.key:
        _check_key(cursor, copied, order.key, path)
    if order.contract and order.contract.fields:
        _check_contract(cursor, copied, order.contract, path)


def _check_key(cursor: duckdb.DuckDBPyConnection, copied: _Copied, key: Sequence[str], path: Path) -> None:
    for name in key:
        nulls = _nulls(cursor, copied, name, path)
        if nulls:
            raise DataError(f"The key `{name}` is null in {nulls:,} of {copied.rows:,} rows. Leave them out: `where {name} is not null`.")
    columns = ", ".join(quote(name) for name in key)
    shown = ", ".join(f"{quote(name)}::VARCHAR" for name in key)
    rows = cursor.execute(
        f"select {shown}, count(*) as n, count(*) over () from {parquet([path])} group by {columns} having n > 1 order by {columns} limit {_SHOWN}"
    ).fetchall()
    if rows:
        examples = ", ".join(f"{'/'.join(row[:-2])} ({row[-2]} rows)" for row in rows)
        more = ", …" if rows[0][-1] > len(rows) else ""
        raise DataError(
            f"The key {listed(key)} is not unique: {rows[0][-1]:,} values are in several rows: {examples}{more}. Group by it, or widen it."
        )


def _check_contract(cursor: duckdb.DuckDBPyConnection, copied: _Copied, contract: Contract, path: Path) -> None:
    """Every bound in one scan. DataError listing those that are broken, each with its rows and one value."""
    breaches = typed_breaches(contract)
    asked = [
        f"count(*) filter ({breach.condition}), min({breach.whole or breach.shown or 'null'}) filter ({breach.condition})"
        for breach in breaches
    ]
    answer = cursor.execute(f"select {', '.join(asked)} from {parquet([path])}").fetchone() or ()
    problems: list[str] = []
    for breach, count, example in zip(breaches, answer[::2], answer[1::2], strict=True):
        if count:
            such = "" if example is None else f", such as {example}"
            problems.append(f"`{breach.path or breach.column}` {breach.words} in {count:,} of {copied.rows:,} rows{such}")
    if problems:
        raise DataError(f"The result breaks the contract {contract.name}: {'; '.join(problems)}.")


def _nulls(cursor: duckdb.DuckDBPyConnection, copied: _Copied, name: str, path: Path) -> int:
    counted = copied.nulls.get(name)
    return _count_where(cursor, path, f"{quote(name)} is null") if counted is None else counted


def _count_where(cursor: duckdb.DuckDBPyConnection, path: Path, condition: str) -> int:
    row = cursor.execute(f"select count(*) from {parquet([path])} where {condition}").fetchone()
    return int(row[0]) if row else 0
