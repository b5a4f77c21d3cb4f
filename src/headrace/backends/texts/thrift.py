"""Thrift's compact form, whole: a struct is read with all of its fields, and written again as it was.

For footers of Parquet files that are our own; those of others are read by `sources.parquet.thrift`, which guards against what may be in them.
The invariant: what is read and written again is the same bytes, as long as they are as short as the form allows, which DuckDB's are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Union

__all__ = ["Items", "Struct", "read", "written"]

_TRUE, _FALSE, _BYTE, _DOUBLE, _TEXT, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12

Value = Union[int, bytes, "Struct", "Items"]


@dataclass
class Items:
    """Values of one kind."""

    kind: int
    values: list[Value]


@dataclass
class Struct:
    """Fields by number, in order: the kind and the value of each. A truth value is all in its kind."""

    fields: dict[int, tuple[int, Value]] = field(default_factory=dict[int, tuple[int, Value]])

    def __contains__(self, number: int) -> bool:
        return number in self.fields

    def whole(self, number: int) -> int:
        value = self.fields[number][1]
        assert isinstance(value, int)
        return value

    def struct(self, number: int) -> Struct:
        value = self.fields[number][1]
        assert isinstance(value, Struct)
        return value

    def structs(self, number: int) -> list[Struct]:
        items = self.fields[number][1]
        assert isinstance(items, Items)
        return [value for value in items.values if isinstance(value, Struct)]

    def put(self, number: int, value: Value) -> None:
        """Another value for a field that is there."""
        self.fields[number] = (self.fields[number][0], value)


def read(data: bytes) -> Struct:
    return _Reader(data).struct()


def written(struct: Struct) -> bytes:
    out = bytearray()
    _write_struct(out, struct)
    return bytes(out)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def struct(self) -> Struct:
        found, number = Struct(), 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else _signed(self._varint())
            found.fields[number] = (head & 15, self._value(head & 15))
        return found

    def _value(self, kind: int) -> Value:
        if kind in (_TRUE, _FALSE):
            return 0
        if kind == _BYTE:
            return self._byte()
        if kind == _DOUBLE:
            return self._bytes(8)
        if kind == _TEXT:
            return self._bytes(self._varint())
        if kind == _STRUCT:
            return self.struct()
        if kind in (_LIST, _SET):
            return self._items()
        return _signed(self._varint())

    def _items(self) -> Items:
        head = self._byte()
        count, kind = head >> 4 if head >> 4 < 15 else self._varint(), head & 15
        if kind in (_TRUE, _FALSE):
            return Items(kind, [self._byte() for _ in range(count)])
        return Items(kind, [self._value(kind) for _ in range(count)])

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _bytes(self, size: int) -> bytes:
        self._at += size
        return self._data[self._at - size : self._at]

    def _varint(self) -> int:
        found = shift = 0
        while (byte := self._byte()) > 127:
            found |= (byte & 127) << shift
            shift += 7
        return found | byte << shift


def _write_struct(out: bytearray, struct: Struct) -> None:
    before = 0
    for number, (kind, value) in struct.fields.items():
        if 0 < number - before < 16:
            out.append((number - before) << 4 | kind)
        else:
            out.append(kind)
            _write_varint(out, _unsigned(number))
        before = number
        if kind not in (_TRUE, _FALSE):
            _write(out, kind, value)
    out.append(0)


def _write(out: bytearray, kind: int, value: Value) -> None:
    if isinstance(value, Struct):
        _write_struct(out, value)
    elif isinstance(value, Items):
        _write_items(out, value)
    elif isinstance(value, bytes):
        if kind == _TEXT:
            _write_varint(out, len(value))
        out += value
    elif kind == _BYTE:
        out.append(value)
    else:
        _write_varint(out, _unsigned(value))


def _write_items(out: bytearray, items: Items) -> None:
    count = len(items.values)
    out.append(min(count, 15) << 4 | items.kind)
    if count >= 15:
        _write_varint(out, count)
    kind = _BYTE if items.kind in (_TRUE, _FALSE) else items.kind  # in a list a truth value has a byte of its own
    for value in items.values:
        _write(out, kind, value)


def _write_varint(out: bytearray, value: int) -> None:
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)


def _signed(value: int) -> int:
    return (value >> 1) ^ -(value & 1)


def _unsigned(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1
