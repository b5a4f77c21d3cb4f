"""The type of a column, as DuckDB writes it, as the field of a contract: the way back from `ContractField.sql_type`.

The invariant: a type that is read here and written again is the same type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from headrace.core.contract import ContractField, ValueType

__all__ = ["field_of"]

_BY_SQL: Mapping[str, ValueType] = {
    "VARCHAR": "str",
    "BIGINT": "int",
    "DOUBLE": "float",
    "BOOLEAN": "bool",
    "DATE": "date",
    "TIMESTAMP WITH TIME ZONE": "datetime",
    "TIME": "time",
}
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_NAME = re.compile(r'"((?:[^"]|"")+)" |([^" ]+) ')


def field_of(name: str, sql_type: str) -> ContractField | None:
    """An optional field of a column's type, and so are its parts; None for a type that no contract has.

    >>> field = field_of("items", 'STRUCT("sku" VARCHAR, "price" DECIMAL(9,2))[]')
    >>> field.type, [inner.name for inner in field.item.inner]
    ('list', ['sku', 'price'])
    """
    if sql_type.endswith("[]"):
        item = field_of("", sql_type.removesuffix("[]"))
        return ContractField(name, name, "list", nullable=True, item=item) if item else None
    if sql_type.startswith("STRUCT(") and sql_type.endswith(")"):
        inner = [_part(part) for part in _parts(sql_type.removeprefix("STRUCT(")[:-1])]
        found = tuple(part for part in inner if part)
        return ContractField(name, name, "model", nullable=True, inner=found) if len(found) == len(inner) else None
    if decimal := _DECIMAL.fullmatch(sql_type):
        field = ContractField(name, name, "Decimal", nullable=True)
        return replace(field, max_digits=int(decimal[1]), decimal_places=int(decimal[2]))
    return ContractField(name, name, _BY_SQL[sql_type], nullable=True) if sql_type in _BY_SQL else None


def _part(text: str) -> ContractField | None:
    named = _NAME.match(text)
    if not named:
        return None
    name = named[1].replace('""', '"') if named[1] else named[2]
    return field_of(name, text[named.end() :])


def _parts(text: str) -> list[str]:
    """The fields of a struct: cut at its own commas, not at those in quotes and in brackets."""
    parts, begin, depth, is_quoted = [], 0, 0, False
    for at, sign in enumerate(text):
        is_quoted ^= sign == '"'
        depth += 0 if is_quoted else (sign == "(") - (sign == ")")
        if sign == "," and not depth and not is_quoted:
            parts.append(text[begin:at].strip())
            begin = at + 1
    return [*parts, text[begin:].strip()]
