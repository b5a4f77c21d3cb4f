"""Batches of typed records to rows and a quarantine, by the machine that texts go through.

A format gives a file's Arrow schema and its records batch by batch, each batch with its place. A record is named in the quarantine by its
number (`line`), by where the block of the file begins that holds it (`byte_offset`), and by its values as one JSON object (`raw`). The
invariant: each record of a batch is in `piece` once, or said to be odd.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from headrace.backends.texts.opened import Loaded, Unread
from headrace.backends.texts.reading import read_texts
from headrace.backends.texts.room import Room
from headrace.backends.typed.columns import TypedColumn, columns_of, inferred, settled
from headrace.backends.typed.layout import TypedLayout, lay_out_typed
from headrace.core.casts import literal
from headrace.core.columns import Found, columns_to_read, difference, joined
from headrace.core.contract import Contract
from headrace.core.durations import duration_text
from headrace.core.errors import SourceError
from headrace.core.means import ALONE, Means
from headrace.core.ports import JSON, Landed, ReadResult
from headrace.core.records import Record

__all__ = ["Batch", "OpenedTyped", "TypedFile", "TypedPiece", "read_typed", "typed_pieces", "typed_records"]


@dataclass(frozen=True)
class Batch:
    """Records next to each other, of which the first is number `first` of the file, from 1.

    `blocks` has the number, in the file, of the first record of each block that they come from, and the byte where the block begins. `odd`
    says of each record that could not be read, by its number in the batch, what is wrong with it.
    """

    records: pa.RecordBatch
    first: int
    blocks: Sequence[tuple[int, int]]
    odd: Mapping[int, str] = field(default_factory=dict[int, str])

    def record(self, n: int, raw: bytes) -> Record:
        number = self.first + n - 1
        return Record(number, self.blocks[bisect_right(self.blocks, number, key=lambda block: block[0]) - 1][1], raw)


@dataclass(frozen=True)
class TypedPiece:
    """Records next to each other, of which the first is number `line` of the file and in the block that begins at `offset`: see `Stretch`.

    They are read when some of them are wanted, unless they were read before.
    """

    records: int
    line: int
    offset: int
    load: Callable[[], Batch]

    @classmethod
    def read(cls, batch: Batch) -> TypedPiece:
        return cls(batch.records.num_rows, batch.first, batch.blocks[0][1], lambda: batch)

    def places(self, wanted: Container[int]) -> Mapping[int, Record]:
        return _places_in(self.load())(wanted)


class TypedFile(Protocol):
    """A file of typed records, opened by its format."""

    @property
    def schema(self) -> pa.Schema: ...

    def batches(self) -> Iterator[Batch]:
        """All records, in order. SourceError where a block can't be read, with its place."""
        ...

    def pieces(self) -> Iterator[TypedPiece]:
        """The same records, those that are read at no cost or only when they are wanted."""
        ...


