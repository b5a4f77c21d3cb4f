"""Thrift's compact form, as far as Parquet's footers and headers of pages use it: the fields that are asked for, the others passed over.

The invariant: each element of a list takes a byte at least, so what is read is bounded by the bytes that are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Union

__all__ = ["Fields", "Thrift", "Wanted"]

_TRUE, _FALSE, _BYTE, _DOUBLE, _TEXT, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_DEEPEST = 12

Wanted = Mapping[int, "Wanted"]
Value = Union[int, "Fields", list["Value"]]
Fields = dict[int, Value]

_NOTHING: Wanted = {}


class Thrift:
    """Reads structs from bytes. IndexError where the bytes end before a struct does, ValueError for what is none."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def struct(self, wanted: Wanted, depth: int = 0) -> Fields:
        """The next struct: those of the wanted fields that are numbers, structs or lists, by their numbers."""
        if depth > _DEEPEST:
            raise ValueError
        fields: Fields = {}
        number = 0
        while (head := self._byte()) != 0:
            number = number + (head >> 4) if head >> 4 else self._whole()
            own = wanted.get(number)
            value = self._value(head & 15, _NOTHING if own is None else own, depth, is_wanted=own is not None)
            if own is not None and value is not None:
                fields[number] = value
        return fields

    def _value(self, kind: int, wanted: Wanted, depth: int, *, is_wanted: bool) -> Value | None:
        """Numbers, structs and lists; others are passed over."""
        if kind in (_TRUE, _FALSE):
            return None
        if _BYTE < kind < _DOUBLE:
            return self._whole()
        if kind == _STRUCT:
            return self.struct(wanted, depth + 1)
        if kind in (_LIST, _SET):
            return self._list(wanted, depth, is_wanted=is_wanted)
        lengths = {_BYTE: 1, _DOUBLE: 8}
        if kind not in lengths and kind != _TEXT:
            raise ValueError
        self._pass(lengths.get(kind) or self._varint())
        return None

    def _list(self, wanted: Wanted, depth: int, *, is_wanted: bool) -> list[Value]:
        head = self._byte()
        kind, found = head & 15, list[Value]()
        for _ in range(head >> 4 if head >> 4 < 15 else self._varint()):
            if kind in (_TRUE, _FALSE):
                self._byte()  # in a list a truth value has a byte of its own
                continue
            value = self._value(kind, wanted, depth + 1, is_wanted=is_wanted)
            if is_wanted and value is not None:
                found.append(value)
        return found

    def _pass(self, length: int) -> None:
        if self.at + length > len(self._data):
            raise IndexError
        self.at += length

    def _byte(self) -> int:
        self.at += 1
        return self._data[self.at - 1]

    def _varint(self) -> int:
        found = shift = 0
        while True:
            byte = self._byte()
            found |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return found
            if shift > 63:
                raise ValueError

    def _whole(self) -> int:
        found = self._varint()
        return (found >> 1) ^ -(found & 1)
