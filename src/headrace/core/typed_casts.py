"""What a value that has a type in its file becomes in a contract: the table of casts for Parquet and Avro.

Texts go the way of `core.casts`. The SQL is DuckDB's, built here as text and run elsewhere; docs/reference/parquet.md prints the table. The
invariant: a value is cast only if the result says the same, but for the digits that a float can't hold; any other is NULL, never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from headrace.core.casts import cast_sql, in_range_sql, literal
from headrace.core.contract import ContractField
from headrace.core.durations import duration_text_sql
from headrace.core.ports import JSON

__all__ = ["BEYOND", "Kind", "missing_sql", "shown_sql", "text_of_sql", "text_sql", "typed_cast_sql"]

# What a column holds, as far as casts tell kinds apart. Instants come as naive times in UTC, spans as microseconds, BEYOND where 64 bits hold none.
Kind = Literal["text", "whole", "real", "exact", "truth", "day", "naive", "instant", "clock", "span", "bytes", "nested", "nothing"]

BEYOND = -(2**63)


def text_sql(value: str, kind: Kind) -> str:
    """SQL of a value as a text: what a field of type `str` gets of it, and what it is found by."""
    if kind == "text":
        return value
    if kind == "nested":
        return f"CAST(to_json({value}) AS VARCHAR)"
    if kind == "instant":
        return f"(CAST({value} AS VARCHAR) || '+00')"
    if kind == "span":
        return f"CASE WHEN {value} = {BEYOND} THEN 'beyond all bounds' ELSE CAST(to_microseconds({value}) AS VARCHAR) END"
    return f"CAST({value} AS VARCHAR)"


def shown_sql(value: str, kind: Kind) -> str:
    """SQL of a value as a text, as reasons show it."""
    if kind == "span":
        return f"CASE WHEN {value} = {BEYOND} THEN 'beyond all bounds' ELSE {duration_text_sql(value)} END"
    return text_sql(value, kind)


def missing_sql(value: str, cast: str, kind: Kind, field: ContractField) -> str:
    """SQL that is true where there is no value: NULL, NaN, and an empty text where the field is no text."""
    ways = [f"{value} IS NULL"]
    if kind == "real":
        ways.append(f"coalesce(isnan({value}), false)")
    if kind == "text" and field.type != "str":
        ways.append(f"{value} = ''")
    if kind == "text" and field.type == "float":
        ways.append(f"coalesce(isnan({cast}), false)")
    return f"({' OR '.join(ways)})"


def typed_cast_sql(value: str, kind: Kind, field: ContractField, options: Mapping[str, JSON], *, scale: int = 0) -> str:
    """SQL that turns `value` into the field's type: NULL where it can't. `scale` is that of a value of the kind `exact`."""
    if kind == "text":
        return cast_sql(value, field, options)
    return _own_cast(value, kind, field, str(options.get("timezone", "UTC")), scale) or f"CAST(NULL AS {field.sql_type})"


def _own_cast(value: str, kind: Kind, field: ContractField, zone: str, scale: int) -> str | None:
    """The cast of a value that is no text; None where there is none."""
    if field.type == "str":
        return text_of_sql(value, kind)
    if field.type == "int":
        return _to_int(value, kind)
    if field.type == "float":
        return f"CAST({value} AS DOUBLE)" if kind in ("whole", "real", "exact") else None
    if field.type == "bool":
        return value if kind == "truth" else f"CASE {value} WHEN 1 THEN true WHEN 0 THEN false END" if kind == "whole" else None
    if field.type == "timedelta":
        return f"nullif({value}, {BEYOND})" if kind == "span" else None
    if field.type == "Decimal":
        return _to_decimal(value, kind, field, scale)
    if field.type == "date":
        return _to_date(value, kind)
    if field.type == "datetime":
        return _to_datetime(value, kind, zone)
    if field.type == "time":
        return value if kind == "clock" else None
    return None


def text_of_sql(value: str, kind: Kind) -> str:
    """SQL of the text that a field of type `str` gets of a value: NULL where bytes are none."""
    if kind == "bytes":
        return f"TRY(decode({value}))"
    return text_sql(value, kind)


def _to_int(value: str, kind: Kind) -> str | None:
    if kind == "whole":
        return f"TRY_CAST({value} AS BIGINT)"
    if kind in ("real", "exact"):
        return f"CASE WHEN {value} = trunc({value}) THEN TRY_CAST({value} AS BIGINT) END"
    return None


def _to_decimal(value: str, kind: Kind, field: ContractField, scale: int) -> str | None:
    """DuckDB rounds in silence where decimals would be cut: those go by their texts, which are exact."""
    if kind == "whole" or (kind == "exact" and scale <= field.scale):
        return f"TRY_CAST({value} AS {field.sql_type})"
    return cast_sql(text_sql(value, kind), field, {}) if kind in ("real", "exact") else None


def _to_date(value: str, kind: Kind) -> str | None:
    if kind == "day":
        return f"CASE WHEN {value} BETWEEN DATE '0001-01-01' AND DATE '9999-12-31' THEN {value} END"
    if kind in ("naive", "instant"):
        time = f"TRY_CAST({value} AS TIMESTAMP)"
        return f"CASE WHEN {time} = date_trunc('day', {time}) AND year({time}) BETWEEN 1 AND 9999 THEN CAST({time} AS DATE) END"
    return None


def _to_datetime(value: str, kind: Kind, zone: str) -> str | None:
    if kind not in ("day", "naive", "instant"):
        return None
    time = f"TRY_CAST({value} AS TIMESTAMP)"
    if kind == "instant" or zone == "UTC":
        return in_range_sql(f"CAST({time} AS TIMESTAMP WITH TIME ZONE)")
    return in_range_sql(f"timezone({literal(zone)}, {time})")
