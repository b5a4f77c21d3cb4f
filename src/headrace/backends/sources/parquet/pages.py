"""The headers of a column's pages, which say how many values lie in it, whatever the footer says.

Only the headers are read, in Thrift's compact form; what is in the pages is the parser's. The invariant: where a footer agrees with itself
but not with the pages that are there, no row is lost in silence: the file is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

from pyarrow import parquet

from headrace.backends.sources.parquet.footer import Chunk
from headrace.backends.sources.parquet.thrift import Fields, Thrift, Wanted
from headrace.core.errors import SourceError

__all__ = ["check_pages"]

_FEW_BYTES, _MOST_BYTES = 4096, 1024 * 1024
_MOST_UNPACKED = 256 * 1024 * 1024  # pages are of 1 MiB, mostly
_UNPACKED_SIZE, _PAGE_SIZE, _VALUES = 2, 3, 1  # fields of Parquet's PageHeader, and of the headers in it
_ENCODING = {5: 2, 8: 4}  # the header of a data page, of either version, and its field of the encoding
_DICTIONARIES = {2, 8}
_HEADER: Wanted = {_UNPACKED_SIZE: {}, _PAGE_SIZE: {}, **{kind: {_VALUES: {}, own: {}} for kind, own in _ENCODING.items()}}


def check_pages(file: BinaryIO, metadata: parquet.FileMetaData, chunks: Sequence[Chunk], number: int, name: str) -> list[str]:
    """SourceError where a flat column of a row group has other than the values that the footer says, or a page of any unfolds to too much.

    The columns of texts or bytes all of whose values are in a dictionary: what is short in the file may be long in memory.
    """
    group, found = metadata.row_group(number), []
    for at, chunk in enumerate(chunks):
        column = metadata.schema.column(at)
        values, encodings = _values_in(file, chunk, name)
        if column.max_repetition_level:
            continue  # there a row may have many values
        if values != group.num_rows:
            raise SourceError(
                f"`{name}` has a footer that lies: row group {number + 1} has {group.num_rows} rows by the footer, and the pages of its column "
                f"`{column.path}` have {values} values. Fetch it again."
            )
        if encodings <= _DICTIONARIES and column.physical_type == "BYTE_ARRAY":
            found.append(str(column.path))
    return found


def _values_in(file: BinaryIO, chunk: Chunk, name: str) -> tuple[int, set[int]]:
    """How many values the pages of a column have, and in which encodings."""
    place, values, encodings = chunk.begin, 0, set[int]()
    end = place + chunk.size
    while place < end:
        header, length = _header_at(file, place, name)
        size = header.get(_PAGE_SIZE)
        if not isinstance(size, int) or size < 0:
            raise _damaged(name, place)
        unpacked = header.get(_UNPACKED_SIZE)
        if isinstance(unpacked, int) and unpacked > _MOST_UNPACKED:
            raise SourceError(
                f"`{name}` has a page at byte {place} that unfolds from {size} bytes to {unpacked >> 20} MiB, and {_MOST_UNPACKED >> 20} MiB is the most "
                "that is read. If it is no bomb, write the file again with smaller pages."
            )
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
        thrift = Thrift(file.read(most))
        try:
            return thrift.struct(_HEADER), thrift.at
        except (IndexError, ValueError):
            continue
    raise _damaged(name, place)


def _damaged(name: str, place: int) -> SourceError:
    return SourceError(f"`{name}` is damaged: the page at byte {place} has no header that can be read. Fetch it again.")
