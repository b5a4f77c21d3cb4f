"""Contracts: what a dataset's columns are called, what they hold and what bounds they keep, as frozen values.

How a pydantic model states them is `core.contract_models`; how text becomes these types is `core.casts`, and how bounds become conditions
`core.checks`. The invariant: two contracts that accept the same records have the same digest, and one that says something new has another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Literal

from headrace.core.ports import Column, Schema

__all__ = ["Contract", "ContractField", "FieldType", "Limit", "Stage", "Validator", "Value", "ValueType"]

ValueType = Literal["str", "int", "float", "bool", "Decimal", "date", "datetime", "time", "timedelta", "UUID"]
FieldType = Literal[ValueType, "list", "model"]
Limit = int | float | Decimal | date | datetime | time | timedelta
Value = None | bool | int | float | str | Decimal | date | datetime | time | timedelta | tuple[()]

_SQL_TYPES: Mapping[FieldType, str] = {
    "str": "VARCHAR",
    "int": "BIGINT",
    "float": "DOUBLE",
    "bool": "BOOLEAN",
    "date": "DATE",
    "datetime": "TIMESTAMP WITH TIME ZONE",
    "time": "TIME",
    "timedelta": "BIGINT",  # microseconds: see core.durations
    "UUID": "VARCHAR",  # its usual text: not every engine and warehouse has a type for it
}
Stage = Literal["before", "after"]


@dataclass(frozen=True)
class Validator:
    """A function of the user's that each value of a column passes through: before it is cast, as a text, or after, as the model's type.

    It returns what is to stand in the value's place, and refuses it by a ValueError or an AssertionError. `members` is the Enum that an
    after one is given members of.
    """

    name: str
    stage: Stage
    function: Callable[[Any], object] = field(repr=False)
    members: type[Enum] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class ContractField:
    """One column: called `alias` in raw files and `name` from here on.

    A value that is missing (an empty field, or a column that the file lacks) becomes `default` where `has_default`, else NULL
    where `nullable`; otherwise the record breaks the contract. `choices` are the only values allowed.
    A list has elements like `item`, a model the fields `inner`; `()` is the default that is an empty list.
    `validators` stand in the order in which pydantic has them; with `bounds_last` the bounds are of what they return and not of what they get.
    """

    name: str
    alias: str
    type: FieldType
    nullable: bool = False
    has_default: bool = False
    default: Value = None
    ge: Limit | None = None
    gt: Limit | None = None
    le: Limit | None = None
    lt: Limit | None = None
    multiple_of: int | float | Decimal | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    choices: tuple[str, ...] | tuple[int, ...] | None = None
    max_digits: int | None = None
    decimal_places: int | None = None
    is_finite: bool = False
    validators: tuple[Validator, ...] = ()
    bounds_last: bool = False
    item: ContractField | None = None
    inner: tuple[ContractField, ...] = ()

    @property
    def is_nested(self) -> bool:
        return self.item is not None or bool(self.inner)

    def has_stage(self, stage: Stage) -> bool:
        """Whether it has validators of a stage."""
        return any(validator.stage == stage for validator in self.validators)

    @property
    def sql_type(self) -> str:
        """The column's DuckDB type."""
        if self.item:
            return f"{self.item.sql_type}[]"
        if self.inner:
            return f"STRUCT({', '.join(f'{_quoted(one.name)} {one.sql_type}' for one in self.inner)})"
        if self.type != "Decimal":
            return _SQL_TYPES[self.type]
        return f"DECIMAL({self.precision},{self.scale})"

    @property
    def precision(self) -> int:
        return self.max_digits or 38

    @property
    def scale(self) -> int:
        return min(self.precision, 9) if self.decimal_places is None else self.decimal_places


@dataclass(frozen=True)
class Contract:
    """The columns of a dataset, in the model's order. With `forbids_others`, a file may have no column beside them."""

    name: str
    fields: tuple[ContractField, ...]
    forbids_others: bool = False

    @property
    def schema(self) -> Schema:
        return tuple(Column(f.name, f.sql_type, nullable=f.nullable or (f.has_default and f.default is None)) for f in self.fields)

    @property
    def digest(self) -> str:
        """The same for contracts that accept the same records, whatever they are called."""
        told = {"fields": [_told(f) for f in self.fields], "forbids_others": self.forbids_others}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _told(column: ContractField) -> dict[str, object]:
    """What differs from a bare field, as text; a constraint that is thought of later leaves old digests as they were.

    Of validators that is their names: what their code does is known to those who follow code.
    """
    return {f.name: _shown(getattr(column, f.name)) for f in fields(column) if getattr(column, f.name) != f.default}


def _shown(value: object) -> object:
    if isinstance(value, ContractField):
        return _told(value)
    if isinstance(value, tuple) and value and isinstance(value[0], ContractField):
        return [_shown(one) for one in value]
    return repr(value)


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
