"""One Avro file that is read: its blocks unfolded, their records by fastavro, and columns of as many as make a batch.

The invariant: a block's bytes are those of as many records as its header says, no byte more or less, or the file is refused with the byte
where the block begins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from io import BytesIO
from itertools import chain, pairwise
from pathlib import Path
from typing import cast

import fastavro
import pyarrow as pa
from fastavro.types import Schema

from headrace.backends.sources.avro.codecs import CodecError, unfold
from headrace.backends.sources.avro.container import Block, Blocks, Header
from headrace.backends.sources.avro.schema import Field, OddError, fields_of, plain_schema
from headrace.backends.typed.reading import Batch, TypedPiece
from headrace.core.errors import SourceError

__all__ = ["OpenedAvro"]

_CHUNK = 1024 * 1024
_BATCH_BYTES, _BATCH_RECORDS = 8 * 1024 * 1024, 65_536
_MOST_BLOCK_BYTES = 256 * 1024 * 1024
_MAX_COLUMNS = 10_000

AvroRecord = Mapping[str, object]


class OpenedAvro:
    """See `headrace.backends.typed.reading.TypedFile`."""

    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name
        header = self._header()
        self._fields = fields_of(header.schema, name)
        self.schema: pa.Schema = pa.schema([(field.name, field.type) for field in self._fields])
        twice = [column for column, count in Counter(self.schema.names).items() if count > 1]
        if twice or len(self.schema) > _MAX_COLUMNS:
            what = f"the column `{twice[0]}` more than once" if twice else f"{len(self.schema)} columns, and {_MAX_COLUMNS} is the most"
            raise SourceError(f"`{name}` has {what}.")
        try:
            self._schema = fastavro.parse_schema(cast(Schema, plain_schema(header.schema)))
        except Exception as error:  # noqa: BLE001  # fastavro's are of many kinds
            raise SourceError(f"`{name}` has a schema that can't be read: {_first_line(error)}.") from None
        self.codec, self.marker = header.codec, header.marker

    def batches(self) -> Iterator[Batch]:
        return self._batches(self._blocks(), 1)

    def pieces(self) -> Iterator[TypedPiece]:
        first = 1
        for block in self._blocks():
            if block.records > _BATCH_RECORDS:
                yield from map(TypedPiece.read, self._batches([block], first))
            elif block.records:
                yield TypedPiece(block.records, first, block.offset, partial(self._only, block, first))
            first += block.records

    def _only(self, block: Block, first: int) -> Batch:
        return next(self._batches([block], first))

    def _batches(self, found: Iterable[Block], first: int) -> Iterator[Batch]:
        """The records of some blocks, which begin at number `first`."""
        size = 0
        held: list[AvroRecord] = []
        blocks: list[tuple[int, int]] = []
        for block in found:
            blocks.append((first + len(held), block.offset))
            data = self._unfolded(block)
            for record, _ in self._records(block, data):
                held.append(record)
                if len(held) == _BATCH_RECORDS:
                    yield self._batch(held, first, blocks)
                    first, held, blocks, size = first + len(held), [], blocks[-1:], 0
            size += len(data)
            if size >= _BATCH_BYTES and held:
                yield self._batch(held, first, blocks)
                first, held, blocks, size = first + len(held), [], [], 0
        if held:
            yield self._batch(held, first, blocks)

    def stretches(self) -> Iterator[tuple[Block, Sequence[bytes]]]:
        """Each block, and the bytes of each of its records without compression."""
        for block in self._blocks():
            data = self._unfolded(block)
            ends = [end for _, end in self._records(block, data)]
            yield block, [data[begin:end] for begin, end in pairwise([0, *ends])]

    # ------------------------------------------------------------ blocks and records

    def _header(self) -> Header:
        blocks = Blocks(self._name)
        with self._path.open("rb") as file:
            while blocks.header is None and (chunk := file.read(_CHUNK)):
                next(blocks.feed(chunk), None)
        if blocks.header is None:
            blocks.finish()
        assert blocks.header is not None  # for the type checker: finish says why it would be
        return blocks.header

    def _blocks(self) -> Iterator[Block]:
        blocks = Blocks(self._name)
        with self._path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield from blocks.feed(chunk)
        blocks.finish()

    def _unfolded(self, block: Block) -> bytes:
        try:
            data = unfold(block.data, self.codec, _MOST_BLOCK_BYTES)
        except CodecError as error:
            raise self._damaged(block, str(error)) from None
        if block.records > max(len(data), _BATCH_RECORDS):
            raise self._damaged(block, f"it says that it has {block.records} records, in {len(data)} bytes")
        return data

    def _records(self, block: Block, data: bytes) -> Iterator[tuple[AvroRecord, int]]:
        """What fastavro reads, and where each record ends: it takes what it gets for a text that is cut off, so a byte stands behind the last, and a record that reaches it is none."""
        stream, read = BytesIO(data + b"\0"), fastavro.schemaless_reader
        for n in range(block.records):
            try:
                record = read(stream, self._schema, None, handle_unicode_errors="surrogateescape")
            except Exception as error:  # noqa: BLE001  # whatever bytes may make fastavro say
                raise self._damaged(block, f"its record {n + 1} can't be read ({_first_line(error)})") from None
            end = stream.tell()
            if end > len(data):
                raise self._damaged(block, f"its record {n + 1} reaches beyond its end")
            yield cast(AvroRecord, record), end
        if stream.tell() != len(data):
            left = len(data) - stream.tell()
            raise self._damaged(block, f"it says that it has {block.records} records, and after them {left} bytes are left")

    def _damaged(self, block: Block, what: str) -> SourceError:
        return SourceError(f"`{self._name}` is damaged in the block that begins at byte {block.offset}: {what}. Fetch it again.")

    # ------------------------------------------------------------ columns

    def _batch(self, records: list[AvroRecord], first: int, blocks: list[tuple[int, int]]) -> Batch:
        odd: dict[int, str] = {}
        columns = [_column(field, records, odd) for field in self._fields]
        return Batch(pa.RecordBatch.from_arrays(columns, schema=self.schema), first, blocks, odd)


def _column(field: Field, records: list[AvroRecord], odd: dict[int, str]) -> pa.Array:
    """A column of all records; those whose value is none of its type are added to `odd`."""
    values = [record[field.name] for record in records]
    if field.value is None:
        return pa.array(values, field.type)
    if pa.types.is_string(field.type) and set(map(type, values)) <= {str, type(None)}:
        try:
            return pa.array(values, field.type)
        except UnicodeEncodeError:
            pass
    made: list[object] = []
    for n, value in enumerate(values, 1):
        try:
            made.append(None if value is None else field.value(value))
        except OddError as error:
            made.append(error.shown if pa.types.is_string(field.type) else None)
            odd.setdefault(n, f"the value of `{field.name}` {error}")
    return pa.array(made, field.type)


def _first_line(error: Exception) -> str:
    return next(chain(str(error).splitlines(), [type(error).__name__])).rstrip(". ")