class OpenedTyped:
    """One file as the machine of texts sees it, but that `t0`, `t1`, … have the file's types."""

    def __init__(self, file: Landed, opened: TypedFile, options: Mapping[str, JSON]) -> None:
        self._file, self._opened = file, opened
        self.columns = columns_of(opened.schema)
        self._null_words = _words(options)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def found(self) -> tuple[str, ...]:
        return self.names

    @property
    def quoted(self) -> tuple[str, ...]:
        return ()

    def shown(self, recorded: Contract | None) -> list[Found]:
        """The columns as the file has them. Those that do not fit what is recorded by their types are looked at for values."""
        nulls = {field.name for field in self._opened.schema if pa.types.is_null(field.type)}
        own = [column for column in self.columns if column.parent is None]
        if any(not column.name for column in own):
            raise SourceError(f"`{self._file.name}` has a column without a name. Give the source a contract of the others.")
        found = [Found(column.name, inferred(column), has_values=column.name not in nulls) for column in own]
        told = difference(recorded, found, None) if recorded else None
        suspects = {change.now.name for change in told.changes if change.kind == "changed" and change.now} if told else set[str]()
        having = self._having_values(suspects) if suspects else set[str]()
        return [replace(one, has_values=one.name in having) if one.name in suspects else one for one in found]

    def _having_values(self, names: Container[str]) -> set[str]:
        """Those of some columns that have a value in any record; NaN is none."""
        having: set[str] = set()
        for batch in self._opened.batches():
            for name, column in zip(batch.records.schema.names, batch.records.columns, strict=True):
                if name in names and name not in having:
                    missing = pa.compute.is_null(settled(column), nan_is_null=True)
                    having.update([name] if pa.compute.any(pa.compute.invert(missing)).as_py() else [])
        return having

    @property
    def read_as(self) -> Mapping[str, JSON]:
        return {}

    def pieces(self) -> Iterator[Unread]:
        for batch in self._opened.batches():
            yield Unread(batch.records.nbytes, partial(self._load, batch=batch))

    def _load(self, room: Room, positions: Sequence[int | None], *, batch: Batch) -> Loaded:
        chosen = [None if position is None else self.columns[position] for position in positions]
        texts = "".join(f", {self._sql(column)} AS t{n}" for n, column in enumerate(chosen))
        odd = {**_not_utf8(batch.records, self._file.name), **batch.odd}
        numbers = pa.array([n for n in range(1, batch.records.num_rows + 1) if n not in odd], pa.int64())
        sound = batch.records.take(pa.compute.subtract(numbers, 1)) if odd else batch.records
        arrays = [numbers, *map(settled, sound.columns)]
        table = pa.Table.from_arrays(arrays, names=["n", *(f"c{n}" for n in range(len(arrays) - 1))])
        room.connection.register("batch", table)
        room.connection.execute(f"CREATE OR REPLACE TEMP TABLE piece AS SELECT n{texts} FROM batch").fetchall()
        room.connection.unregister("batch")
        return Loaded(batch.records.num_rows, odd, _places_in(batch))

    def _sql(self, column: TypedColumn | None) -> str:
        if column is None:
            return "CAST(NULL AS VARCHAR)"
        if column.kind == "text" and self._null_words:
            return f"CASE WHEN {column.sql} NOT IN ({', '.join(map(literal, self._null_words))}) THEN {column.sql} END"
        return column.sql


def read_typed(
    files: Sequence[Landed],
    open_file: Callable[[Landed], TypedFile],
    *,
    contract: Contract | None,
    options: Mapping[str, JSON],
    rows: Path,
    quarantine: Path,
    recorded: Contract | None = None,
    means: Means = ALONE,
) -> ReadResult:
    """As `SourceFormat.read` says. Without a contract the columns have the files' own types."""

    def opened(file: Landed) -> OpenedTyped:
        return OpenedTyped(file, open_file(file), options)

    def lay(file: OpenedTyped, contract: Contract, name: str) -> TypedLayout:
        return lay_out_typed(file.columns, contract, options, file=name)

    if contract is not None:
        return read_texts(files, opened, contract=contract, options=options, rows=rows, quarantine=quarantine, lay=lay, means=means)
    found = _found({file.name: opened(file) for file in files}, recorded)
    own, by = columns_to_read(found, None, None), columns_to_read(found, recorded, None)
    result = read_texts(files, opened, contract=by, options=options, rows=rows, quarantine=quarantine, lay=lay, means=means)
    return replace(result, own=own.schema)


def typed_pieces(file: TypedFile) -> Iterator[TypedPiece]:
    """All pieces of a file, and one without a record where they end."""
    last = None
    for last in file.pieces():
        yield last
    if last is not None:
        yield replace(last, records=0, line=last.line + last.records)


def typed_records(file: TypedFile) -> Iterator[Record]:
    """Every record of a file with its place, as JSON."""
    for batch in file.batches():
        yield from records_in(batch, range(1, batch.records.num_rows + 1))


