"""The headers of a column's pages, which say how many values lie in it, whatever the footer says.

Only the headers are read, in Thrift's compact form; what is in the pages is the parser's. The invariant: where a footer agrees with itself
but not with the pages that are there, no row is lost in silence: the file is refused.
"""

from __future__ import annotations

from typing import BinaryIO, Union

from pyarrow import parquet

from headrace.backends.sources.parquet.footer import begin_of
from headrace.core.errors import SourceError

__all__ = ["check_pages"]

_FEW_BYTES, _MOST_BYTES = 4096, 1024 * 1024
_PAGE_SIZE, _VALUES = 3, 1  # fields of Parquet's PageHeader, and of the headers in it
_ENCODING = {5: 2, 8: 4}  # the header of a data page, of either version, and its field of the encoding
_DICTIONARIES = {2, 8}
_TRUE, _FALSE, _BYTE, _DOUBLE, _TEXT, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_DEEPEST = 8

Fields = dict[int, Union[int, "Fields"]]


def check_pages(file: BinaryIO, metadata: parquet.FileMetaData, number: int, name: str) -> list[str]:
    """SourceError where a flat column of a row group has other than the values that the footer says.

    The columns of texts or bytes all of whose values are in a dictionary: what is short in the file may be long in memory.
    """
    group, found = metadata.row_group(number), []
    for at in range(group.num_columns):
        column = group.column(at)
        if metadata.schema.column(at).max_repetition_level:
            continue  # there a row may have many values
        values, encodings = _values_in(file, column, name)
        if values != group.num_rows:
            raise SourceError(
                f"`{name}` has a footer that lies: row group {number + 1} has {group.num_rows} rows by the footer, and the pages of its column "
                f"`{column.path_in_schema}` have {values} values. Fetch it again."
            )
        if encodings <= _DICTIONARIES and column.physical_type == "BYTE_ARRAY":
            found.append(str(column.path_in_schema))
    return found


def _values_in(file: BinaryIO, column: parquet.ColumnChunkMetaData, name: str) -> tuple[int, set[int]]:
    """How many values the pages of a column have, and in which encodings."""
    place, values, encodings = begin_of(column), 0, set[int]()
    end = place + column.total_compressed_size
    while place < end:
        header, length = _header_at(file, place, name)
        size = header.get(_PAGE_SIZE)
        if not isinstance(size, int) or size < 0:
            raise _damaged(name, place)
        for kind, own in _ENCODING.items():
            data = header.get(kind)
            if isinstance(data, dict):
                counted, encoding = data.get(_VALUES), data.get(own)
                if not isinstance(counted, int) or counted < 0 or not isinstance(encoding, int):
                    raise _damaged(name, place)
                values += counted
                encodings.add(encoding)
        place += length + size
    return values, encodings


def _header_at(file: BinaryIO, place: int, name: str) -> tuple[Fields, int]:
    """The header of the page that begins at a place, and its length."""
    for most in (_FEW_BYTES, _MOST_BYTES):
        file.seek(place)
        thrift = _Thrift(file.read(most))
        try:
            return thrift.struct(), thrift.at
        except (IndexError, ValueError):
            continue
    raise _damaged(name, place)


def _damaged(name: str, place: int) -> SourceError:
    return SourceError(f"`{name}` is damaged: the page at byte {place} has no header that can be read. Fetch it again.")


class _Thrift:
    """Reads structs from bytes. IndexError where the bytes end before a struct does, ValueError for what is none."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def struct(self, depth: int = 0) -> Fields:
        if depth > _DEEPEST:
            raise ValueError
        fields: Fields = {}
        number = 0
        while (head := self._byte()) != 0:
            number = number + (head >> 4) if head >> 4 else self._whole()
            value = self._value(head & 15, depth)
            if value is not None:
                fields[number] = value
        return fields

    def _value(self, kind: int, depth: int) -> int | Fields | None:
        """Numbers and structs; others are passed over."""
        if kind in (_TRUE, _FALSE):
            return None
        if _BYTE < kind < _DOUBLE:
            return self._whole()
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind in (_LIST, _SET):
            head = self._byte()
            for _ in range(head >> 4 if head >> 4 < 15 else self._varint()):
                self._value(head & 15, depth + 1)
            return None
        lengths = {_BYTE: 1, _DOUBLE: 8}
        if kind not in lengths and kind != _TEXT:
            raise ValueError
        self._pass(lengths.get(kind) or self._varint())
        return None

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
