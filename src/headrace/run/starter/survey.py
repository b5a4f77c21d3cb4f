"""What a CSV file seems to hold: names, types and a few counts of its columns, from a bounded sample of its records.

Used to write a first contract, never to read data: what a run accepts is said by the contract alone. The invariant: all
values of the sample have the type that is reported, but for those counted as `misfits`, of which there are one in a hundred
at most: real files have a `$9.28` among their numbers, and a run puts its row in quarantine.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import IO, Literal

from headrace.core.errors import SourceError

__all__ = ["ColumnType", "Survey", "SurveyedColumn", "survey"]

ColumnType = Literal["int", "float", "bool", "date", "datetime", "str"]

_INTEGER = re.compile(r"[+-]?(0|[1-9]\d{0,17})")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
_CODE = re.compile(r"0\d+|\d{19,}")  # digits that are no number: 007, a card's number
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?")
_NARROWEST_FIRST: tuple[ColumnType, ...] = ("bool", "int", "float", "date", "datetime")
_DELIMITERS = ",;\t|"
_FIELD_LIMIT = 1 << 24
_UNPACKING = (lzma.LZMAError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class SurveyedColumn:
    """One column of the sample. Only `empty` counts empty fields; `commonest` is the count of the most frequent value.

    `is_run` says that its values are integers without a hole between the least and the greatest.
    """

    header: str
    type: ColumnType
    misfits: int
    empty: int
    distinct: int
    commonest: int
    longest: int
    is_run: bool

    @property
    def is_constant(self) -> bool:
        return self.distinct <= 1


@dataclass(frozen=True)
class Survey:
    """A file's columns, in its order. `records` is the size of the sample, which is the whole file if `is_whole`."""

    path: Path
    delimiter: str
    columns: tuple[SurveyedColumn, ...]
    records: int
    is_whole: bool


def survey(path: Path, *, limit: int = 20_000) -> Survey:
    """Look at the first `limit` records of a CSV file (plain or packed, UTF-8, with a header).

    Records with more or fewer fields than the header are passed over: a run puts them in quarantine. SourceError when the
    file is missing, empty, not text, or has two columns of one name.
    """
    try:
        with _opened(path) as file:
            delimiter = _delimiter(file.readline())
            file.seek(0)
            csv.field_size_limit(_FIELD_LIMIT)
            reader = csv.reader(file, delimiter=delimiter)
            header = next(reader, [])
            records = list(islice((r for r in reader if len(r) == len(header)), limit + 1))
    except FileNotFoundError:
        raise SourceError(f"Looking at `{path}` for its columns: there is no such file.") from None
    except OSError as error:
        if error.errno:
            raise
        raise SourceError(f"Looking at `{path}` for its columns: it can't be unpacked ({error}).") from error
    except (UnicodeDecodeError, csv.Error, *_UNPACKING, EOFError) as error:
        raise SourceError(f"Looking at `{path}` for its columns: it is not CSV text in UTF-8 ({error}).") from error
    _check_header(path, header, records)
    sample = records[:limit]
    columns = tuple(_surveyed(name, [r[i] for r in sample]) for i, name in enumerate(header))
    return Survey(path, delimiter, columns, len(sample), is_whole=len(records) <= limit)


def _opened(path: Path) -> IO[str]:
    return io.TextIOWrapper(_unpacked(path), encoding="utf-8-sig", newline="")


def _unpacked(path: Path) -> IO[bytes]:
    match path.suffix.lower():
        case ".gz":
            return io.BufferedReader(gzip.open(path, "rb"))
        case ".bz2":
            return bz2.open(path, "rb")
        case ".xz":
            return lzma.open(path, "rb")
        case ".zip":
            return _only_member(path)
        case ".zst":
            raise SourceError(
                f"Looking at `{path}` for its columns: zstd is read by runs only. Unpack it with `zstd -d`, and look at that."
            )
    return path.open("rb")


def _only_member(path: Path) -> IO[bytes]:
    archive = zipfile.ZipFile(path)
    files = [info.filename for info in archive.infolist() if not info.is_dir()]
    if len(files) != 1:
        raise SourceError(
            f"Looking at `{path}` for its columns: it has {len(files)} files, and one is looked at. Unpack the one that is meant."
        )
    return archive.open(files[0])


def _delimiter(first_line: str) -> str:
    """The likeliest delimiter of a header line: the one that occurs most often outside quotes; a comma if none does."""
    bare = re.sub(r'"[^"]*"', "", first_line)
    return max(_DELIMITERS, key=bare.count)


def _check_header(path: Path, header: Sequence[str], records: Sequence[Sequence[str]]) -> None:
    twice = [name for name, count in Counter(header).items() if count > 1 and name.strip()]
    if twice:
        raise SourceError(
            f"Looking at `{path}` for its columns: its header names {', '.join(f'`{n}`' for n in twice)} more than once. Rename one in the file."
        )
    if not any(name.strip() for name in header):
        raise SourceError(f"Looking at `{path}` for its columns: its first line names none. A CSV file starts with a header.")
    if not records:
        raise SourceError(
            f"Looking at `{path}` for its columns: no record below the header has {len(header)} fields, so no types can be told."
        )


def _surveyed(header: str, fields: Sequence[str]) -> SurveyedColumn:
    counts = Counter(f for f in fields if f != "")
    kind, misfits = _type_of(counts)
    return SurveyedColumn(
        header,
        kind,
        misfits,
        empty=len(fields) - counts.total(),
        distinct=len(counts),
        commonest=max(counts.values(), default=0),
        longest=max(map(len, counts), default=0),
        is_run=kind == "int" and not misfits and _is_run({int(value) for value in counts}),
    )


def _is_run(values: set[int]) -> bool:
    return max(values) - min(values) + 1 == len(values)


def _type_of(counts: Counter[str]) -> tuple[ColumnType, int]:
    """The narrowest type that nearly all values have, and how many do not have it; texts for a column without values."""
    if not counts or any(_CODE.fullmatch(value) for value in counts):
        return "str", 0
    for kind in _NARROWEST_FIRST:
        misfits = [value for value in counts if not _has_type(value, kind)]
        count = sum(counts[value] for value in misfits)
        is_too_narrow = kind == "int" and any(_has_type(value, "float") for value in misfits)
        if count <= counts.total() // 100 and not is_too_narrow:
            return kind, count
    return "str", 0


def _has_type(value: str, kind: ColumnType) -> bool:
    if kind == "bool":
        return value.lower() in ("true", "false")
    if kind == "int":
        return _INTEGER.fullmatch(value) is not None
    if kind == "float":
        return _NUMBER.fullmatch(value) is not None
    if kind == "date":
        return _DATE.fullmatch(value) is not None and _parses(date.fromisoformat, value)
    if kind == "datetime":
        return _TIME.fullmatch(value) is not None and _parses(datetime.fromisoformat, value)
    return True


def _parses(parse: Callable[[str], object], value: str) -> bool:
    try:
        parse(value)
    except ValueError:
        return False
    return True
