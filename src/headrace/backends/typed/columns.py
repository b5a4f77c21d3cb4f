"""Arrow's types as the few kinds that casts tell apart, and columns in the form in which DuckDB reads them.

Nothing here casts to a contract: `core.typed_casts` does. The invariant: what `settled` changes is a value's form, never what it says, but
for the nanoseconds of a time, a time of day or a duration, which are cut as those of texts are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from headrace.core.casts import literal
from headrace.core.contract import ContractField, ValueType
from headrace.core.nested_casts import Form
from headrace.core.typed_casts import BEYOND, Kind

__all__ = ["TypedColumn", "columns_of", "inferred", "kind_of", "settled"]

_MOST_DIGITS = 38
_FARTHEST_MICROSECONDS, _FARTHEST_DAY = 2**62, 50_000_000  # 146,000 years away, and 137,000


@dataclass(frozen=True)
class TypedColumn:
    """One column of a file, or a field inside a nested one by its dotted path: `sql` finds it in a batch, whose columns are `c0`, `c1`, …"""

    name: str
    kind: Kind
    sql: str
    scale: int = 0
    parent: str | None = None
    form: Form = field(default=Form("nothing"))


def columns_of(schema: pa.Schema) -> tuple[TypedColumn, ...]:
    """All columns of a file; after each that is nested, the fields inside it."""
    return tuple(column for n, field in enumerate(schema) for column in _with_fields(field.name, field.type, f"c{n}", None))


def kind_of(type_: pa.DataType) -> Kind:
    """The kind of a type; `nothing` for types that no contract can take."""
    if isinstance(type_, pa.BaseExtensionType):
        return "text" if type_.extension_name == "arrow.uuid" else kind_of(type_.storage_type)
    if types.is_dictionary(type_):
        return kind_of(type_.value_type)
    if types.is_decimal(type_):
        return "exact" if type_.precision <= _MOST_DIGITS else "text"
    if types.is_timestamp(type_):
        return "instant" if type_.tz else "naive"
    return next((kind for kind, tests in _TESTS.items() if any(test(type_) for test in tests)), "nothing")


_TESTS: dict[Kind, tuple[types.types_check, ...]] = {
    "text": (types.is_string, types.is_large_string, types.is_string_view),
    "whole": (types.is_integer,),
    "real": (types.is_floating,),
    "truth": (types.is_boolean,),
    "day": (types.is_date,),
    "clock": (types.is_time,),
    "span": (types.is_duration,),
    "bytes": (types.is_binary, types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary),
    "nested": (types.is_struct, types.is_list, types.is_large_list, types.is_fixed_size_list, types.is_map),
}


def inferred(column: TypedColumn) -> ContractField | None:
    """The field of a file that has no contract: its own type, or None where a contract has none for it."""
    name = column.name
    field = _inferred(name, column.form)
    return field or (ContractField(name, name, "str", nullable=True) if column.kind == "nested" else None)


def _inferred(name: str, form: Form) -> ContractField | None:
    """The field of a form; None for a list or a struct with a part that has none."""
    if form.item:
        item = _inferred("", form.item)
        return ContractField(name, name, "list", nullable=True, item=item) if item else None
    if form.inner:
        inner = tuple(part for own, one in form.inner if own and (part := _inferred(own, one)))
        is_told = len(inner) == len(form.inner) == len({part.name.casefold() for part in inner})
        return ContractField(name, name, "model", nullable=True, inner=inner) if is_told else None
    if form.kind == "exact":
        return ContractField(name, name, "Decimal", nullable=True, max_digits=form.precision, decimal_places=form.scale)
    type_ = _INFERRED.get(form.kind)
    return ContractField(name, name, type_, nullable=True) if type_ else None


_INFERRED: dict[Kind, ValueType] = {
    "text": "str",
    "whole": "int",
    "real": "float",
    "truth": "bool",
    "day": "date",
    "naive": "datetime",
    "instant": "datetime",
    "clock": "time",
    "span": "str",
}


def settled(array: pa.Array, *, keeps_spans: bool = False) -> pa.Array:
    """A column as DuckDB can read it, and as its kind says. Names and lengths stay; with `keeps_spans` durations are what they are."""
    type_ = array.type
    if isinstance(type_, pa.BaseExtensionType):
        if type_.extension_name != "arrow.uuid":
            return settled(array.storage, keeps_spans=keeps_spans)
        return pa.array([None if raw is None else str(UUID(bytes=raw)) for raw in array.storage.to_pylist()], pa.string())
    if types.is_dictionary(type_):
        return settled(array.dictionary_decode(), keeps_spans=keeps_spans)
    if types.is_float16(type_):
        return array.cast(pa.float32())
    if types.is_decimal256(type_):
        return array.cast(pa.decimal128(type_.precision, type_.scale) if type_.precision <= _MOST_DIGITS else pa.string())
    if types.is_timestamp(type_):
        return _time(array, type_.unit)
    if types.is_date(type_):
        return _day(array)
    if types.is_time64(type_) and type_.unit == "ns":
        return array.cast(pa.time64("us"), safe=False)
    if types.is_duration(type_):
        return array if keeps_spans else _span(array, type_.unit)
    if kind_of(type_) == "nested" and not types.is_map(type_):
        return _with_settled_parts(array, keeps_spans=keeps_spans)
    return pa.nulls(len(array)) if kind_of(type_) == "nothing" else array


def _with_settled_parts(array: pa.Array, *, keeps_spans: bool) -> pa.Array:
    """A list or a struct with all that is in it as DuckDB can read it."""
    type_ = array.type
    if types.is_struct(type_):
        parts = [settled(array.field(n), keeps_spans=keeps_spans) for n in range(type_.num_fields)]
        fields = [pa.field(own.name, part.type) for own, part in zip(type_, parts, strict=True)]
        return pa.StructArray.from_arrays(parts, fields=fields, mask=array.is_null()) if fields else array
    if types.is_fixed_size_list(type_):
        array = array.cast(pa.list_(type_.value_type))
    kind = pa.LargeListArray if types.is_large_list(array.type) else pa.ListArray
    offsets = pc.subtract(array.offsets, array.offsets[0])
    items = settled(array.values.slice(array.offsets[0].as_py(), offsets[-1].as_py()), keeps_spans=keeps_spans)
    return kind.from_arrays(offsets, items, mask=array.is_null())


def _form_of(type_: pa.DataType) -> Form:
    """What a type holds, as casts tell it."""
    if isinstance(type_, pa.BaseExtensionType) and type_.extension_name != "arrow.uuid":
        return _form_of(type_.storage_type)
    if types.is_dictionary(type_):
        return _form_of(type_.value_type)
    kind = kind_of(type_)
    if types.is_list(type_) or types.is_large_list(type_) or types.is_fixed_size_list(type_):
        return Form(kind, item=_form_of(type_.value_type))
    if types.is_struct(type_):
        return Form(kind, inner=tuple((own.name, _form_of(own.type)) for own in type_))
    return Form(kind, type_.scale, type_.precision) if kind == "exact" else Form(kind)


def _time(array: pa.Array, unit: str) -> pa.Array:
    """Microseconds. What lies far outside any calendar stays outside, at a time that DuckDB can carry."""
    if unit == "ns":
        return pc.floor_temporal(array.view(pa.timestamp("ns")), unit="microsecond").cast(pa.timestamp("us"), safe=False)
    most = _FARTHEST_MICROSECONDS // {"s": 1_000_000, "ms": 1000, "us": 1}[unit]
    return _between(array.view(pa.int64()), most).view(pa.timestamp(unit)).cast(pa.timestamp("us"))


def _span(array: pa.Array, unit: str) -> pa.Array:
    """Microseconds; nanoseconds are cut, and what is too long for microseconds is BEYOND."""
    numbers = array.view(pa.int64())
    if unit == "ns":
        return pc.divide(numbers, 1000)
    each = {"s": 1_000_000, "ms": 1000, "us": 1}[unit]
    most = (2**63 - 1) // each
    is_in = pc.and_(pc.less_equal(numbers, most), pc.greater_equal(numbers, -most))
    return pc.if_else(is_in, pc.multiply(numbers, each), pa.scalar(BEYOND, pa.int64()))


def _day(array: pa.Array) -> pa.Array:
    if types.is_date64(array.type):
        array = _between(array.view(pa.int64()), _FARTHEST_DAY * 86_400_000).view(pa.timestamp("ms")).cast(pa.date32(), safe=False)
    return _between(array.view(pa.int32()), _FARTHEST_DAY).view(pa.date32())


def _between(numbers: pa.Array, most: int) -> pa.Array:
    low, high = pa.scalar(-most, numbers.type), pa.scalar(most, numbers.type)
    return pc.max_element_wise(pc.min_element_wise(numbers, high, skip_nulls=False), low, skip_nulls=False)


def _with_fields(name: str, type_: pa.DataType, sql: str, parent: str | None) -> Iterator[TypedColumn]:
    form = _form_of(type_)
    yield TypedColumn(name, form.kind, sql, form.scale, parent, form)
    if types.is_struct(type_):
        for field in type_:
            yield from _with_fields(f"{name}.{field.name}", field.type, f"struct_extract({sql}, {literal(field.name)})", parent or name)
