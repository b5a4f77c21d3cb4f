"""The footer of a Parquet file: found at the end of bytes that land, checked, and counted.

It is kept while the bytes pass, so a file is read once. The invariant: what is counted is the sum of the row groups, each of whose columns
has as many values as it has rows at least, and lies inside the file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from headrace.backends.sources.parquet.thrift import Fields, Thrift, Wanted
from headrace.core.errors import SourceError

__all__ = ["UNREADABLE", "Chunk", "FooterCounter", "chunks_in", "chunks_of"]

_MAGIC, _ENCRYPTED = b"PAR1", b"PARE"
_MOST_FOOTER_BYTES = 32 * 1024 * 1024
_MAX_COLUMNS = 10_000

UNREADABLE = (pa.ArrowException, OSError, UnicodeDecodeError)  # what PyArrow raises for damage; the last for a name that is no text


_GROUPS, _ENCRYPTION = 4, 8  # fields of Parquet's FileMetaData,
_COLUMNS = 1  # of its RowGroup,
_TOLD, _CRYPTO = 3, 8  # of its ColumnChunk,
_VALUES, _SIZE, _DATA, _DICTIONARY = 5, 7, 9, 11  # and of its ColumnMetaData
_COLUMN: Wanted = {_TOLD: {_VALUES: {}, _SIZE: {}, _DATA: {}, _DICTIONARY: {}}, _CRYPTO: {}}
_FILE: Wanted = {_GROUPS: {_COLUMNS: _COLUMN}, _ENCRYPTION: {}}


@dataclass(frozen=True)
class Chunk:
    """A column of a row group: how many values it has, at which byte it begins, and how many bytes it is long."""

    values: int
    begin: int
    size: int


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
        except UNREADABLE as error:
            raise SourceError(f"`{self._file}` has a footer that can't be read: {_first_line(error)} Fetch it again.") from None
        return check_footer(metadata, chunks_of(footer, self._file), self._file, self._size - len(footer))

    def _footer(self, tail: bytes) -> bytes:
        """The footer with its length and magic."""
        if _ENCRYPTED in (self._start[:4], tail[-4:]):
            raise _encrypted(self._file)
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


def chunks_in(path: Path, file: str) -> list[list[Chunk]]:
    """Where each column of each row group of a file lies that was counted before."""
    with path.open("rb") as opened:
        opened.seek(-8, 2)
        length = int.from_bytes(opened.read(4), "little")
        opened.seek(-8 - length, 2)
        return chunks_of(opened.read(), file)


def chunks_of(footer: bytes, file: str) -> list[list[Chunk]]:
    """Where each column of each row group lies, by a footer with its length and magic; SourceError where it does not say.

    PyArrow knows it too, but ends the process, and not the call, for a column of which the footer tells what can't be
    (`RowGroupMetaData.column`, seen with 26.0).
    """
    try:
        told = Thrift(footer[:-8]).struct(_FILE)
        if _ENCRYPTION in told:
            raise _encrypted(file)
        return [[_chunk(column, file) for column in _structs(group.get(_COLUMNS))] for group in _structs(told.get(_GROUPS))]
    except SourceError:
        raise
    except (IndexError, ValueError, KeyError, TypeError):
        raise SourceError(f"`{file}` has a footer that can't be read: it does not say where its columns lie. Fetch it again.") from None


def _structs(found: object) -> list[Fields]:
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise TypeError
    return found


def _chunk(column: Fields, file: str) -> Chunk:
    if _CRYPTO in column:
        raise _encrypted(file)
    told = column[_TOLD]
    if not isinstance(told, dict):
        raise TypeError
    values, size, begin, dictionary = (told[_VALUES], told[_SIZE], told[_DATA], told.get(_DICTIONARY, 0))
    if not (isinstance(values, int) and isinstance(size, int) and isinstance(begin, int) and isinstance(dictionary, int)):
        raise TypeError
    return Chunk(values, min(begin, dictionary) if dictionary else begin, size)


def _encrypted(file: str) -> SourceError:
    return SourceError(f"`{file}` is an encrypted Parquet file, and no keys are known. Decrypt it where it is made.")


def check_footer(metadata: parquet.FileMetaData, chunks: Sequence[Sequence[Chunk]], file: str, end: int) -> int:
    """The number of records; SourceError when the footer contradicts itself or the file, whose data end at a byte."""
    if not metadata.num_columns:
        raise SourceError(f"`{file}` has no columns.")
    if metadata.num_columns > _MAX_COLUMNS:
        raise SourceError(f"`{file}` has {metadata.num_columns} columns, and {_MAX_COLUMNS} is the most that is read.")
    if len(chunks) != metadata.num_row_groups or any(len(group) != metadata.num_columns for group in chunks):
        raise SourceError(f"`{file}` has a footer that lies: a row group has other columns than the file. Fetch it again.")
    counted = 0
    for number, group in enumerate(chunks):
        rows = metadata.row_group(number).num_rows
        _check_group(metadata, rows, group, number, file, end)
        counted += rows
    if counted != metadata.num_rows:
        raise SourceError(
            f"`{file}` has a footer that lies: it says {metadata.num_rows} rows, and its row groups have {counted} in all. Fetch it again."
        )
    return counted


def _check_group(metadata: parquet.FileMetaData, rows: int, chunks: Sequence[Chunk], number: int, file: str, end: int) -> None:
    if rows < 0:
        raise SourceError(f"`{file}` has a footer that lies: row group {number + 1} has {rows} rows. Fetch it again.")
    for at, chunk in enumerate(chunks):
        column = metadata.schema.column(at)
        if rows and (chunk.begin < len(_MAGIC) or chunk.size < 0 or chunk.begin + chunk.size > end):
            raise SourceError(
                f"`{file}` has a footer that lies: row group {number + 1} has its column `{column.path}` at byte {chunk.begin}, "
                f"{chunk.size} bytes long, and the data end at byte {end}. Fetch it again."
            )
        if chunk.values < rows or (column.max_repetition_level == 0 and chunk.values != rows):
            raise SourceError(
                f"`{file}` has a footer that lies: row group {number + 1} has {rows} rows, and its column "
                f"`{column.path}` has {chunk.values} values. Fetch it again."
            )


def _first_line(error: Exception) -> str:
    said = str(error).partition("\n")[0].rstrip(". ")
    return f"{said}."