def records_in(batch: Batch, wanted: Container[int]) -> Iterator[Record]:
    """The records of some numbers in a batch, from 1, with their places, as JSON."""
    yield from _places_in(batch)(wanted).values()


def _found(files: Mapping[str, OpenedTyped], recorded: Contract | None) -> tuple[Found, ...]:
    """The columns that the files have, all optional, of their own types. SourceError for files that can't be read as one."""
    found = joined({name: file.shown(recorded) for name, file in files.items()}, None)
    read = [column.name for column in found if column.field]
    folded = [name.casefold() for name in read]
    twins = [name for name in read if folded.count(name.casefold()) > 1]
    if twins:
        raise SourceError(
            f"The columns {', '.join(twins)} differ only in case, and SQL does not tell them apart. Give the source a contract with aliases."
        )
    if not read and not recorded:
        raise SourceError("The files have no column whose type a contract can hold. Give the source a contract.")
    return found


# ---------------------------------------------------------------- texts that are none


def _not_utf8(records: pa.RecordBatch, file: str) -> dict[int, str]:
    """Of each record with a text that is not UTF-8, what is wrong with it. SourceError for other damage."""
    try:
        records.validate(full=True)
    except pa.ArrowInvalid as error:
        odd = dict(_odd_texts(records))
        if not odd:
            raise SourceError(f"`{file}` is damaged: {error}. Fetch it again.") from None
        return odd
    return {}


def _odd_texts(records: pa.RecordBatch) -> Iterator[tuple[int, str]]:
    for name, column in zip(records.schema.names, records.columns, strict=True):
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            wide = pa.types.is_large_string(column.type)
            for n, raw in enumerate(column.view(pa.large_binary() if wide else pa.binary()).to_pylist(), 1):
                if raw is not None and not _is_utf8(raw):
                    yield n, f"the value of `{name}` is not UTF-8"


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


# ---------------------------------------------------------------- a record as JSON


def _places_in(batch: Batch) -> Callable[[Container[int]], Mapping[int, Record]]:
    def places(wanted: Container[int]) -> Mapping[int, Record]:
        numbers = [n for n in range(1, batch.records.num_rows + 1) if n in wanted]
        chosen = batch.records.take(pa.array([n - 1 for n in numbers], pa.int64()))
        columns = [_values(column) for column in chosen.columns]
        names = chosen.schema.names
        return {n: batch.record(n, _json_of(dict(zip(names, values, strict=True)))) for n, *values in zip(numbers, *columns, strict=True)}

    return places


def _values(column: pa.Array) -> list[object]:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        wide = pa.types.is_large_string(column.type)
        raw: list[bytes | None] = column.view(pa.large_binary() if wide else pa.binary()).to_pylist()
        return [None if text is None else text.decode("utf-8", "backslashreplace") for text in raw]
    if pa.types.is_timestamp(column.type) and column.type.tz:
        return [f"{value.isoformat()}Z" if isinstance(value, datetime) else value for value in _python(settled(column))]
    return _python(settled(column, keeps_spans=True))


def _python(column: pa.Array) -> list[object]:
    """Values as Python has them; of those that it can't have, what Arrow shows."""
    try:
        found: list[object] = column.to_pylist()
    except (OverflowError, ValueError):
        found = [_shown(value) for value in column]
    return found


def _shown(value: pa.Scalar) -> object:
    try:
        return value.as_py()
    except (OverflowError, ValueError):
        return getattr(value, "value", None) or f"a {value.type} that can't be shown"


def _json_of(record: Mapping[str, object]) -> bytes:
    return json.dumps(_plain(record), ensure_ascii=False).encode()


def _plain(value: object) -> object:
    """A value as JSON has it: numbers and truth values as they are, all else that it has no form for as text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, timedelta):
        return duration_text(value)
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)


def _words(options: Mapping[str, JSON]) -> list[str]:
    words = options.get("null_words", ())
    return [str(word) for word in words] if isinstance(words, list | tuple) else []
