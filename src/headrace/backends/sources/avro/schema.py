"""Avro's schemas as Arrow's types, and what fastavro reads as values that Arrow takes.

fastavro is given the schema without its logical types, so that a date or a decimal that can't be one spoils its record and not its block.
The invariant: a value that Arrow's type can't hold is None, and said to be odd.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from uuid import UUID

import pyarrow as pa

from headrace.core.errors import SourceError

__all__ = ["Field", "OddError", "fields_of", "plain_schema"]

_PRIMITIVES: Mapping[str, pa.DataType] = {
    "null": pa.null(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "bytes": pa.binary(),
    "string": pa.string(),
}
_LOGICAL: Mapping[tuple[str, str], pa.DataType] = {
    ("int", "date"): pa.date32(),
    ("int", "time-millis"): pa.time32("ms"),
    ("long", "time-micros"): pa.time64("us"),
    ("long", "timestamp-millis"): pa.timestamp("ms", "UTC"),
    ("long", "timestamp-micros"): pa.timestamp("us", "UTC"),
    ("long", "timestamp-nanos"): pa.timestamp("ns", "UTC"),
    ("long", "local-timestamp-millis"): pa.timestamp("ms"),
    ("long", "local-timestamp-micros"): pa.timestamp("us"),
    ("long", "local-timestamp-nanos"): pa.timestamp("ns"),
}
_DAY = {pa.time32("ms"): 86_400_000, pa.time64("us"): 86_400_000_000}
_MOST_DIGITS, _DEEPEST = 76, 32
_EXACT = Context(prec=_MOST_DIGITS)

Value = Callable[[object], object]


class OddError(ValueError):
    """Why a value is none of its type, in words that follow the column's name; and what can be shown of a text."""

    def __init__(self, words: str, shown: str | None = None) -> None:
        super().__init__(words)
        self.shown = shown


@dataclass(frozen=True)
class Field:
    """One column: its Arrow type, and how a value that fastavro read becomes one that Arrow takes (None: it does as it is)."""

    name: str
    type: pa.DataType
    value: Value | None


def fields_of(schema: object, file: str) -> tuple[Field, ...]:
    """The columns of a file. SourceError for a schema whose records have none, that has no sense, or that has no end."""
    if not isinstance(schema, Mapping) or schema.get("type") != "record" or not schema.get("fields"):
        raise SourceError(f"`{file}` does not hold records with fields: its schema is {json.dumps(schema)[:80]}.")
    try:
        return _Reader(file).record(schema, ())
    except RecursionError:
        raise SourceError(f"`{file}` has a schema without end: a type in it is made of itself.") from None


def plain_schema(schema: object) -> object:
    """The same without logical types, by which fastavro would make values that may not be."""
    if isinstance(schema, Mapping):
        return {key: plain_schema(value) for key, value in schema.items() if key not in ("logicalType", "default", "aliases")}
    return [plain_schema(part) for part in schema] if isinstance(schema, list) else schema


