"""The footer of a Parquet file: found at the end of bytes that land, checked, and counted.

It is kept while the bytes pass, so a file is read once. The invariant: what is counted is the sum of the row groups, each of whose columns
has as many values as it has rows at least, and lies inside the file.
"""

from __future__ import annotations

from collections import deque

import pyarrow as pa
from pyarrow import parquet

from headrace.core.errors import SourceError

__all__ = ["FooterCounter", "begin_of", "check_footer"]

_MAGIC, _ENCRYPTED = b"PAR1", b"PARE"
_MOST_FOOTER_BYTES = 32 * 1024 * 1024
_MAX_COLUMNS = 10_000


class FooterCounter:
    """Counts the records of one file from its footer, and refuses what is no Parquet file."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._start = b""
        self._tail: deque[bytes] = deque()
        self._kept, self._size = 0, 0

    def feed(self, chunk: bytes) -> None:
        if len(self._start) < len(_MAGIC):
            self._start = (self._start + chunk)[:64]
        self._tail.append(chunk)
        self._size += len(chunk)
        self._kept += len(chunk)
        while self._kept - len(self._tail[0]) > _MOST_FOOTER_BYTES:
            self._kept -= len(self._tail.popleft())

    def finish(self) -> int:
        if not self._size:
            raise SourceError(f"`{self._file}` is empty: it has no bytes, not even a footer.")
        footer = self._footer(b"".join(self._tail))
        try:
            metadata = parquet.read_metadata(pa.BufferReader(_MAGIC + footer))
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"`{self._file}` has a footer that can't be read: {_first_line(error)} Fetch it again.") from None
        return check_footer(metadata, self._file, self._size, len(footer))

    def _footer(self, tail: bytes) -> bytes:
        """The footer with its length and magic."""
        if _ENCRYPTED in (self._start[:4], tail[-4:]):
            raise SourceError(f"`{self._file}` is an encrypted Parquet file, and no keys are known. Decrypt it where it is made.")
        if self._start[:4] != _MAGIC:
            raise SourceError(
                f"`{self._file}` is not a Parquet file: it begins with {self._start[:16]!r} instead of {_MAGIC!r}. Fetch it again, or say its format."
            )
        if self._size < 12 or tail[-4:] != _MAGIC:
            raise SourceError(
                f"`{self._file}` was cut short: it begins as a Parquet file and has no footer at its end (byte {self._size}). Fetch it again."
            )
        length = int.from_bytes(tail[-8:-4], "little")
        if length > self._size - 12:
            raise SourceError(
                f"`{self._file}` is damaged: its footer would have {length} bytes, and the file has {self._size}. Fetch it again."
            )
        if length + 8 > len(tail):
            raise SourceError(f"`{self._file}` has a footer of {length} bytes, and {_MOST_FOOTER_BYTES} is the most that is read.")
        return tail[-8 - length :]


def check_footer(metadata: parquet.FileMetaData, file: str, size: int, footer_bytes: int) -> int:
    """The number of records; SourceError when the footer contradicts itself or the file."""
    if not metadata.num_columns:
        raise SourceError(f"`{file}` has no columns.")
    if metadata.num_columns > _MAX_COLUMNS:
        raise SourceError(f"`{file}` has {metadata.num_columns} columns, and {_MAX_COLUMNS} is the most that is read.")
    counted = 0
    for number in range(metadata.num_row_groups):
        _check_group(metadata, number, file, size - footer_bytes)
        counted += metadata.row_group(number).num_rows
    if counted != metadata.num_rows:
        raise SourceError(
            f"`{file}` has a footer that lies: it says {metadata.num_rows} rows, and its row groups have {counted} in all. Fetch it again."
        )
    return counted


def _check_group(metadata: parquet.FileMetaData, number: int, file: str, end: int) -> None:
    group = metadata.row_group(number)
    if group.num_rows < 0:
        raise SourceError(f"`{file}` has a footer that lies: row group {number + 1} has {group.num_rows} rows. Fetch it again.")
    for at in range(group.num_columns):
        column, is_flat = group.column(at), metadata.schema.column(at).max_repetition_level == 0
        begin, size = begin_of(column), column.total_compressed_size
        if group.num_rows and (begin < len(_MAGIC) or size < 0 or begin + size > end):
            raise SourceError(
                f"`{file}` has a footer that lies: row group {number + 1} has its column `{column.path_in_schema}` at byte {begin}, "
                f"{size} bytes long, and the data end at byte {end}. Fetch it again."
            )
        if column.num_values < group.num_rows or (is_flat and column.num_values != group.num_rows):
            raise SourceError(
                f"`{file}` has a footer that lies: row group {number + 1} has {group.num_rows} rows, and its column "
                f"`{column.path_in_schema}` has {column.num_values} values. Fetch it again."
            )


def begin_of(column: parquet.ColumnChunkMetaData) -> int:
    """Where the bytes of a column of a row group begin."""
    first: int = column.data_page_offset
    if column.has_dictionary_page and column.dictionary_page_offset:
        first = min(first, column.dictionary_page_offset)
    return first


def _first_line(error: Exception) -> str:
    said = str(error).partition("\n")[0].rstrip(". ")
    return f"{said}."
