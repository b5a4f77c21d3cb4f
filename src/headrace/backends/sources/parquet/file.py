"""One Parquet file that is read: a row group at a time, in batches whose size its rows decide.

The invariant: the pages and the batches of a row group have as many rows as the footer says of it, or the file is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from headrace.backends.sources.parquet.footer import UNREADABLE, chunks_in
from headrace.backends.sources.parquet.pages import check_pages
from headrace.backends.typed.reading import Batch, TypedPiece
from headrace.core.errors import SourceError

__all__ = ["OpenedParquet"]

_BATCH_BYTES = 8 * 1024 * 1024
_MOST_ROWS = 65_536
_PAGE_BUFFER = 1024 * 1024


class OpenedParquet:
    """See `headrace.backends.typed.reading.TypedFile`."""

    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name
        with self._explained(None), self._opened() as file:
            self.schema: pa.Schema = file.read_row_groups([]).schema  # its footer may tell of groups without a column, which are never read
        twice = [column for column, count in Counter(self.schema.names).items() if count > 1]
        if twice:
            raise SourceError(f"`{name}` has the column {', '.join(f'`{column}`' for column in twice[:5])} more than once.")

    def batches(self) -> Iterator[Batch]:
        first = 1
        with self._opened() as file, self._path.open("rb") as plain:
            for number, chunks in enumerate(chunks_in(self._path, self._name)):
                group = file.metadata.row_group(number)
                if not group.num_rows:
                    continue
                coded = check_pages(plain, file.metadata, chunks, number, self._name)
                offset = min(chunk.begin for chunk in chunks)
                begin = first
                for records in self._records(file.metadata, number, coded):
                    yield Batch(records, first, [(begin, offset)])
                    first += records.num_rows
                if first - begin != group.num_rows:
                    raise SourceError(
                        f"`{self._name}` has a footer that lies: row group {number + 1} has {group.num_rows} rows, and {first - begin} were read. Fetch it again."
                    )

    def pieces(self) -> Iterator[TypedPiece]:
        return map(TypedPiece.read, self.batches())

    def _records(self, metadata: parquet.FileMetaData, number: int, coded: list[str]) -> Iterator[pa.RecordBatch]:
        group = metadata.row_group(number)
        width = max(1, group.total_byte_size // group.num_rows)
        rows = max(1, min(_MOST_ROWS, _BATCH_BYTES // width))
        with self._opened(metadata, [name for name in coded if name in self.schema.names]) as file:
            with self._explained(number):
                batches = file.iter_batches(batch_size=rows, row_groups=[number], use_threads=False)
            for records in self._each(batches, number):
                yield from self._each(map(_unfolded, _bounded(records)), number)

    def _each(self, batches: Iterator[pa.RecordBatch], number: int) -> Iterator[pa.RecordBatch]:
        while True:
            with self._explained(number):
                records = next(batches, None)
            if records is None:
                return
            yield records

    @contextmanager
    def _opened(self, metadata: parquet.FileMetaData | None = None, coded: list[str] | None = None) -> Iterator[parquet.ParquetFile]:
        with parquet.ParquetFile(
            self._path,
            metadata=metadata,
            read_dictionary=coded,
            buffer_size=_PAGE_BUFFER,
            pre_buffer=False,
            coerce_int96_timestamp_unit="us",
            page_checksum_verification=True,
        ) as file:
            yield file

    @contextmanager
    def _explained(self, group: int | None) -> Iterator[None]:
        """What PyArrow can't read, with its place."""
        try:
            yield
        except UNREADABLE as error:
            said = str(error).partition("\n")[0].rstrip(". ")
            where = "its footer" if group is None else f"row group {group + 1}"
            raise SourceError(f"`{self._name}` is damaged: {where} can't be read ({said}). Fetch it again.") from None


def _bounded(records: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The same records in parts that stay small when their dictionaries are unfolded; a single one may be big."""
    if records.num_rows > 1 and sum(map(_size, records.columns)) > 2 * _BATCH_BYTES:
        half = records.num_rows // 2
        yield from _bounded(records.slice(0, half))
        yield from _bounded(records.slice(half))
    else:
        yield records


def _size(column: pa.Array) -> int:
    """The bytes of a column of texts or bytes in a dictionary when it is unfolded; 0 for others, whose size is known to the reader."""
    if not pa.types.is_dictionary(column.type) or pa.types.is_primitive(column.type.value_type):
        return 0
    size: int | None = pc.sum(pc.take(pc.binary_length(column.dictionary), column.indices)).as_py()
    return size or 0


def _unfolded(records: pa.RecordBatch) -> pa.RecordBatch:
    columns = [column.dictionary_decode() if pa.types.is_dictionary(column.type) else column for column in records.columns]
    return pa.RecordBatch.from_arrays(columns, records.schema.names)