class _Reader:
    """Reads a schema from the outside in, knowing the names that it has come by."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._named: dict[str, Mapping[str, object]] = {}

    def record(self, schema: Mapping[str, object], inside: Sequence[str]) -> tuple[Field, ...]:
        inside = (*inside, self._name(schema))
        return tuple(self._field(field, inside) for field in _fields(schema))

    def _field(self, field: object, inside: Sequence[str]) -> Field:
        if not isinstance(field, Mapping) or not isinstance(field.get("name"), str):
            raise SourceError(f"`{self._file}` has a schema with a field that has no name: {json.dumps(field)[:80]}.")
        return Field(field["name"], *self.type(field.get("type"), inside))

    def type(self, schema: object, inside: Sequence[str]) -> tuple[pa.DataType, Value | None]:
        if len(inside) > _DEEPEST:
            raise SourceError(f"`{self._file}` has a schema that is nested more than {_DEEPEST} times.")
        if isinstance(schema, list):
            return self._union(schema, inside)
        if isinstance(schema, str):
            if schema in _PRIMITIVES:
                return _PRIMITIVES[schema], _text if schema == "string" else None
            return self._by_name(schema, inside)
        if not isinstance(schema, Mapping):
            raise SourceError(f"`{self._file}` has a schema that can't be read: {json.dumps(schema)[:80]}.")
        return self._complex(schema, inside)

    def _complex(self, schema: Mapping[str, object], inside: Sequence[str]) -> tuple[pa.DataType, Value | None]:
        kind, logical = schema.get("type"), schema.get("logicalType")
        if isinstance(schema.get("name"), str):
            self._named[self._name(schema)] = schema
        if kind == "record":
            return _struct(self.record(schema, inside))
        if kind == "array":
            inner, value = self.type(schema.get("items"), (*inside, ""))
            self._check_width(schema.get("items"))
            return pa.list_(inner), _each(value)
        if kind == "map":
            inner, value = self.type(schema.get("values"), (*inside, ""))
            return pa.map_(pa.string(), inner), _pairs(value)
        if logical == "decimal" and kind in ("bytes", "fixed"):
            return _decimal(schema)
        if kind == "fixed":
            return (pa.string(), _uuid) if logical == "uuid" and schema.get("size") == 16 else (pa.binary(), None)
        if kind == "enum":
            return pa.string(), _text
        found = _LOGICAL.get((str(kind), str(logical)))
        if found is not None:
            return found, _time_of_day(_DAY[found]) if found in _DAY else None
        return self.type(kind, inside)

    def _by_name(self, name: str, inside: Sequence[str]) -> tuple[pa.DataType, Value | None]:
        known = self._named.get(name) or self._named.get(name.rpartition(".")[2])
        if known is None:
            raise SourceError(f"`{self._file}` has a schema with the type `{name}`, which it does not define.")
        if self._name(known) in inside:
            return pa.string(), _json  # a record inside itself has no type of columns
        return self._complex(known, inside)

    def _union(self, parts: list[object], inside: Sequence[str]) -> tuple[pa.DataType, Value | None]:
        others = [part for part in parts if part != "null"]
        if not others:
            return pa.null(), None
        found = [self.type(part, inside) for part in others]
        types = [type_ for type_, _ in found]
        if len(found) == 1:
            type_, value = found[0]
            return type_, value and _or_none(value)
        for widest in (pa.int64(), pa.float64()):
            if set(types) <= {widest, pa.int32() if widest == pa.int64() else pa.float32()}:
                return widest, None
        return pa.string(), _or_none(_any)

    def _check_width(self, items: object) -> None:
        """Items without a byte could be as many as a number can say."""
        kind = items.get("type") if isinstance(items, Mapping) else items
        if kind == "null" or (isinstance(items, Mapping) and kind == "record" and not any(_has_width(f) for f in _fields(items))):
            raise SourceError(f"`{self._file}` has a schema with an array whose items have no bytes, which is not read.")

    @staticmethod
    def _name(schema: Mapping[str, object]) -> str:
        return str(schema.get("name", "")).rpartition(".")[2]


def _fields(schema: Mapping[str, object]) -> list[object]:
    """The fields of a record; none where it names something else so, which fastavro refuses."""
    fields = schema.get("fields")
    return fields if isinstance(fields, list) else []


def _has_width(field: object) -> bool:
    return isinstance(field, Mapping) and field.get("type") != "null"


def _struct(fields: Sequence[Field]) -> tuple[pa.DataType, Value]:
    def value(record: object) -> object:
        assert isinstance(record, Mapping)
        return {f.name: record[f.name] if f.value is None else f.value(record[f.name]) for f in fields}

    return pa.struct([(field.name, field.type) for field in fields]), value


def _each(value: Value | None) -> Value | None:
    def items(found: object) -> object:
        assert isinstance(found, Iterable)
        assert value is not None
        return [value(item) for item in found]

    return items if value else None


def _pairs(value: Value | None) -> Value:
    def pairs(found: object) -> object:
        assert isinstance(found, Mapping)
        return [(_text(key), value(item) if value else item) for key, item in found.items()]

    return pairs


def _or_none(value: Value) -> Value:
    return lambda found: None if found is None else value(found)


def _text(value: object) -> object:
    """A text in which bytes that are not UTF-8 were escaped is none."""
    assert isinstance(value, str)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            shown = value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            raise OddError("is not UTF-8", shown) from None
    return value


def _uuid(value: object) -> object:
    assert isinstance(value, bytes)
    return str(UUID(bytes=value))


def _decimal(schema: Mapping[str, object]) -> tuple[pa.DataType, Value | None]:
    precision, scale = schema.get("precision"), schema.get("scale", 0)
    if not isinstance(precision, int) or not isinstance(scale, int) or not 0 <= scale <= precision or not 0 < precision <= _MOST_DIGITS:
        return pa.binary(), None  # as the specification says of what is no decimal

    def value(found: object) -> object:
        assert isinstance(found, bytes)
        unscaled = int.from_bytes(found, "big", signed=True)
        if abs(unscaled) >= 10**precision:
            raise OddError(f"is not a decimal number of {precision} digits")
        return Decimal(unscaled).scaleb(-scale, _EXACT)

    return (pa.decimal128 if precision <= 38 else pa.decimal256)(precision, scale), value


def _time_of_day(day: int) -> Value:
    def value(found: object) -> object:
        if found is not None and not (isinstance(found, int) and 0 <= found < day):
            raise OddError("is not a time of day")
        return found

    return value


def _any(value: object) -> object:
    """A value of a union of many types, as text."""
    if isinstance(value, str):
        return _text(value)
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else _json(value)


def _json(value: object) -> object:
    return (
        None
        if value is None
        else _text(json.dumps(value, ensure_ascii=False, default=lambda odd: odd.hex() if isinstance(odd, bytes) else str(odd)))
    )
