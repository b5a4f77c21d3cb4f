"""Parquet files of the same columns made one, by their row groups as they are: nothing is read into values, or packed again.

The files are our own, written by DuckDB a task at a time. What changes is where things lie, so the places in their footers are moved; all else
that a footer tells is kept. The invariant: the file has the rows of its parts, in their order, and its bytes depend on theirs alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from headrace.backends.texts.thrift import Items, Struct, read, written

__all__ = ["join"]

_MAGIC = b"PAR1"
_SCHEMA, _ROWS, _GROUPS = 2, 3, 4  # fields of Parquet's FileMetaData,
_COLUMNS, _GROUP_BEGIN, _ORDINAL = 1, 5, 7  # of its RowGroup,
_CHUNK_PLACES, _TOLD = (2, 4, 6), 3  # of its ColumnChunk: the chunk, and its indexes,
_PLACES = (9, 10, 11, 14)  # and of its ColumnMetaData: pages of data, of an index, of a dictionary, and a Bloom filter
_CHUNK = 1024 * 1024


def join(parts: Sequence[Path], target: Path) -> None:
    """Make one file of several, which are gone afterwards. The only one is moved."""
    if len(parts) == 1:
        parts[0].replace(target)
        return
    whole = Struct()
    groups: list[Struct] = []
    rows = 0
    with target.open("wb") as out:
        out.write(_MAGIC)
        for part in parts:
            with part.open("rb") as file:
                footer, end = _footer(file)
                own = _moved(footer, by=out.tell() - len(_MAGIC))
                _copy(file, out, begin=len(_MAGIC), end=end)
            part.unlink()
            if groups and footer.fields[_SCHEMA] != whole.fields[_SCHEMA]:
                raise ValueError(f"{part} has other columns than the parts before it")
            whole = whole if groups else footer
            groups += own
            rows += footer.whole(_ROWS)
        for number, group in enumerate(groups):
            if _ORDINAL in group:
                group.put(_ORDINAL, number)
        whole.put(_ROWS, rows)
        whole.put(_GROUPS, Items(12, list(groups)))
        told = written(whole)
        out.write(told + len(told).to_bytes(4, "little") + _MAGIC)


def _footer(file: BinaryIO) -> tuple[Struct, int]:
    """What the footer tells, and where it begins."""
    end = file.seek(-8, 2)
    size = int.from_bytes(file.read(4), "little")
    begin = file.seek(end - size)
    return read(file.read(size)), begin


def _moved(footer: Struct, *, by: int) -> list[Struct]:
    """The row groups of a footer, which lie that much farther on. A place of 0 is none."""
    groups = footer.structs(_GROUPS)
    for group in groups:
        _move(group, (_GROUP_BEGIN,), by)
        for chunk in group.structs(_COLUMNS):
            _move(chunk, _CHUNK_PLACES, by)
            _move(chunk.struct(_TOLD), _PLACES, by)
    return groups


def _move(struct: Struct, places: Sequence[int], by: int) -> None:
    for place in places:
        if place in struct and struct.whole(place):
            struct.put(place, struct.whole(place) + by)


def _copy(file: BinaryIO, out: BinaryIO, *, begin: int, end: int) -> None:
    file.seek(begin)
    while begin < end:
        begin += out.write(file.read(min(_CHUNK, end - begin)))
